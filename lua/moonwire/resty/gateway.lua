-- resty/gateway.lua - the client of a host that serves HTTP itself, as nginx does: its request,
-- and the answer to it. It opens nothing; the host's backend does all of it.

local say = require "moonwire.resty.say"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

--- What a backend gives as `backend.gateway` where each request of the host's has a client.
---@class moonwire.resty.Gateway
local methods = {} -- luacheck: ignore 241 (the contract, for editors and for a backend's author)

--- The request that is being handled.
---@return moonwire.resty.ClientRequest? request, moonwire.Error? err
function methods.request() end

--- A reader of its body: each call gives the next bytes, at most `max`, decoded; nil at the end;
--- nil and an error.
---@return (fun(max: integer): string?, moonwire.Error?)? read nil without an error: it has no body
---@return moonwire.Error? err
function methods.reader() end

--- Sends the head of the answer.
---@param status integer
---@param headers table<string, string|string[]> a Content-Length among them frames the body
---@return true? ok, moonwire.Error? err
function methods.respond(status, headers) end -- luacheck: ignore 212

--- Sends bytes of its body, and waits until the client takes more.
---@param bytes string
---@return true? ok, moonwire.Error? err
function methods.write(bytes) end -- luacheck: ignore 212

---@class moonwire.resty.ClientRequest
---@field method string
---@field path string as it was sent, with the query
---@field headers table<string, string|string[]>

local CHUNK = 65536

-- Those that are for one hop only (RFC 9110 section 7.6.1).
local HOP = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-authenticate"] = true,
    ["proxy-authorization"] = true, ["proxy-connection"] = true, ["te"] = true,
    ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}

local gateway = {}

---@param backend moonwire.Backend
---@return moonwire.resty.Gateway? host, string? problem, moonwire.Error? err
local function host_of(backend)
    local host = backend.gateway
    if host then
        return host
    end
    return say.refusal("there is no client here whose request this could be: inside nginx there "
        .. "is. Elsewhere give request() what is to be sent")
end

local function words_of(value)
    local words = {}
    for _, one in ipairs(type(value) == "table" and value or { value }) do
        for word in one:lower():gmatch "[^%s,]+" do
            words[word] = true
        end
    end
    return words
end

-- Without the headers of one hop, and those that Connection names.
local function end_to_end(headers)
    local named, kept = {}, {}
    for name, value in each(headers) do
        if name:lower() == "connection" then
            named = words_of(value)
        end
    end
    for name, value in each(headers) do
        local folded = name:lower()
        if not HOP[folded] and not named[folded] then
            kept[name] = value
        end
    end
    return kept
end

local function reader_over(read, size)
    return function(max)
        local bytes, err = read(max or size)
        if err then
            return say.failure(err)
        end
        return bytes
    end
end

--- A reader of the client's body.
---@param backend moonwire.Backend
---@param size integer? of a piece, unless the reader is asked for another
---@return (fun(max: integer?): string?, string?)? reader nil without a problem: there is no body
---@return string? problem, moonwire.Error? err
function gateway.reader(backend, size)
    local host, problem, err = host_of(backend)
    if not host then
        return nil, problem, err
    end
    local read
    read, err = host.reader()
    if err then
        return say.failure(err)
    end
    return read and reader_over(read, size or CHUNK)
end

--- The client's request, as parameters of a request of ours.
---@param backend moonwire.Backend
---@param size integer?
---@return table? params, string? problem, moonwire.Error? err
function gateway.params(backend, size)
    local host, problem, err = host_of(backend)
    if not host then
        return nil, problem, err
    end
    local request
    request, err = host.request()
    if not request then
        return say.failure(err)
    end
    local reader
    reader, problem, err = gateway.reader(backend, size)
    if problem then
        return nil, problem, err
    end
    local headers = end_to_end(request.headers)
    for name in each(headers) do
        if name:lower() == "expect" then -- the host has seen to it
            headers[name] = nil
        end
    end
    return { method = request.method, path = request.path, headers = headers, body = reader }
end

--- Answers the client by a response.
---@param backend moonwire.Backend
---@param answer moonwire.resty.Answer
---@param size integer? of the pieces it is sent in
---@return true? ok, string? problem, moonwire.Error? err
function gateway.respond(backend, answer, size)
    local host, problem, err = host_of(backend)
    if not host then
        return nil, problem, err
    end
    local ok
    ok, err = host.respond(answer.status, end_to_end(answer.headers))
    while ok do
        local bytes
        bytes, problem, err = answer.body_reader(size or CHUNK)
        if problem then
            return nil, problem, err
        elseif not bytes then
            return true
        end
        ok, err = host.write(bytes)
    end
    return say.failure(err)
end

return gateway
