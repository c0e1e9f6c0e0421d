-- spec/simulate/reading.lua - how the simulated server reads requests: slowly, naively and
-- strictly, without a line of moonwire's codec. It answers nothing.

local reading = {}

local function fail(conn, format, ...)
    conn.broken = true
    conn.world:violate("connection %d: " .. format, conn.number, ...)
end

local function parse_fields(conn, text)
    local fields, count = {}, {}
    for line in text:gmatch "([^\r\n]*)\r\n" do
        local name, value = line:match "^([!#$%%&'*+.^_`|~%w-]+): ?(.*)$"
        if not name then
            return fail(conn, "a malformed header line was sent: %q", line)
        end
        name = name:lower()
        fields[name], count[name] = value, (count[name] or 0) + 1
    end
    if count.host ~= 1 or (count["content-length"] or 0) > 1
        or (count["transfer-encoding"] or 0) > 1
        or count["content-length"] and count["transfer-encoding"] then
        return fail(conn, "the head has not one Host and one framing: %q", text)
    end
    return fields
end

local function body_framing(conn, exchange, fields)
    if fields["transfer-encoding"] then
        if fields["transfer-encoding"] ~= "chunked" then
            return fail(conn, "Transfer-Encoding: %s", fields["transfer-encoding"])
        end
        exchange.chunked = true
        return "size"
    elseif not fields["content-length"] then
        return "done"
    end
    exchange.left = tonumber(fields["content-length"]:match "^%d+$")
    if not exchange.left then
        return fail(conn, "Content-Length: %s", fields["content-length"])
    end
    exchange.declared = exchange.left
    return exchange.left > 0 and "length" or "done"
end

local function read_head(conn)
    local _, last = conn.buffer:find("\r\n\r\n", 1, true)
    if not last then
        return nil
    end
    local text = conn.buffer:sub(1, last - 2)
    conn.buffer = conn.buffer:sub(last + 1)
    local method, id, rest = text:match "^(%u+) /r(%d+) HTTP/1%.1\r\n(.*)$"
    if not method then
        return fail(conn, "a malformed request was sent: %q", text:sub(1, 80))
    end
    local request = conn.world.requests[tonumber(id)]
    local fields = parse_fields(conn, rest)
    if not fields then
        return nil
    elseif not request or request.method ~= method then
        return fail(conn, "%s /r%s is no request of ours", method, id)
    end
    local place = conn.place
    if request.place ~= place or fields.host ~= (place.name or place.host) then
        return fail(conn, "request %s has come to %s, for %s", id, place.host, fields.host)
    end
    local exchange = conn.exchange
    exchange.request, exchange.received = request, 0
    exchange.expects = fields.expect == "100-continue"
    local state = body_framing(conn, exchange, fields)
    if state then
        conn.on_head(conn, exchange)
    end
    return state
end

-- Bytes of the body: they must be those that the request has there.
local function take_body(conn, data)
    local exchange = conn.exchange
    local from = exchange.received + 1
    exchange.received = exchange.received + #data
    local expected = exchange.request.body_text
    if exchange.received > #expected or expected:sub(from, exchange.received) ~= data then
        return fail(conn, "the body of request %d is wrong from byte %d on", exchange.request.id,
            from)
    end
    conn.on_body(conn, exchange)
    return true
end

local function take_some(conn)
    local exchange = conn.exchange
    local data = conn.buffer:sub(1, exchange.left)
    if data == "" then
        return false
    end
    conn.buffer = conn.buffer:sub(#data + 1)
    exchange.left = exchange.left - #data
    return take_body(conn, data)
end

local states = {}

function states.between(conn)
    if conn.buffer == "" then
        return nil
    end
    conn.exchange = { number = conn.served + 1, conn = conn }
    conn.on_begin(conn, conn.exchange)
    return "head"
end

states.head = read_head

function states.length(conn)
    if not take_some(conn) then
        return nil
    end
    return conn.exchange.left == 0 and "done" or "length"
end

function states.size(conn)
    local line = conn.buffer:match "^([^\n]*)\n"
    if not line then
        return nil
    end
    local digits = line:match "^(%x+)\r$"
    if not digits then
        return fail(conn, "a malformed chunk was sent: %q", line)
    end
    conn.buffer = conn.buffer:sub(#line + 2)
    conn.exchange.left = tonumber(digits, 16)
    return conn.exchange.left > 0 and "data" or "last"
end

function states.data(conn)
    if not take_some(conn) then
        return nil
    end
    return conn.exchange.left == 0 and "behind" or "data"
end

local function expect_line(conn, next_state)
    if #conn.buffer < 2 then
        return nil
    elseif conn.buffer:sub(1, 2) ~= "\r\n" then
        return fail(conn, "%q stands where a chunk ends", conn.buffer:sub(1, 2))
    end
    conn.buffer = conn.buffer:sub(3)
    return next_state
end

function states.behind(conn)
    return expect_line(conn, "size")
end

function states.last(conn)
    return expect_line(conn, "done")
end

-- Whether a body that has ended was the whole one.
local function check_whole(conn, exchange)
    local request, fault = exchange.request, exchange.request.fault
    local whole = exchange.received == #request.body_text
    if fault == "long" then
        whole = exchange.received == exchange.declared
    elseif fault == "short" or fault and exchange.chunked then
        whole = false
    end
    if not whole then
        fail(conn, "%d of %d bytes were passed off as the whole body of request %d (%s)",
            exchange.received, #request.body_text, request.id, fault or "no fault")
    end
end

function states.done(conn)
    local exchange = conn.exchange
    if not exchange.complete then
        exchange.complete = true
        check_whole(conn, exchange)
        conn.on_complete(conn, exchange)
    end
    if not exchange.finished then
        if conn.buffer ~= "" then
            fail(conn, "bytes behind request %d before it was answered", exchange.request.id)
        end
        return nil
    end
    conn.served = conn.served + 1
    return "between"
end

--- Takes in what the client has sent.
---@param conn table of server.lua
---@param data string
function reading.feed(conn, data)
    conn.buffer = conn.buffer .. data
    reading.go_on(conn)
end

--- Goes on as far as that is possible.
function reading.go_on(conn)
    if conn.stepping then
        return
    end
    conn.stepping = true
    while not conn.broken do
        local state = states[conn.state](conn)
        if not state then
            break
        end
        conn.state = state
    end
    conn.stepping = false
end

return reading
