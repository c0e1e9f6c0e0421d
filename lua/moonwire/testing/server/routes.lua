-- What the loopback server answers by itself: the part of httpbin that examples and specs need.  It
-- reads requests and writes answers, and opens nothing.
local coding = require "moonwire.body.coding"
local data = require "moonwire.testing.server.data"
local exchange = require "moonwire.testing.server.exchange"
local headers = require "moonwire.headers"
local json = require "moonwire.json"
local kept = require "moonwire.testing.server.kept"
local multipart = require "moonwire.testing.server.multipart"
local logins = require "moonwire.testing.server.logins"
local ranges = require "moonwire.testing.server.ranges"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local MAX_SECONDS = 60
local MAX_LINES = 1000000
local BINARY = { ["Content-Type"] = "application/octet-stream" }

-- Helpers -------------------------------------------------------------------------------------

-- Headers as JSON has them: repeated ones in one string.
local function header_table(list)
    local fields = {}
    for name, value in list:each() do
        fields[name] = fields[name] and fields[name] .. ", " .. value or value
    end
    return fields
end

local function absolute(server, request)
    if request.target:find("^%a[%w+.-]*://") then
        return request.target
    end
    local host = request.headers:get("Host")
    return (host and "http://" .. host or server.url) .. request.target
end

local function described(server, request)
    return {
        args = request.args,
        headers = header_table(request.headers),
        method = request.method,
        origin = "127.0.0.1",
        url = absolute(server, request),
        connection = request.connection,
    }
end

local function problem(respond, status, message)
    return respond(status, { error = message })
end

-- A number from the path or the query, between 0 and a limit; answers 400 itself otherwise.
local function get_number(respond, name, text, default, limit)
    local value = text == nil and default or type(text) == "string" and tonumber(text)
    if not value or value ~= value or value < 0 or value > limit then
        problem(respond, 400, ("%s is no number from 0 to %d"):format(name, limit))
        return nil
    end
    return value
end

-- The same for what is counted.
local function get_count(respond, name, text, default, limit)
    local value = get_number(respond, name, text, default, limit)
    if value and value % 1 ~= 0 then
        problem(respond, 400, name .. " is no whole number")
        return nil
    end
    return value
end

-- The routes ----------------------------------------------------------------------------------

local function get(server, request, respond)
    request:text()
    return respond(200, described(server, request))
end

local function anything(server, request, respond)
    local answer = described(server, request)
    local text = request:text()
    local kind = (request.headers:get("Content-Type") or ""):lower()
    answer.data, answer.form, answer.files, answer.json = text, {}, {}, json.null
    if kind:find("^application/x%-www%-form%-urlencoded") then
        answer.form, answer.data = exchange.parse_form(text), ""
    elseif kind:find("^multipart/form%-data") then
        answer.form, answer.files = multipart.parse(text, request.headers:get "Content-Type")
        if not answer.form then
            return problem(respond, 400, "the body is no multipart/form-data")
        end
        answer.data = ""
    elseif kind:find("json", 1, true) or kind == "" then
        answer.json = json.decode(text) or json.null
    end
    return respond(200, answer)
end

local function status(_, _, respond, text)
    local code = tonumber(text)
    if code < 200 or code > 999 then
        return problem(respond, 400, "status codes go from 200 to 999 here")
    end
    local fields = { ["Content-Type"] = "text/plain" }
    if code >= 300 and code < 400 and code ~= 304 then
        fields["Location"] = "/get"
    end
    return respond(code, "", fields)
end

local function bytes(_, request, respond, text)
    local length = get_number(respond, "the number of bytes", text, nil, 2 ^ 50)
    if not length then
        return
    end
    respond:begin(200, BINARY, request.args.chunked and "chunked" or length)
    local sent = 0
    while sent < length and request.method ~= "HEAD" do
        local piece = data.piece(sent, length - sent)
        respond:write(piece)
        sent = sent + #piece
    end
    respond:finish()
end

local function stream(server, request, respond, text)
    local count = get_number(respond, "the number of lines", text, nil, MAX_LINES)
    if not count then
        return
    end
    local line, id = described(server, request), -1
    respond(200, function()
        id = id + 1
        line.id = id
        return id < count and assert(json.encode(line)) .. "\n" or nil
    end, { ["Content-Type"] = "application/json" })
end

local function drip(server, request, respond)
    local args = request.args
    local count = get_count(respond, "numbytes", args.numbytes, 10, 1e9)
    local duration = count and get_number(respond, "duration", args.duration, 2, MAX_SECONDS)
    local delay = duration and get_number(respond, "delay", args.delay, 0, MAX_SECONDS)
    local code = delay and get_count(respond, "code", args.code, 200, 999)
    if not code then
        return
    elseif code < 200 then
        return problem(respond, 400, "status codes go from 200 to 999 here")
    end
    server:sleep(delay)
    local sent = 0
    respond(code, function()
        if sent == count then
            return nil
        elseif sent > 0 then
            server:sleep(duration / count)
        end
        sent = sent + 1
        return "*"
    end, BINARY, { length = count })
end

local function delay(server, request, respond, text)
    local seconds = get_number(respond, "the delay", text, nil, MAX_SECONDS)
    if seconds then
        request:text()
        server:sleep(seconds)
        respond(200, described(server, request))
    end
end

local function chunked(_, _, respond)
    local sum, n = data.checksum(), 0
    respond(200, function()
        n = n + 1
        if n > 3 then
            return nil
        end
        local piece = ("piece %d\n"):format(n)
        sum:add(piece)
        return piece
    end, { { "Content-Type", "text/plain" }, { "Trailer", "X-Pieces, X-Adler32" } }, {
        trailers = function()
            return { ["X-Pieces"] = "3", ["X-Adler32"] = sum:hex() }
        end,
    })
