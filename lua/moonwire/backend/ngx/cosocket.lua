-- A socket object over a cosocket of nginx. A cosocket has no step that tries: it is read and
-- written inside the wait, and what it gave is handed out by the step that follows. While other
-- light threads run that could cancel, the wait is in one of its own, and the caller can be woken.
local core = require "moonwire.core"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local EAGAIN, EOF, ECLOSED, ETIMEOUT = core.EAGAIN, core.EOF, core.ECLOSED, core.ETIMEOUT
local codes = core.codes
local ceil, huge, max, min = math.ceil, math.huge, math.max, math.min

local READ_MOST = 65536 -- bytes in one piece
local PIECE = 65536 -- bytes that are sent in one step
local BURST = 16384 -- bytes that the system takes at once from who has just heard from its peer
local LONGEST = 86400000 -- milliseconds
local SLICE = 10000 -- milliseconds that a read may outlive who wanted it

---@class moonwire.Cosocket
---@field private sock table
---@field private backend moonwire.NgxBackend
---@field private address table
---@field private data string|false read, and not yet taken
---@field private read_code integer|false why nothing more comes
---@field private out string|false to be sent
---@field private sent integer|false of `out`, as the next send says
---@field private write_code integer|false why nothing more goes
---@field private burst integer bytes sent since the peer was heard
---@field private shaking table? TLS that the next handshake is for
---@field private jobs table<string, table> what is under way in a light thread, by direction
---@field private here integer steps under way in the caller's own
---@field private closed boolean
---@field private session userdata? of TLS
---@field private detail string? what TLS said
local methods = {}
local Cosocket = { __index = methods, __name = "moonwire.Cosocket" }

-- Words of nginx -> codes -------------------------------------------------------------------------

--- The code for what a cosocket says.
---@param words string
---@return integer
local function code_of(words)
    local code = core.error_code(words)
    if words == "timeout" then
        return ETIMEOUT
    elseif words == "closed" then
        return EOF
    elseif code then
        return code
    elseif words:find "no resolver defined" or words:find "could not be resolved" then
        return words:find("3: Host not found", 1, true) and codes.ENOTFOUND or codes.ERESOLVE
    elseif words:find "too many waiting connect" then
        return codes.EBUSY
    end
    return codes.ESTATE
end

-- Steps: each waits in nginx for `ms` at most, and gives a code -----------------------------------

local function set_timeouts(self, read, write)
    self.read_ms, self.write_ms = read or self.read_ms, write or self.write_ms
    self.sock:settimeouts(self.connect_ms, self.write_ms, self.read_ms)
end

local steps = {}

function steps.connect(self, ms)
    local address = self.address
    self.connect_ms = ms
    set_timeouts(self)
    local ok, words
    if address.from then
        if not self.sock.bind then
            self.detail = "its cosockets have no bind(): leave local_address out"
            return codes.ESTATE
        end
        ok, words = self.sock:bind(address.from)
        if not ok then
            self.detail = words
            return code_of(words)
        end
    end
    local pool = address.pool
    local opts = pool and { pool = pool.name, pool_size = pool.size, backlog = pool.queue } or nil
    if address.family == "unix" then
        ok, words = self.sock:connect("unix:" .. address.address, opts)
    elseif address.family == "ipv6" then
        ok, words = self.sock:connect("[" .. address.address .. "]", address.port, opts)
    else
        ok, words = self.sock:connect(address.address, address.port, opts)
    end
    if ok then
        self.connected = true
        return 0
    end
    self.detail = words
    return code_of(words)
end

-- What was wrong with a handshake: a code, and words.
local function explain_handshake(words)
    local what = words:gsub("^%d+: ", "")
    if words == "timeout" then
        return ETIMEOUT, words
    elseif words == "closed" or core.error_code(words) then
        return code_of(words), words
    elseif what:find "^ssl set client" then
        return codes.ETLS, what .. " (does tls.key belong to tls.cert?)"
    elseif what ~= words or what:find("certificate", 1, true) then
        return codes.ETLS_CERTIFICATE, what .. " (CAs: lua_ssl_trusted_certificate)"
    end
    return codes.ETLS, what
end

function steps.handshake(self, ms)
    local wanted = self.shaking
    set_timeouts(self, ms, ms)
    self.connect_ms = ms -- what nginx takes for a handshake
    set_timeouts(self)
    local ok, words
    if wanted.cert and not self.sock.setclientcert then
        self.detail = "this nginx's cosockets have no setclientcert(): leave tls.cert out"
        return codes.ETLS
    elseif wanted.cert then
        ok, words = self.sock:setclientcert(wanted.cert, wanted.key)
        if not ok then
            self.detail = words
            return codes.ETLS
        end
    end
    ok, words = self.sock:sslhandshake(wanted.session, wanted.server_name, wanted.verify)
    if ok then
        self.shaking = nil
        self.session = type(ok) == "userdata" and ok or nil
        return 0
    end
    local code
    code, self.detail = explain_handshake(words)
    return code
