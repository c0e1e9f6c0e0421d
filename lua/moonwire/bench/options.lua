-- bench/options.lua - what the arguments of `moonwire bench` mean. It opens nothing but the file of
-- --body-file.
local arguments = require "moonwire.cli.arguments"
local requests = require "moonwire.request"
local urls = require "moonwire.url"

local USAGE = [==[
usage: moonwire bench URL [options] [script.lua [args]]

  -c, --connections N   so many connections, each with one request at a time (10)
  -d, --duration TIME   how long: 500ms, 10s, 2m, 1h (10s)
  -n, --requests N      so many requests, however long that takes, in place of -d
  -r, --rate R          requests a second over all connections, answered or not; latency counts
                        from when each was due. Without it each connection sends its next request
                        when the last one is answered
  -m, --method METHOD   GET, or POST with a body
  -H, --header 'N: V'   a header field; more than one is allowed
      --body TEXT       what each request sends
      --body-file FILE  the same out of a file
      --timeout TIME    for one request (5s)
      --warmup TIME     load before anything is counted (0s)
  -k, --insecure        https: any certificate will do
      --json FILE       the numbers as JSON; -: to standard output, in place of the report
      --html FILE       a page with plots
  -q, --quiet           neither report nor progress
  -h, --help            this text
      --                ends the options

A script may define init(args), request(), response(res, request) and done(summary, latency).
]==]

local MOST_CONNECTIONS = 1000000

local M = { USAGE = USAGE }

---@class moonwire.bench.Options
---@field url moonwire.Url
---@field connections integer
---@field duration number? seconds; nil: until all requests are sent
---@field requests integer?
---@field rate number? requests a second
---@field timeout number seconds
---@field warmup number seconds
---@field insecure boolean
---@field json string?
---@field html string?
---@field quiet boolean
---@field help boolean
---@field content table what each request has in common, as moonwire.request takes it
---@field request moonwire.Request made of that
---@field script string?
---@field args string[] the script's

local function take_rate(text)
    local number = text:match "^%d+%.?%d*$" and tonumber(text)
    if not number or number <= 0 then
        return nil, "a number of requests a second above 0"
    end
    return number
end

local ONE_BODY = "give one of --body and --body-file, once"

local function take_body(text, options)
    if options.body then
        return nil, nil, ONE_BODY
    end
    return text
end

local function take_body_file(path, options)
    if options.body then
        return nil, nil, ONE_BODY
    end
    local file, problem = io.open(path, "rb")
    local text
    if file then
        text, problem = file:read "*a" -- nil for a folder
        file:close()
    end
    if not text then
        return nil, nil, ("can't read %s"):format(problem)
    end
    return text
end

local OPTIONS = {
    ["--connections"] = { "connections", arguments.count(MOST_CONNECTIONS) },
    ["--duration"] = { "duration", arguments.time(0.001) },
    ["--requests"] = { "requests", arguments.count(math.huge) },
    ["--rate"] = { "rate", take_rate },
    ["--method"] = { "method", arguments.text },
    ["--header"] = { "headers", arguments.header },
    ["--body"] = { "body", take_body },
    ["--body-file"] = { "body", take_body_file },
    ["--timeout"] = { "timeout", arguments.time(0.001) },
    ["--warmup"] = { "warmup", arguments.time(0) },
    ["--insecure"] = { "insecure" },
    ["--json"] = { "json", arguments.path },
    ["--html"] = { "html", arguments.path },
    ["--quiet"] = { "quiet" },
    ["--help"] = { "help" },
}

local SHORT = {
    c = "--connections", d = "--duration", n = "--requests", r = "--rate", m = "--method",
    H = "--header", k = "--insecure", q = "--quiet", h = "--help",
}

-- "Connection: close" is the one field of the connection's own that makes sense here.
local function take_close(options)
    local headers, kept, close = options.headers or {}, {}, nil
    for _, field in ipairs(headers) do
        if field[1]:lower() == "connection" and field[2]:lower() == "close" then
            close = true
        else
            kept[#kept + 1] = field
        end
    end
    return kept, close
end

-- What the requests have in common, and the request that goes out without a script.
local function make_request(options, address)
    local url, problem = urls.parse(address)
    if not url then
        return nil, ("%s is no URL to measure: %s"):format(address, problem)
    end
    local headers, close = take_close(options)
    local content = {
        url = address, method = options.method or (options.body and "POST" or "GET"),
        headers = headers, body = options.body, close = close,
    }
    if content.method == "CONNECT" then
        return nil, "a tunnel (CONNECT) can't be measured"
    end
    local ok, request = pcall(requests.new, content)
    if not ok then
        return nil, (tostring(request):gsub("^[^:]+:%d+: ", ""))
    end
    options.url, options.content, options.request = url, content, request
    return options
end

local function check(options)
    if options.duration and options.requests then
        return nil, "give one of -d and -n"
    elseif options.html == "-" then
        return nil, "--html needs the name of a file"
    end
    return true
end

--- Reads the arguments behind "bench".
---@param args string[]
---@param first integer where they begin
---@return moonwire.bench.Options? options, string? message what is wrong with them
function M.parse(args, first)
    local options = {
        connections = 10, timeout = 5, warmup = 0, insecure = false, quiet = false, help = false,
        args = {},
    }
    local i, address, message, ended = first, nil, nil, false
    while i and args[i] and not options.script do
        local word = args[i]
        if not ended and word == "--" then
            ended, i = true, i + 1
        elseif not ended and word:find "^%-." then
            i, message = arguments.take(args, i, options, OPTIONS, SHORT)
        elseif not address then
            address, i = word, i + 1
        else
            options.script, i = word, i + 1
        end
    end
    if not i then
        return nil, message
    elseif options.help then
        return options
    elseif not address then
        return nil, "a URL is needed"
    end
    for at = i, #args do
        options.args[#options.args + 1] = args[at]
    end
    local ok
    ok, message = check(options)
    if not ok then
        return nil, message
    end
    if not options.requests then
        options.duration = options.duration or 10
    end
    return make_request(options, address)
end

return M