end

local function redirect(_, _, respond, text)
    local left = get_number(respond, "the number of redirects", text, nil, 1000)
    if left then
        local target = left > 1 and "/redirect/" .. left - 1 or "/get"
        respond(302, "", { ["Location"] = target })
    end
end

local function show_headers(_, request, respond)
    return respond(200, { headers = header_table(request.headers) })
end

local function show_cookies(_, request, respond)
    local found = {}
    for pair in (request.headers:get("Cookie") or ""):gmatch "[^;]+" do
        local name, value = pair:match "^%s*([^=]+)=(.*)$"
        if name then
            found[name] = value
        end
    end
    return respond(200, { cookies = found })
end

local function set_cookies(_, request, respond)
    local fields = { { "Location", "/cookies" } }
    for name, value in each(request.args) do
        fields[#fields + 1] = { "Set-Cookie", ("%s=%s; Path=/"):format(name, tostring(value)) }
    end
    return respond(302, "", fields)
end

-- What was asked for, with a content coding.
local function coded(name, word)
    return function(server, request, respond)
        local answer = described(server, request)
        answer[word] = true
        local text = assert(json.encode(answer)) .. "\n"
        return respond(200, assert(coding.encode(name, text)), {
            ["Content-Type"] = "application/json",
            ["Content-Encoding"] = name,
        })
    end
end

local function upload(_, request, respond)
    local sum = data.checksum()
    for piece in request:pieces() do
        sum:add(piece)
    end
    return respond(200, {
        method = request.method,
        bytes = sum.bytes,
        adler32 = sum:hex(),
        chunked = request.headers:has("Transfer-Encoding"),
        trailers = header_table(request.trailers or headers.new {}),
    })
end

local function echo(_, request, respond)
    local length = tonumber(request.headers:get("Content-Length"))
    respond(200, request:pieces(), {
        ["Content-Type"] = request.headers:get("Content-Type") or "application/octet-stream",
    }, { length = length })
end

local function cache(server, request, respond)
    local fields, is_known = kept.unchanged(request)
    if is_known then
        return respond(304, "", fields)
    end
    return respond(200, described(server, request), fields)
end

local function cache_for(server, request, respond, seconds)
    return respond(200, described(server, request), kept.fresh(seconds))
end

local function etag(server, request, respond, tag)
    local fields, code = kept.tagged(request, tag)
    return respond(code, code == 200 and described(server, request) or "", fields)
end

local function index(_, _, respond)
    return respond(200, "moonwire's loopback server: /get /post /put /patch /delete /anything "
        .. "/status/N /bytes/N /range/N /stream/N /drip /delay/N /chunked /redirect/N /cookies "
        .. "/cookies/set?NAME=VALUE /headers /gzip /deflate /brotli /zstd "
        .. "/upload /echo /cache /cache/SECONDS /etag/TAG /basic-auth/USER/PASSWORD "
        .. "/bearer /digest-auth/QOP/USER/PASSWORD[/ALGORITHM]\n",
        { ["Content-Type"] = "text/plain" })
end

local READ = { GET = true, HEAD = true }
local SEND = { POST = true, PUT = true, PATCH = true }

-- path pattern, methods (nil: each), route
local routes = {
    { "^/$", READ, index },
    { "^/get$", READ, get },
    { "^/post$", { POST = true }, anything },
    { "^/put$", { PUT = true }, anything },
    { "^/patch$", { PATCH = true }, anything },
    { "^/delete$", { DELETE = true }, anything },
    { "^/anything$", nil, anything },
    { "^/anything/", nil, anything },
    { "^/status/(%d%d%d)$", nil, status },
    { "^/bytes/(%d+)$", READ, bytes },
    { "^/range/(%d+)$", READ, ranges.answer },
    { "^/stream/(%d+)$", READ, stream },
    { "^/drip$", READ, drip },
    { "^/delay/([%d.]+)$", nil, delay },
    { "^/chunked$", READ, chunked },
    { "^/redirect/(%d+)$", READ, redirect },
    { "^/cookies$", READ, show_cookies },
    { "^/cookies/set$", READ, set_cookies },
    { "^/headers$", READ, show_headers },
    { "^/gzip$", READ, coded("gzip", "gzipped") },
    { "^/deflate$", READ, coded("deflate", "deflated") },
    { "^/brotli$", READ, coded("br", "brotli") },
    { "^/zstd$", READ, coded("zstd", "zstd") },
    { "^/upload$", SEND, upload },
    { "^/echo$", SEND, echo },
    { "^/cache$", READ, cache },
    { "^/cache/(%d+)$", READ, cache_for },
    { "^/etag/([%w._~-]+)$", READ, etag },
    { "^/basic%-auth/(.+)$", nil, logins.basic },
    { "^/bearer$", nil, logins.bearer },
    { "^/digest%-auth/(.+)$", nil, logins.digest },
}

local function allow(methods)
    local names = {}
    for name in each(methods) do
        names[#names + 1] = name
    end
    table.sort(names)
    return table.concat(names, ", ")
end

local M = {}

--- Answers a request by the route of its path; 404 and 405 where there is none.
---@param server moonwire.testing.Server
---@param request moonwire.testing.Request
---@param respond moonwire.testing.Respond
function M.answer(server, request, respond)
    for _, route in ipairs(routes) do
        local pattern, methods, answer = route[1], route[2], route[3]
        local found, _, capture = request.path:find(pattern)
        if found and (not methods or methods[request.method]) then
            return answer(server, request, respond, capture)
        elseif found then
            return respond(405, { error = "not with " .. request.method },
                { ["Allow"] = allow(methods) })
        end
    end
    return respond(404, { error = "there is no " .. request.path .. " here" })
end

return M