end

function steps.read(self, ms)
    if self.read_ms ~= ms then
        set_timeouts(self, ms)
    end
    local data, words = self.sock:receiveany(READ_MOST)
    if data then
        self.data, self.burst = data, 0
        return 0
    elseif words == "timeout" then
        return ETIMEOUT
    end
    self.read_code = code_of(words)
    return 0
end

function steps.write(self, ms)
    if self.write_ms ~= ms then
        set_timeouts(self, nil, ms)
    end
    local out = self.out
    local n, words = self.sock:send(out)
    self.out = false
    if n then
        self.sent, self.burst = #out, self.burst + #out
        return 0
    elseif words == "closed" then
        self.write_code = core.error_code "broken pipe"
        return 0
    end
    self.write_code = code_of(words) -- nobody knows how much of it has gone
    return words == "timeout" and ETIMEOUT or 0
end

-- A cosocket raises in any request but its own.
local function take_step(self, name, ms)
    local ok, code = pcall(steps[name], self, ms)
    if ok then
        return code
    elseif type(code) ~= "string" or not code:find "bad request$" then
        error(code, 0)
    end
    self.read_code, self.write_code, self.out = ECLOSED, ECLOSED, false
    self.detail = "it belongs to another request of nginx"
    return ECLOSED
end

local function milliseconds(ends)
    if ends == huge then
        return LONGEST
    end
    return min(max(1, ceil((ends - core.now()) * 1000)), LONGEST)
end

-- nginx counts from when its loop last woke, so a timeout may come early.
local function step_here(self, handle, name, ends)
    local code
    self.here = self.here + 1
    handle:hold()
    repeat
        code = take_step(self, name, milliseconds(ends))
    until code ~= ETIMEOUT or name ~= "read" or core.now() >= ends
    self.here = self.here - 1
    local woken = handle:release()
    if self.closed then
        self.sock:close()
        return ECLOSED
    end
    return woken or code
end

-- What a light thread does. It may go on when nobody waits for it any more: what it brings is there
-- for the next one.
local function step_aside(self, name, job)
    local code = take_step(self, name, name == "read" and SLICE or LONGEST)
    self.jobs[name] = nil
    job.code = name == "read" and 0 or code
    if job.handle then
        job.handle:wake(job.code)
    end
end

local function start_aside(self, name, keeper)
    local job = { keeper = keeper, handle = false, code = false }
    self.jobs[name], keeper.sockets[self] = job, true
    job.job = keeper:start(step_aside, self, name, job)
    return job
end

--- Waits for a step that said EAGAIN.
---@param handle moonwire.Parking of the calling thread
---@param direction "read"|"write"|"connect"
---@param seconds number? nil: for as long as it takes
---@return integer code 0, or above: the step can be tried again
function methods:wait(handle, direction, seconds)
    local name = self.shaking and "handshake" or direction
    local ends = seconds and core.now() + seconds or huge
    local job = self.jobs[name]
    if self.closed then
        return ECLOSED
    elseif not job then
        if name == "write" and not self.out or name == "read" and (self.data or self.read_code) then
            return 0
        end
        local keeper = self.backend:keeper()
        if keeper.busy == 0 then
            return step_here(self, handle, name, ends)
        end
        job = start_aside(self, name, keeper)
    end
    job.handle = handle
    local code = handle:wait(seconds)
    job.handle = false
    return code
end

-- The steps of a socket object --------------------------------------------------------------------

--- Connects, inside a wait.
---@param handle moonwire.Parking
---@param seconds number?
---@return integer code
function methods:connect(handle, _, seconds)
    return self:wait(handle, "connect", seconds)
end

--- What the host said where a code is too little.
---@return string?
function methods:error_detail()
    return self.detail
end

function methods:recv(most)
    local data = self.data
    if self.closed then
        return nil, ECLOSED
    elseif not data then
        return nil, self.read_code or EAGAIN
    elseif #data > most then
        self.data = data:sub(most + 1)
        return data:sub(1, most)
    end
    self.data = false
    return data
end

methods.recv_now = methods.recv

function methods:recv_into(h1)
    local data, code = self:recv(READ_MOST)
    if not data then
        return nil, code
    end
    h1:feed(data)
    return #data
