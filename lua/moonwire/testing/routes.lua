-- testing/routes.lua - which answer belongs to which request: methods, URLs with names in them, and
-- what else a test asks of a request. It answers nothing itself.

local errors = require "moonwire.error"
local json = require "moonwire.json"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local routes = {}

--- What a test is shown of a request.
---@class moonwire.testing.Call
---@field method string
---@field url string
---@field path string decoded
---@field query table<string, string> decoded; of a name given twice the last value
---@field headers moonwire.core.Headers
---@field body string the whole of it
---@field request moonwire.Request

local call_methods = {}
local Call = { __index = call_methods, __name = "moonwire.testing.Call" }

--- The body as a value; raises when it isn't JSON.
---@return any
function call_methods:json()
    local value, err = json.decode(self.body)
    if err then
        error(("the body of %s %s is %s"):format(self.method, self.url, tostring(err)), 2)
    end
    return value
end

local function decode_query(text)
    local query = {}
    for name, value in (text or ""):gmatch "([^&=]+)=?([^&]*)" do
        query[urls.unescape(name:gsub("+", " "))] = urls.unescape((value:gsub("+", " ")))
    end
    return query
end

-- The whole body of a request, read as sending it would.
local function read_body(body)
    if not body then
        return ""
    end
    local reader, err = body:open()
    if not reader then
        return nil, err
    end
    local pieces, chunk = {}
    repeat
        chunk, err = reader:read()
        pieces[#pieces + 1] = chunk
    until not chunk
    reader:close()
    if err then
        return nil, err
    end
    return table.concat(pieces)
end

--- What a test is shown of a request. Its body is read to the end.
---@param request moonwire.Request
---@return moonwire.testing.Call? call, moonwire.Error? err of the body
function routes.call(request)
    local url = urls.parse(request.url)
    local text, err = read_body(request.body)
    if not text then
        err.url = request.url
        return nil, err
    end
    return setmetatable({
        method = request.method, url = request.url, path = urls.unescape(url.path),
        query = decode_query(url.query), headers = request.headers, body = text,
        request = request,
    }, Call)
end

---@class moonwire.testing.RouteOptions
---@field query table<string, any>? that must be there, with these values; others may be as well
---@field headers table<string, string>? the same of headers
---@field body string|nil|fun(body: string): boolean
---@field json any a value that the body has to say; numbers and order of names don't matter
---@field times integer? how often it answers; after that it is as if it weren't there

---@class moonwire.testing.Route
---@field method string
---@field text string what the test wrote as its URL
---@field matches fun(call: moonwire.testing.Call): table? params
---@field reply any
---@field opts moonwire.testing.RouteOptions
---@field called integer

local function segments_of(path)
    local list = {}
    for segment in path:gmatch "[^/]+" do
        list[#list + 1] = segment
    end
    return list
end

-- The names in a path: "/users/:id/*" against "/users/7/a/b".
local function match_path(wanted, path)
    local got, params = segments_of(path), {}
    for i, segment in ipairs(wanted) do
        if segment == "*" and i == #wanted then
            params["*"] = table.concat(got, "/", i)
            return params
        elseif not got[i] then
            return nil
        elseif segment:sub(1, 1) == ":" then
            params[segment:sub(2)] = got[i]
        elseif segment ~= got[i] then
            return nil
        end
    end
    return #got == #wanted and params or nil
end

local function compile_url(text, level)
    local origin, rest = text:match "^(%a[%w+.-]*://[^/?#]+)(.*)$"
    local path, query = (rest or text):match "^([^?]*)%??(.*)$"
    if not origin and path:sub(1, 1) ~= "/" then
        errors.argument(level + 1, "url", "URL, or a path that begins with /", text)
    end
    local parsed = origin and urls.parse(origin .. "/")
    if origin and not parsed then
        error(("bad argument 'url' (%q is no URL)"):format(text), level + 1)
    end
    local wanted, asked = segments_of(path), decode_query(query)
    return function(call)
        if parsed and call.request.origin ~= parsed.origin then
            return nil
        end
        for name, value in each(asked) do
            if call.query[name] ~= value then
                return nil
            end
        end
        return match_path(wanted, call.path)
    end
end

local function equal(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then
        return a == b
    end
    for name, value in each(a) do
        if not equal(value, b[name]) then
            return false
        end
    end
    for name in each(b) do
        if a[name] == nil then
            return false
        end
    end
    return true
end

local function fits(opts, call)
    for name, value in each(opts.query or {}) do
        if call.query[name] ~= tostring(value) then
            return false
        end
    end
    for name, value in each(opts.headers or {}) do
        if call.headers:get(name) ~= tostring(value) then
            return false
        end
    end
    if type(opts.body) == "function" then
        return opts.body(call.body) and true or false
    elseif opts.body ~= nil then
        return opts.body == call.body
    elseif opts.json ~= nil then
        local value = json.decode(call.body)
        return equal(opts.json, value)
    end
    return true
end

local KNOWN = { query = "table", headers = "table", times = "number" }

--- Makes a route.
---@param method string "*" for any
---@param url string|fun(call: moonwire.testing.Call): any a URL; or a path, of any origin; with
---  `:name` for one segment, `*` at the end for the rest; or what says whether it fits
---@param reply any
---@param opts moonwire.testing.RouteOptions?
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.testing.Route
function routes.new(method, url, reply, opts, level)
    errors.check(level + 1, "method", "string", method)
    opts = opts or {}
    errors.check(level + 1, "opts", "table", opts)
    for name, value in each(opts) do
        if KNOWN[name] then
            errors.check(level + 1, name, KNOWN[name], value)
        elseif name ~= "body" and name ~= "json" then
            error(("unknown option '%s' (known: body headers json query times)"):format(
                tostring(name)), level + 1)
        end
    end
    local matches
    if type(url) == "function" then
        matches = function(call)
            local found = url(call)
            return found and (type(found) == "table" and found or {}) or nil
        end
    else
        errors.check(level + 1, "url", "string", url)
        matches = compile_url(url, level + 1)
    end
    return {
        method = method:upper(), text = type(url) == "string" and url or "(a function)",
        matches = matches, reply = reply, opts = opts, called = 0,
    }
end

--- The route for a request: the one that was added last, of those that fit.
---@param list moonwire.testing.Route[]
---@param call moonwire.testing.Call
---@return moonwire.testing.Route? route
---@return table params what the names in its URL stand for
function routes.find(list, call)
    for i = #list, 1, -1 do
        local route = list[i]
        local times = route.opts.times
        if (route.method == "*" or route.method == call.method)
            and (not times or route.called < times) then
            local params = route.matches(call)
            if params and fits(route.opts, call) then
                return route, params
            end
        end
    end
    return nil, {}
end

return routes
