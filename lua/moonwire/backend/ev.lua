-- The backend over libev: real sockets, real time. It only starts steps of the C core and parks
-- threads in its loop.
local core = require "moonwire.core"
local errors = require "moonwire.error"
local forward = require "moonwire.backend.forward"
local listener = require "moonwire.backend.listener"
local stream = require "moonwire.backend.stream"
local thread = require "moonwire.backend.thread"

---@class moonwire.EvBackend: moonwire.Backend
---@field loop moonwire.core.Loop
---@field private dns moonwire.core.Dns?
---@field private guarded table<number, moonwire.Stream> by token; weak
---@field private last_token number
local methods = {}
local Ev = { __index = methods, __name = "moonwire.EvBackend" }

local function new_handle(self, co, ...)
    return self.loop:thread(co, ...)
end

function methods:now()
    return self.loop:now()
end

function methods:wall() -- luacheck: ignore 212
    return os.time()
end

function methods:start(fn, ...)
    return thread.start(self, new_handle, fn, ...)
end

function methods:wait(deadline)
    return thread.park(self, deadline)
end

function methods:wake(target, code)
    return target.handle:wake(code)
end

function methods:run(fn, ...)
    return thread.run(self, fn, ...)
end

local LOOKUPS = { ipv4 = "lookup_ipv4", ipv6 = "lookup_ipv6" }

function methods:resolve(host, deadline, family)
    errors.check(2, "host", "string", host)
    local dns = self.dns
    if not dns then
        dns = self.loop:dns()
        self.dns = dns
    end
    local step = dns[LOOKUPS[family] or "lookup"]
    local code = thread.park(self, deadline or math.huge, dns, step, host)
    if code < 0 then
        return nil, errors.from_code(code, "resolve", "looking up " .. host)
    end
    return dns:take(thread.of(self).handle)
end

function methods:source_of(address) -- luacheck: ignore 212 (of the system, not of a loop)
    return (core.source_of(address))
end

-- Whether a wait until then would be refused; for what may not need one.
local function is_late(self, deadline)
    local me, now = thread.of(self), self:now()
    return me.cancelled or me.deadline <= now or deadline <= now
end

local function connect(self, tcp, address, deadline)
    if is_late(self, deadline) then
        return nil, thread.park(self, deadline)
    end
    local ok, code = tcp:connect(address.family, address.address, address.port, address.from)
    if not ok and code == core.EAGAIN then
        code = thread.park(self, deadline, tcp, tcp.wait, "write")
        if code >= 0 then
            ok, code = tcp:connect_result()
        end
    end
    return ok, code
end

function methods:connect(address, deadline)
    errors.check(2, "address", "table", address)
    local label = stream.label(address)
    local tcp = self.loop:tcp()
    local ok, code = connect(self, tcp, address, deadline or math.huge)
    if ok then
        return stream.new(self, tcp, label)
    end
    tcp:close()
    return nil, errors.from_code(code, "connect", "connecting to " .. label
        .. (address.from and " from " .. address.from or ""))
end

function methods:connect_now(address)
    local tcp = self.loop:connect_now(address.family, address.address, address.port, address.from)
    return tcp and stream.new(self, tcp, address.label)
end

function methods:listen(address, backlog)
    errors.check(2, "address", "table", address)
    local tcp = self.loop:tcp()
    local ok, code = tcp:listen(address.family, address.address, address.port, backlog or 128)
    if ok then
        return listener.new(self, tcp, function()
            return self.loop:tcp()
        end)
    end
    tcp:close()
    return nil, errors.from_code(code, nil, "listening on " .. stream.label(address))
end

function methods:signal(number, target)
    local watch, code = self.loop:signal(number, target.handle)
    if watch then
        return watch
    end
    return nil, errors.from_code(code, nil, "watching for signal " .. number)
end

-- Tells the streams that were stirred. It runs once and leaves the next one behind; it never waits.
local function post_sentry(self)
    local loop = self.loop
    loop:sentry(loop:thread(coroutine.create(function()
        local token = loop:take_stirred()
        while token do
            local target = self.guarded[token]
            if target then
                target:stirred()
            end
            token = loop:take_stirred()
        end
        post_sentry(self)
    end)))
end

function methods:guard(target, socket)
    local token = target.token
    if not token then
        if self.last_token == 0 then
            post_sentry(self)
        end
        token = self.last_token + 1
        self.last_token, target.token = token, token
        self.guarded[token] = target
    end
    socket:guard(token)
end

function methods:stats()
    return self.loop:stats()
end

local ev = {}

--- Makes a backend with a loop of its own, or on a host's loop.
---@param host lightuserdata? the host's `struct ev_loop *`
---@return moonwire.EvBackend
function ev.new(host)
    forward.install()
    local loop = core.loop(host)
    local self = setmetatable({
        name = "ev",
        capabilities = {
            unix = true, half_close = true, signals = true, listen = true, alpn = true,
            peeks = true, environment = host == nil,
        },
        loop = loop,
        on_error = thread.report,
        guarded = setmetatable({}, { __mode = "v" }),
        last_token = 0,
    }, Ev)
    self.main = thread.main(self, loop:thread())
    return self
end

return ev