end

-- Sends what is to go, where the system has room for it; else that is for the wait.
local function send_out(self, piece)
    self.out = piece
    if self.burst + #piece > BURST then
        return nil, EAGAIN
    end
    take_step(self, "write", self.write_ms)
    return nil, self.write_code or nil
end

-- Why nothing can be sent now: a code, or nil.
local function obstacle(self)
    return self.closed and ECLOSED or self.write_code or self.out and EAGAIN or nil
end

--- Bytes of the data; those that were told of by an EAGAIN before count once they are out.
function methods:send(data, from)
    local n, code = self.sent, obstacle(self)
    if n and not self.closed then
        self.sent = false
        return n
    elseif code then
        return nil, code
    end
    send_out(self, data:sub(from, from + PIECE - 1))
    n = self.sent
    self.sent = false
    if n then
        return n
    end
    return nil, obstacle(self)
end

function methods:send_from(h1)
    while true do
        local n = self.sent
        if n and not self.closed then
            self.sent = false
            h1:output_sent(n)
        end
        local code = obstacle(self)
        if code then
            return nil, code
        elseif not h1:has_output() then
            return true
        end
        send_out(self, h1:output(PIECE))
    end
end

--- A cosocket shows nothing of what has not been read.
function methods:is_quiet()
    return not self.data and not self.read_code and not self.closed
end

function methods:guard() end

function methods:handshake()
    if self.closed then
        return nil, ECLOSED
    elseif self.shaking then
        return nil, EAGAIN, "read"
    end
    return true
end

--- Has the next handshake go over to TLS.
---@param context moonwire.TlsContext
---@param name string whom the certificate must name
---@param session userdata? of an earlier connection
---@return moonwire.Cosocket? socket the same
---@return integer? code ESTATE: it speaks TLS already
function methods:start_tls(context, name, session)
    if self.is_secure then
        return nil, codes.ESTATE
    end
    self.shaking, self.is_secure = {
        server_name = name, verify = context.verify, session = session,
        cert = context.core.cert, key = context.core.key,
    }, true
    return self
end

--- nginx tells nothing of what was agreed on.
function methods:info() -- luacheck: ignore 212
    return nil, nil, nil, false
end

function methods:take_session()
    local session = self.session
    self.session = nil
    return session
end

function methods:shutdown()
    if self.closed then
        return nil, ECLOSED
    elseif not self.sock.shutdown then
        return nil, codes.ESTATE
    elseif self.sent or self.out then
        return nil, EAGAIN
    end
    local ok, words = self.sock:shutdown "send"
    return ok, not ok and code_of(words) or nil
end

--- Gives the connection to nginx's pool.
---@param seconds number
---@return boolean? ok, integer? code
function methods:keep(seconds)
    if self.closed then
        return nil, ECLOSED
    elseif self.data or self.read_code or self.write_code or self.out or self.shaking
        or next(self.jobs) or self.here > 0 then
        return nil, codes.ESTATE
    end
    local ok, words = self.sock:setkeepalive(max(1, ceil(seconds * 1000)))
    if ok then
        self.closed = true
        return true
    end
    return nil, code_of(words)
end

function methods:reused_times()
    local times = self.sock:getreusedtimes()
    return times or 0
end

--- Closes; a wait in a light thread is ended with it, and whoever waits for that is woken.
function methods:close()
    if self.closed then
        return
    end
    self.closed, self.data = true, false
    local begun = false
    for name, job in each(self.jobs) do
        self.jobs[name] = nil
        begun = job.keeper:stop(job.job) or begun
        if job.handle then
            job.handle:wake(ECLOSED)
        end
    end
    if not begun and self.here == 0 then
        pcall(self.sock.close, self.sock) -- it raises in another request than its own
    end
end

function methods:is_closed()
    return self.closed
end

function methods:peer()
    local address = self.address
    return address.address, address.port, address.family ~= "name" and address.family or nil
end

function methods:name() end

function methods:fd() end

local cosocket = {}

--- Makes a socket object; nothing is connected yet.
---@param backend moonwire.NgxBackend
---@param sock table of ngx.socket.tcp()
---@param address table as for backend:connect
---@return moonwire.Cosocket
function cosocket.new(backend, sock, address)
    return setmetatable({
        sock = sock, backend = backend, address = address, data = false, read_code = false,
        out = false, sent = false, write_code = false, burst = 0, jobs = {}, here = 0,
        closed = false, connect_ms = 60000, read_ms = 60000, write_ms = 60000,
    }, Cosocket)
end

return cosocket
