-- The client whose request nginx is handling, for moonwire.resty: its request, and the answer to
-- it. What each function does stands in moonwire/resty/gateway.lua.
local errors = require "moonwire.error"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local CHUNK = 65536

local gateway = {}

local function failure(doing, words)
    return nil, errors.new {
        kind = words == "timeout" and "timeout" or "closed", phase = "body",
        code = words == "timeout" and "ETIMEOUT" or "ECLOSED",
        message = ("%s: %s"):format(doing, words),
    }
end

function gateway.request()
    return {
        method = ngx.req.get_method(),
        path = ngx.var.request_uri,
        headers = ngx.req.get_headers(0, true),
    }
end

-- The body that nginx has taken in, in memory or in a file of its own.
local function reader_of_kept()
    ngx.req.read_body()
    local data, path = ngx.req.get_body_data(), ngx.req.get_body_file()
    local file, problem
    if path then
        file, problem = io.open(path, "rb")
        if not file then
            return failure("reading the client's body", problem)
        end
    end
    return (data or file) and function(max)
        if file then
            return file:read(max)
        end
        local piece = data:sub(1, max)
        data = data:sub(max + 1)
        return piece ~= "" and piece or nil
    end
end

-- The body as it comes. nginx ends it with "closed", which an unfinished one ends with as well.
local function reader_of_coming(socket, left)
    return function(max)
        if left == 0 then
            return nil
        end
        local piece, words = socket:receiveany(math.min(max or CHUNK, left))
        if not piece then
            return failure("reading the client's body", words)
        end
        left = left - #piece
        return piece
    end
end

function gateway.reader()
    local length = tonumber(ngx.var.http_content_length)
    if not length and not ngx.var.http_transfer_encoding then
        return nil
    end
    local socket = length and ngx.req.socket() -- not for chunks, nor when it was read before
    if socket then
        return reader_of_coming(socket, length)
    end
    return reader_of_kept()
end

function gateway.respond(status, headers)
    ngx.status = status
    for name, value in each(headers) do
        ngx.header[name] = value
    end
    local ok, words = ngx.send_headers()
    if not ok then
        return failure("answering the client", words)
    end
    return true
end

function gateway.write(bytes)
    local ok, words = ngx.print(bytes)
    if ok then
        ok, words = ngx.flush(true)
    end
    if not ok then
        return failure("answering the client", words)
    end
    return true
end

return gateway
