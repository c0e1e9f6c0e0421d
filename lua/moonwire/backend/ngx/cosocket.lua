-- A socket object over a cosocket of nginx. A cosocket has no step that tries: it is read and
-- written inside the wait, and what it gave is handed out by the step that follows. While other
-- light threads run that could cancel, the wait is in one of its own, and the caller can be woken.
local core = require "moonwire.core"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua
local steps = require "moonwire.backend.ngx.steps"
local lua_steps = require "moonwire.backend.steps"

local EAGAIN, ECLOSED, ETIMEOUT = core.EAGAIN, core.ECLOSED, core.ETIMEOUT
local codes = core.codes
local ceil, huge, max, min = math.ceil, math.huge, math.max, math.min

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
        code = steps.take(self, name, milliseconds(ends))
    until code ~= ETIMEOUT or name ~= "read" or core.now() >= ends
    self.here = self.here - 1
    local woken = handle:release()
    if self.closed then
        self.sock:close()
        return ECLOSED
    end
    return woken or code
end

-- Connects to a name, in a light thread that is ended when the time is over: nginx's resolver knows
-- no limit but its own. Mostly it is over at once, with a connection out of the pool.
local function connect_beside(self, handle, ends)
    local host, code = self.backend.host, nil
    local child = host.spawn(function()
        code = steps.take(self, "connect", milliseconds(ends))
        handle:wake(0)
    end)
    local woken = 0
    while not code and woken >= 0 do -- whoever else wakes the thread doesn't end it
        woken = handle:wait(ends < huge and ends - core.now() or nil)
    end
    if code then
        host.wait(child) -- it has ended: only now nginx forgets it
        return code
    end
    host.kill(child)
    return woken
end

-- What a light thread does. It may go on when nobody waits for it any more: what it brings is there
-- for the next one.
local function step_aside(self, name, job)
    local code = steps.take(self, name, name == "read" and SLICE or LONGEST)
    self.jobs[name] = nil
    if self.closed then -- and the step was over before the keeper could end it
        self.sock:close()
    end
    self.refused = name == "connect" and code < 0 and code
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
    elseif self.refused then
        return self.refused -- while the thread was woken by something else
    elseif not job then
        if name == "write" and not self.out or name == "read" and (self.data or self.read_code) then
            return 0
        end
        local keeper = self.backend:keeper()
        if keeper.busy == 0 and name == "connect" and self.address.family == "name" then
            return connect_beside(self, handle, ends)
        elseif keeper.busy == 0 then
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
    local ends = seconds and core.now() + seconds
    local code
    repeat
        code = self:wait(handle, "connect", ends and max(0, ends - core.now()))
    until code < 0 or self.connected
    return code
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

methods.recv_into = lua_steps.recv_into

-- Sends what is to go, where the system has room for it; else that is for the wait.
local function send_out(self, piece)
    self.out = piece
    if self.burst + #piece > BURST then
        return nil, EAGAIN
    end
    steps.take(self, "write", self.write_ms)
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
    self.session = false
    return session or nil
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
    return ok, not ok and steps.code_of(words) or nil
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
    return nil, steps.code_of(words)
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
        closed = false, connected = false, refused = false, shaking = false, is_secure = false,
        session = false, detail = false, connect_ms = 60000, read_ms = 60000, write_ms = 60000,
    }, Cosocket)
end

return cosocket
