-- One exchange as a handler of the loopback server sees it: a request to read and an answer to
-- write.  It holds a stream and a codec, and knows nothing of routes.
local errors = require "moonwire.error"
local headers = require "moonwire.headers"
local json = require "moonwire.json"

local TEXT_LIMIT = 64 * 1024 * 1024 -- what request:text() holds in memory

local REASONS = {
    [100] = "Continue", [200] = "OK", [201] = "Created", [202] = "Accepted", [204] = "No Content",
    [206] = "Partial Content", [301] = "Moved Permanently", [302] = "Found", [303] = "See Other",
    [304] = "Not Modified", [307] = "Temporary Redirect", [308] = "Permanent Redirect",
    [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found",
    [405] = "Method Not Allowed", [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone",
    [413] = "Content Too Large", [417] = "Expectation Failed", [418] = "I'm a Teapot",
    [429] = "Too Many Requests", [431] = "Request Header Fields Too Large",
    [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
    [503] = "Service Unavailable", [504] = "Gateway Timeout",
}

local M = {
    DRAIN_BYTES = 1024 * 1024, -- of a body that a handler left unread
}

--- The usual words for a status, "" where there are none.
---@param status integer
---@return string
function M.reason(status)
    return REASONS[status] or ""
end

-- Undoes %XX and +.
local function decode(text)
    text = text:gsub("+", " "):gsub("%%(%x%x)", function(hex)
        return string.char(tonumber(hex, 16))
    end)
    return text
end

--- Reads "a=1&b=2"; a name that comes more than once has the list of its values.
---@param text string
---@return table<string, string|string[]>
function M.parse_form(text)
    local fields = {}
    for pair in text:gmatch("[^&]+") do
        local name, value = pair:match("^([^=]*)=?(.*)$")
        name, value = decode(name), decode(value)
        local before = fields[name]
        if type(before) == "table" then
            before[#before + 1] = value
        else
            fields[name] = before and { before, value } or value
        end
    end
    return fields
end

-- What a client does wrong or a socket that breaks ends the handler; serve() knows it by this.
local function give_up(exchange, err)
    exchange.broken = err
    error(err, 0)
end

local function check(exchange, ok, code, what)
    if not ok then
        give_up(exchange, errors.from_code(code, "body", what))
    end
end

local function flush(exchange)
    local ok, err = exchange.stream:flush(exchange.h1, math.huge)
    if not ok then
        give_up(exchange, err)
    end
end

-- The request ---------------------------------------------------------------------------------

---@class moonwire.testing.Request
---@field method string
---@field target string as it was sent
---@field path string decoded, without the query
---@field query string "" when there is none
---@field args table<string, string|string[]> the query, decoded
---@field headers moonwire.core.Headers
---@field http_version string
---@field connection integer the number of its connection, 1 for the server's first
---@field tls moonwire.TlsInfo? what its connection speaks; nil without TLS
---@field trailers moonwire.core.Headers? once the body has been read
---@field ended boolean the body has been read
---@field private exchange table
local request_methods = {}
local Request = { __index = request_methods, __name = "moonwire.testing.Request" }

--- The next piece of the body; nil at its end. Raises when the client has gone.
---@param max integer? at most so many bytes
---@return string?
function request_methods:read(max)
    local exchange = self.exchange
    local h1 = exchange.h1
    while not self.ended do
        local event, detail = h1:next(max)
        if event == "body" then
            return detail
        elseif event == "end" then
            self.ended, exchange.expects = true, false
            self.trailers = h1:trailers()
        elseif event ~= "need_data" then
            give_up(exchange, errors.from_code(detail, "body", "reading the request"))
        else
            if exchange.expects and not exchange.begun then
                check(exchange, h1:send_response(100, REASONS[100]))
            end
            exchange.expects = false
            flush(exchange) -- what we have to say may be what the client waits for
            local _, err = exchange.stream:fill(h1, math.huge)
            if err then
                give_up(exchange, err)
            end
        end
    end
    return nil
end

--- The rest of the body as it comes:  for piece in request:pieces() do
---@return fun(): string?
function request_methods:pieces()
    return function()
        return self:read()
    end
end

--- The rest of the body, whole; raises when it is larger than 64 MiB.
---@return string
function request_methods:text()
    local pieces, size = {}, 0
    for piece in self:pieces() do
        size = size + #piece
        if size > TEXT_LIMIT then
            give_up(self.exchange, errors.new {
                kind = "limit",
                phase = "body",
                message = "the request's body is too large for request:text()",
            })
        end
        pieces[#pieces + 1] = piece
    end
    return table.concat(pieces)
end

-- The answer ----------------------------------------------------------------------------------

---@class moonwire.testing.Respond
---@field private exchange table
---@overload fun(status: integer, body: nil|string|table|function, fields: table?, opts: table?)
local respond_methods = {}
local Respond = { __index = respond_methods, __name = "moonwire.testing.Respond" }

-- Whether more of the request's body is still to come than is read after the answer.
local function has_too_much(exchange)
    local _, length = exchange.h1:framing()
    local _, _, received = exchange.h1:bytes()
    return not exchange.request.ended and length
        and length - (received - exchange.body_before) > M.DRAIN_BYTES
end

--- Sends the head.
---@param status integer
---@param fields table? headers, as moonwire.headers takes them
---@param framing nil|integer|string the body's length, "chunked" or "close"; nil: no body
---@param opts {close: boolean?}? close: this is the connection's last answer
function respond_methods:begin(status, fields, framing, opts)
    local exchange = self.exchange
    if exchange.begun then
        error("respond: this request has its answer already", 2)
    end
    local close = opts and opts.close or exchange.expects -- whether a body comes nobody knows
        or has_too_much(exchange)
    if framing == "chunked" and exchange.request.http_version == "1.0" then
        framing = "close"
    end
    exchange.chunked = framing == "chunked"
    exchange.silent = exchange.request.method == "HEAD" or status == 204 or status == 304
        or framing == nil or framing == 0
    check(exchange, exchange.h1:send_response(status, M.reason(status),
        headers.new(fields or {}), framing, { close = close or nil }))
    exchange.begun = true
end

--- Sends a piece of the body; nothing for HEAD and for answers without a body.
---@param text string
function respond_methods:write(text)
    local exchange = self.exchange
    if exchange.silent or text == "" then
        return
    end
    check(exchange, exchange.h1:send_body(text))
    flush(exchange)
end

--- Ends the answer.
---@param trailers table? with a chunked body
function respond_methods:finish(trailers)
    local exchange = self.exchange
    if exchange.finished then
        return
    end
    exchange.finished = true
    local last = trailers and exchange.chunked and not exchange.silent and headers.new(trailers)
    check(exchange, exchange.h1:send_end(last or nil))
    flush(exchange)
end

--- Sends an informational answer, such as 103.
---@param status integer
---@param fields table?
function respond_methods:inform(status, fields)
    local exchange = self.exchange
    check(exchange, exchange.h1:send_response(status, M.reason(status), headers.new(fields or {})))
    flush(exchange)
end

--- Whether the answer's head has been sent.
---@return boolean
function respond_methods:has_begun()
    return self.exchange.begun
end

--- Hands the stream over: the handler writes bytes itself, and the connection is closed afterwards.
---@return moonwire.Stream
function respond_methods:take_over()
    self.exchange.begun, self.exchange.raw = true, true
    return self.exchange.stream
end

local function send_whole(self, status, text, fields, opts)
    self:begin(status, fields, #text, opts)
    local exchange = self.exchange
    if not exchange.silent then
        check(exchange, exchange.h1:send_body(text))
    end
    self:finish()
end

--- Sends a whole answer. `body` is a string, a table (sent as JSON), or a function that gives the
--- next piece and nil at the end; `opts.length` is what a function will give together (without it
--- the body is chunked), `opts.trailers` a table or a function that gives one at the end.
---@param status integer
---@param body string|table|nil|fun(): string?
---@param fields table? headers, as moonwire.headers takes them
---@param opts {length: integer?, trailers: any, close: boolean?}?
function Respond:__call(status, body, fields, opts)
    if type(body) == "table" then
        local kind = fields and headers.new(fields) or headers.new {}
        if not kind:has("Content-Type") then
            kind:set("Content-Type", "application/json")
        end
        return send_whole(self, status, assert(json.encode(body)) .. "\n", kind, opts)
    elseif type(body) ~= "function" then
        return send_whole(self, status, body or "", fields, opts)
    end
    self:begin(status, fields, opts and opts.length or "chunked", opts)
    if not self.exchange.silent then
        for piece in body do
            self:write(piece)
        end
    end
    local trailers = opts and opts.trailers
    if type(trailers) == "function" then
        trailers = trailers()
    end
    return self:finish(trailers)
end

-- Both together -------------------------------------------------------------------------------

--- Makes the exchange of the head that the codec has just read.
---@param h1 moonwire.core.H1
---@param stream moonwire.Stream
---@param connection integer
---@return table exchange, moonwire.testing.Request request, moonwire.testing.Respond respond
function M.new(h1, stream, connection)
    local head = h1:head()
    local target = head.target:gsub("^%a[%w+.-]*://[^/?#]*", "") -- a proxy's form
    local path, query = target:match("^([^?]*)%??(.*)$")
    local exchange = { h1 = h1, stream = stream, begun = false, finished = false }
    local request = setmetatable({
        method = head.method,
        target = head.target,
        path = decode(path),
        query = query,
        args = M.parse_form(query),
        headers = head.headers,
        http_version = head.http_version,
        connection = connection,
        tls = stream.tls,
        ended = false,
        exchange = exchange,
    }, Request)
    local expect = head.headers:get("Expect")
    exchange.expects = expect ~= nil and expect:lower() == "100-continue"
        and head.http_version ~= "1.0"
    exchange.request = request
    exchange.body_before = select(3, h1:bytes()) -- of the requests before this one
    local respond = setmetatable({ exchange = exchange }, Respond)
    return exchange, request, respond
end

--- Reads what is left of the request's body, so that the connection can go on.
---@param exchange table
---@param deadline number
---@return boolean ended
function M.drain(exchange, deadline)
    local h1, request = exchange.h1, exchange.request
    if exchange.expects then
        return false
    end
    local _, _, start = h1:bytes()
    while not request.ended do
        local event = h1:next_discard()
        local _, _, read = h1:bytes()
        if event == "end" then
            request.ended = true
        elseif event ~= "need_data" or read - start > M.DRAIN_BYTES then
            return false
        elseif not exchange.stream:fill(h1, deadline) then
            return false
        end
    end
    return true
end

return M
