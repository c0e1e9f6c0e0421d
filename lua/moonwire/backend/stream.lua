-- Streams: bytes in order over a socket object of a backend (moonwire.core.Tcp or the mock's). It
-- tries a step and, when that would block, waits once through the backend; it knows no HTTP.
local bulk = require "moonwire.backend.bulk"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local steps = require "moonwire.backend.steps"
local stream_tls = require "moonwire.backend.stream_tls"
local thread = require "moonwire.backend.thread"
local tls = require "moonwire.backend.tls"

local EAGAIN, EOF, ECLOSED = core.EAGAIN, core.EOF, core.ECLOSED
local STIRRED = core.STIRRED
local huge, min = math.huge, math.min
local CHUNK = 65536

--- Deadlines are absolute times of moonwire.now(), math.huge when not given. A second waiter in the
--- same direction raises. On a closed stream every method gives nil and an error (kind "closed").
---@class moonwire.Stream
---@field backend moonwire.Backend
---@field label string who is on the other side, for messages: "127.0.0.1:80"
---@field timing {dns: number, connect: number, tls: number?}? seconds it took to open it, of one
---  that was dialed
---@field tls moonwire.TlsInfo? what is spoken, once the handshake is done; of the last TLS over it
---@field private core moonwire.core.Tcp
---@field private step function the core's wait
---@field private steps moonwire.core.Tcp|moonwire.Steps what takes the steps of an exchange
---@field private buffer string bytes read but not taken yet
---@field private reading boolean a thread waits to read
---@field private writing boolean a thread waits in the middle of a write
---@field private watcher fun(argument: any)? of watch()
---@field private token number? what the backend calls the stream by
local methods = {}
local Stream = { __index = methods, __name = "moonwire.Stream" }

local function check_reader(self)
    if self.reading then
        error("another task already reads from this stream", 3)
    end
end

local function check_writer(self)
    if self.writing then
        error("another task already writes to this stream", 3)
    end
end

local function wait_to_read(self, deadline, now)
    local backend = self.backend
    if not now then -- else whoever sent has called it
        thread.check(backend)
    end
    self.reading = true
    local code = thread.park_checked(backend, deadline or huge, self.core, self.step, "read", now)
    self.reading = false
    return code
end

local function wait_to_write(self, deadline)
    local backend = self.backend
    thread.check(backend)
    self.writing = true
    local code = thread.park_checked(backend, deadline or huge, self.core, self.step, "write")
    self.writing = false
    return code
end

local function read_error(self, code, extra)
    return nil, tls.explain(self.core, code,
        errors.from_code(code, "body", "reading from " .. self.label, extra))
end

local function write_error(self, code)
    return nil, tls.explain(self.core, code,
        errors.from_code(code, "write", "writing to " .. self.label))
end

-- The next bytes from the socket: data, or nil and a code (EOF among them).
local function receive(self, max, deadline)
    while true do
        local data, code = self.core:recv(max)
        if data then
            return data
        elseif code ~= EAGAIN then
            return nil, code
        end
        code = wait_to_read(self, deadline)
        if code < 0 then
            return nil, code
        end
    end
end

--- Reads the next bytes, as soon as there are any.
---@param max integer? at most so many bytes; 65536 when not given
---@param deadline number?
---@return string? bytes nil at the end of the stream
---@return moonwire.Error? err
function methods:read(max, deadline)
    max = max or CHUNK
    if type(max) ~= "number" or max < 1 then
        errors.argument(2, "max", "a number of bytes above 0", max)
    end
    check_reader(self)
    local buffer = self.buffer
    if buffer ~= "" then
        self.buffer = buffer:sub(max + 1)
        return buffer:sub(1, max)
    end
    local data, code = receive(self, max, deadline)
    if data then
        return data
    elseif code == EOF then
        return nil
    end
    return read_error(self, code)
end

--- For connections: reads what is there already and never waits.
---@param max integer?
---@return string? bytes "": nothing is there now; nil at the end of the stream
---@return moonwire.Error? err
function methods:read_now(max)
    check_reader(self)
    max = max or CHUNK
    local buffer = self.buffer
    if buffer ~= "" then
        self.buffer = buffer:sub(max + 1)
        return buffer:sub(1, max)
    end
    local data, code = self.core:recv_now(max)
    if data then
        return data
    elseif code == EAGAIN then
        return ""
    elseif code == EOF then
        return nil
    end
    return read_error(self, code)
end

--- For connections: puts bytes back: they are what is read next.
---@param bytes string
function methods:unread(bytes)
    errors.check(2, "bytes", "string", bytes)
    self.buffer = bytes .. self.buffer
end

--- Reads exactly n bytes.
---@param n integer
---@param deadline number?
---@return string? bytes
---@return moonwire.Error? err kind "closed" when the stream ends before; err.partial has what came
function methods:read_exactly(n, deadline)
    if type(n) ~= "number" or n < 0 or n % 1 ~= 0 then
        errors.argument(2, "n", "a number of bytes", n)
    end
    check_reader(self)
    local pieces, count, have = { self.buffer }, 1, #self.buffer
    while have < n do
        local data, code = receive(self, math.min(n - have, CHUNK), deadline)
        if not data then
            local all = table.concat(pieces)
            if code == EOF or code == ECLOSED then
                self.buffer = ""
                return read_error(self, code, { partial = all })
            end
            self.buffer = all -- a later read may go on
            return read_error(self, code, { partial = all })
        end
        count, have = count + 1, have + #data
        pieces[count] = data
    end
    local all = table.concat(pieces)
    self.buffer = all:sub(n + 1)
    return all:sub(1, n)
end

--- Reads up to and with a delimiter.
---@param delimiter string
---@param max integer? most bytes to look through, 65536 when not given
---@param deadline number?
---@return string? bytes with the delimiter; nil when the stream ended before the first byte
---@return moonwire.Error? err kind "limit" when max bytes hold no delimiter, "closed" (with
---  err.partial) when the stream ended without one
function methods:read_until(delimiter, max, deadline)
    errors.check(2, "delimiter", "string", delimiter)
    if delimiter == "" then
        errors.argument(2, "delimiter", "a string that is not empty", delimiter)
    end
    check_reader(self)
    max = max or CHUNK
    local from = 1
    while true do
        local buffer = self.buffer
        local _, last = buffer:find(delimiter, from, true)
        if last and last <= max then
            self.buffer = buffer:sub(last + 1)
            return buffer:sub(1, last)
        elseif #buffer >= max then
            return nil, errors.new {
                kind = "limit", phase = "body",
                message = ("reading from %s: no delimiter within %d bytes"):format(self.label, max),
            }
        end
        from = math.max(1, #buffer - #delimiter + 2)
        local data, code = receive(self, CHUNK, deadline)
        if data then
            self.buffer = self.buffer .. data
        elseif code == EOF and self.buffer == "" then
            return nil
        else
            local partial = self.buffer
            if code == EOF then
                self.buffer = ""
            end
            return read_error(self, code, { partial = partial })
        end
    end
end

--- Writes all of it, waiting as needed.
---@param data string|string[]
---@param deadline number?
---@return true? ok
---@return moonwire.Error? err
function methods:write(data, deadline)
    if type(data) == "table" then
        data = table.concat(data)
    end
    errors.check(2, "data", "string", data)
    check_writer(self)
    local from, length = 1, #data
    while from <= length do
        local n, code = self.core:send(data, from)
        if n then
            from = from + n
        elseif code ~= EAGAIN then
            return write_error(self, code)
        else
            code = wait_to_write(self, deadline)
            if code < 0 then
                return write_error(self, code)
            end
        end
    end
    if length == 0 and self.core:is_closed() then
        return write_error(self, ECLOSED)
    end
    return true
end

--- For connections: sends a request that goes out whole, as far as that is possible at once, unless
--- something stands against it.
---@param h1 moonwire.core.H1 ready for a request
---@param head moonwire.core.RequestHead
---@param text string? its body
---@param co thread? the coroutine that will wait for the answer, where it is one
---@param limit number by when it has to be sent
---@param at number? the time, for who has just looked
---@return integer code 0; EAGAIN: some of it is still to be sent (flush does that); another below
---  0: an error. Where nothing was sent: STIRRED, there is something to read, or the end; LATE,
---  the limit has passed; STUCK, `co` can't wait here
---@return number now
---@return moonwire.Error? err
function methods:ask(h1, head, text, co, limit, at)
    check_writer(self)
    if self.buffer ~= "" then
        return STIRRED, at or self.backend:now()
    end
    local code, now = self.steps:ask(h1, head, text, co, limit, at)
    if code < 0 and code ~= EAGAIN then
        local _, err = write_error(self, code)
        return code, now, err
    end
    return code, now
end

--- For connections: reads once, and gives what that is of a response: see H1:next_answer.
---@param h1 moonwire.core.H1 it must have said "need_data", or have been asked
---@param deadline number?
---@param asked number? the time, for who has just asked: the answer can't be there yet
---@param ends boolean? an exchange that is complete with it may be ended at once, as by finish()
---@return string? event
---@return any status_or_error, string? reason, string? http_version
---@return moonwire.core.Headers? headers
---@return string? text, string? after, any detail
---@return number? now
---@return boolean? reusable, number|string|nil timeout_or_reason, integer? max as from finish(),
---  where the exchange was ended
function methods:answer(h1, deadline, asked, ends)
    check_reader(self)
    local buffer = self.buffer
    if buffer ~= "" then
        self.buffer = ""
        h1:feed(buffer)
        return h1:next_answer()
    end
    local code = asked and wait_to_read(self, deadline, asked) or 0
    while code >= 0 do
        local event, status, reason, version, headers, text, after, detail, now, reusable, why, max
            = self.steps:answer(h1, ends)
        if event or reason ~= "socket" then
            return event, status, reason, version, headers, text, after, detail, now, reusable, why,
                max
        end
        code = status == EAGAIN and wait_to_read(self, deadline) or status
    end
    local _, err = read_error(self, code)
    return nil, err, "stream"
end

--- For connections: ends an exchange: see H1:finish. When another may follow, watch() is as it was
--- before.
---@param h1 moonwire.core.H1
---@return boolean reusable, number|string|nil timeout_or_reason, integer? max
function methods:finish(h1)
    return self.steps:finish(h1)
end

--- For connections: reads once, straight into a codec.
---@param h1 moonwire.core.H1 it must have said "need_data"
---@param deadline number?
---@return integer? n bytes; nil without an error: the stream ended, and h1:feed_eof() was called
---@return moonwire.Error? err
function methods:fill(h1, deadline)
    check_reader(self)
    local buffer = self.buffer
    if buffer ~= "" then
        self.buffer = ""
        h1:feed(buffer)
        return #buffer
    end
    local code = 0
    while code >= 0 do
        local n
        n, code = self.core:recv_into(h1)
        if n then
            return n
        elseif code == EOF then
            h1:feed_eof()
            return nil
        elseif code == EAGAIN then
            code = wait_to_read(self, deadline)
        end
    end
    return read_error(self, code)
end

--- For connections: sends all that a codec has to say, waiting as needed.
---@param h1 moonwire.core.H1
---@param deadline number?
---@param idle number? seconds that the peer may take nothing
---@param on_wait fun()? is called before each wait
---@return true? ok
---@return moonwire.Error? err
function methods:flush(h1, deadline, idle, on_wait)
    check_writer(self)
    deadline = deadline or huge
    while true do
        local ok, code = self.core:send_from(h1)
        if ok then
            return true
        elseif code ~= EAGAIN then
            return write_error(self, code)
        end
        if on_wait then
            on_wait()
        end
        code = wait_to_write(self, idle and min(deadline, self.backend:now() + idle) or deadline)
        if code < 0 then
            return write_error(self, code)
        end
    end
end

--- For connections: sends what a codec has to say as far as that is possible at once.
---@param h1 moonwire.core.H1
---@return boolean? done false: some of it is still to be sent (flush does that)
---@return moonwire.Error? err
function methods:try_flush(h1)
    check_writer(self)
    local ok, code = self.core:send_from(h1)
    if ok then
        return true
    elseif code == EAGAIN then
        return false
    end
    return write_error(self, code)
end

local own = {
    check_reader = check_reader,
    check_writer = check_writer,
    wait_to_read = wait_to_read,
    wait_to_write = wait_to_write,
    read_error = read_error,
    write_error = write_error,
}
bulk.add(methods, own)
stream_tls.add(methods, own)

--- Ends our direction; reading goes on. It waits only where TLS still has something to send.
---@param deadline number?
---@return true? ok
---@return moonwire.Error? err
function methods:shutdown(deadline)
    local ok, code = self.core:shutdown()
    while not ok and code == EAGAIN do
        check_writer(self)
        code = wait_to_write(self, deadline)
        if code < 0 then
            break
        end
        ok, code = self.core:shutdown()
    end
    if ok then
        return true
    end
    return write_error(self, code)
end

--- Closes at once; whoever waits on the stream is given an error of kind "closed". Twice is
--- harmless.
function methods:close()
    self.buffer = ""
    self.core:close()
end

--- Whether this side has closed it.
---@return boolean
function methods:is_closed()
    return self.core:is_closed()
end

--- For connections: where the host keeps idle connections (capability pool_owned_by_host): gives it
--- this one, under the name it was opened with. For us the stream is closed then, whatever comes
--- back.
---@param seconds number how long it may stay unused
---@return true? ok
---@return moonwire.Error? err it wasn't fit to be kept
function methods:keep(seconds)
    local left = self.buffer ~= "" or self.reading or self.writing
    local ok, code
    if left then
        code = core.codes.ESTATE
    else
        ok, code = self.core:keep(seconds)
    end
    self:close()
    if ok then
        return true
    end
    return nil, errors.from_code(code, nil, "keeping the connection to " .. self.label)
end

--- For connections: how often its connection was taken out of the host's pool: 0 for a new one.
---@return integer
function methods:reused_times()
    return self.core.reused_times and self.core:reused_times() or 0
end

--- For connections: whether a task waits to read from it.
---@return boolean
function methods:has_reader()
    return self.reading
end

--- For connections: whether there is nothing to read and no end: fit for another request.
---@return boolean
function methods:is_quiet()
    return self.buffer == "" and self.core:is_quiet()
end

--- For connections: has `call(argument)` run in a thread of its own, once, when there is something
--- to read, or the end, while nobody waits to read. A wait to read, a byte written and close take
--- that back.
---@param call fun(argument: any)
---@param argument any
function methods:watch(call, argument)
    self.watcher, self.watched = call, argument
    self.backend:guard(self, self.core)
end

--- For the backend: what watch() waited for is there.
---@package
function methods:stirred()
    self.backend:start(self.watcher, self.watched)
end

--- The other side's address.
---@return string? address, integer? port, string? family "ipv4" "ipv6" "unix"
function methods:peer()
    return self.core:peer()
end

--- Our side's address.
---@return string? address, integer? port, string? family
function methods:name()
    return self.core:name()
end

local stream = {}

--- Makes a stream of an open socket object. It owns the socket from here on.
---@param backend moonwire.Backend
---@param socket moonwire.core.Tcp
---@param label string? who is on the other side, for messages
---@return moonwire.Stream
function stream.new(backend, socket, label)
    local self = setmetatable({ -- with room for 16 fields, which nine constants make
        backend = backend, core = socket, step = false, steps = false, label = false, buffer = "",
        reading = false, writing = false, token = false, watcher = false, watched = false,
    }, Stream)
    self.step, self.label = socket.wait, label or "the peer"
    self.steps = steps.of(self)
    return self
end

--- Writes an address as a person does: "127.0.0.1:80", "[::1]:80", or a unix socket's path.
---@param address {family: string, address: string, port: integer?}
---@return string
function stream.label(address)
    if address.family == "unix" then
        return address.address
    elseif address.family == "ipv6" then
        return ("[%s]:%d"):format(address.address, address.port)
    end
    return ("%s:%d"):format(address.address, address.port)
end

return stream
