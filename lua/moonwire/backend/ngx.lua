-- The backend inside nginx (OpenResty, or its Lua module): cosockets, light threads and semaphores
-- under moonwire's threads and streams. The only file that knows the global `ngx`.
local core = require "moonwire.core"
local cosocket = require "moonwire.backend.cosocket"
local errors = require "moonwire.error"
local host = require "moonwire.backend.host"
local keepers = require "moonwire.backend.keeper"
local stream = require "moonwire.backend.stream"
local thread = require "moonwire.backend.thread"

local ngx = ngx -- nil: this is not nginx
local is_here = ngx ~= nil and ngx.get_phase ~= nil and ngx.socket ~= nil
local base = is_here and require "resty.core.base"
local semaphores = is_here and require "ngx.semaphore"
local ssl = is_here and require "ngx.ssl"

local state, codes = core.state, core.codes
local huge = math.huge
local running = coroutine.running

-- Where nginx has cosockets, as its documents say of ngx.socket.tcp.
local PHASES = {
    rewrite = true, server_rewrite = true, access = true, content = true, timer = true,
    ssl_cert = true, ssl_client_hello = true, ssl_session_fetch = true, preread = true,
}

-- What the phases are called in a configuration, where that is not the name with "_by_lua".
local DIRECTIVES = {
    timer = "ngx.timer", ssl_cert = "ssl_certificate_by_lua*", set = "set_by_lua*",
    ssl_session_store = "ssl_session_store_by_lua*",
}

---@class moonwire.NgxBackend: moonwire.Backend
---@field private host table what keepers and parking places use of nginx
---@field private records userdata key of the threads of a request in its ngx.ctx
---@field private nowhere moonwire.Thread stands for code that can't wait
local methods = {}
local Ngx = { __index = methods, __name = "moonwire.NgxBackend" }

-- Where it runs -----------------------------------------------------------------------------------

local function phase_message()
    local phase = ngx.get_phase()
    return ("can't wait in %s: nginx has no cosockets in that phase. Do it in ngx.timer.at(0, f),"
        .. " or in a phase that has them (rewrite, access, content)"):format(
        DIRECTIVES[phase] or phase .. "_by_lua*")
end

--- For thread.lua: why the calling code can't wait, if that is for nginx to say.
---@return string?
function methods:why_not() -- luacheck: ignore 212
    return not PHASES[ngx.get_phase()] and phase_message() or nil
end

-- Threads -----------------------------------------------------------------------------------------

-- A thread of moonwire for each coroutine of nginx that uses it. One that nobody here has started
-- is a root: scopes in it are its own, and it has the keeper of what is started there.
local function new_record(self, root)
    local me = {
        backend = self, deadline = huge, cancelled = false, doomed = false, finished = false,
        co = true, handle = keepers.parking(self.host), root = root or false,
    }
    me.root = root or me
    return me
end

-- The threads of this request by coroutine; nil where there is no request.
local function records_of(self)
    if not base.get_request() then
        return nil
    end
    local ctx = ngx.ctx
    local records = ctx[self.records]
    if not records then
        records = setmetatable({}, { __mode = "k" })
        ctx[self.records] = records -- luacheck: ignore 122
    end
    return records
end

-- The thread that runs now. Whoever yields past moonwire (ngx.sleep, ngx.flush) tells nobody, so it
-- is looked up each time.
local function lookup(self)
    local co = running()
    local records = co and records_of(self)
    if not records then
        return self.nowhere
    end
    local me = records[co]
    if not me then
        if not PHASES[ngx.get_phase()] then
            return self.nowhere
        end
        me = new_record(self)
        me.owner = setmetatable({ co }, { __mode = "v" })
        records[co] = me
    end
    return me
end

-- Generators are a part of the thread that resumes them. nginx hands their waits up by itself.
local function follow_generators(self)
    local resume, create = coroutine.resume, coroutine.create
    local function adopt(co)
        local outer = running()
        local records = outer and type(co) == "thread" and records_of(self)
        local me = records and records[outer]
        if me then
            records[co] = me
        end
    end
    local function unwrap(ok, ...)
        if ok then
            return ...
        end
        local value = ...
        error(value, type(value) == "string" and 2 or 0)
    end
    coroutine.resume = function(co, ...) -- luacheck: ignore 122
        adopt(co)
        return resume(co, ...)
    end
    coroutine.wrap = function(fn) -- luacheck: ignore 122
        errors.check(2, "f", "function", fn)
        local co = create(fn)
        return function(...)
            adopt(co)
            return unwrap(resume(co, ...))
        end
    end
end

-- `state.current` and `state.active` are what is looked up, whatever somebody has set.
local function bind_state(self)
    setmetatable(state, {
        __index = function(_, name)
            if name == "current" then
                return lookup(self)
            elseif name == "active" then
                return running()
            end
        end,
        __newindex = function(all, name, value)
            if name ~= "current" and name ~= "active" then
                rawset(all, name, value)
            end
        end,
    })
    state.current, state.active = nil, nil
end

local function is_dead(owner)
    local co = owner[1]
    return not co or coroutine.status(co) == "dead"
end

-- The outermost scope a thread is in.
local function outermost(me)
    local scope = me.scope
    while scope and scope.parent do
        scope = scope.parent
    end
    return scope
end

-- A root that was killed (ngx.thread.kill) is still in a wait or a scope: what runs for it ends.
local function cancel_orphans(root)
    local scope = outermost(root)
    if not is_dead(root.owner) or not scope and not root.handle:is_waiting() then
        return
    elseif scope then
        scope:cancel()
    end
    for socket in pairs(root.keeper.sockets) do
        socket:close()
    end
end

--- What starts and ends the light threads of the calling code's request.
---@package
---@return moonwire.Keeper
function methods:keeper()
    local root = state.current.root
    local keeper = root.keeper
    if not keeper then
        keeper = keepers.new(self.host, function()
            cancel_orphans(root)
        end)
        root.keeper = keeper
    end
    return keeper
end

local function run(self, me, fn, ...)
    records_of(self)[running()] = me
    thread.begin(me, fn, ...)
end

function methods:start(fn, ...)
    thread.check(self)
    local me = new_record(self, state.current.root)
    self:keeper():start(run, self, me, fn, ...)
    return me
end

function methods:now() -- luacheck: ignore 212
    return core.now()
end

function methods:wall() -- luacheck: ignore 212
    return ngx.now()
end

function methods:wait(deadline)
    return thread.park(self, deadline)
end

function methods:wake(target, code) -- luacheck: ignore 212
    return target.handle:wake(code)
end

function methods:run(fn, ...)
    return thread.run(self, fn, ...)
end

-- Names and connections ---------------------------------------------------------------------------

local NO_LOOKUP = "nginx looks a name up while it connects, and shows no address. Give the"
    .. " addresses with resolve, or a numeric one"

--- Only numeric addresses and "localhost": other names are for connect.
function methods:resolve(name, _, family)
    errors.check(2, "host", "string", name)
    local list
    local address, own = core.parse_address(name)
    if address then
        list = { { family = own, address = address } }
    elseif (name:lower():gsub("%.$", "")):find "^localhost$"
        or name:lower():find "%.localhost%.?$" then
        list = { { family = "ipv4", address = "127.0.0.1" }, { family = "ipv6", address = "::1" } }
    else
        return nil, errors.new {
            kind = "resolve", phase = "resolve", code = "ERESOLVE",
            message = ("looking up %s: %s"):format(name, NO_LOOKUP),
        }
    end
    local fitting = {}
    for _, one in ipairs(list) do
        if not family or one.family == family then
            fitting[#fitting + 1] = one
        end
    end
    if #fitting == 0 then
        return nil, errors.from_code(codes.ENODATA, "resolve", "looking up " .. name)
    end
    return fitting
end

function methods:source_of() end -- luacheck: ignore 212

local HINTS = {
    ["no resolver defined"] = " (name a DNS server in nginx.conf: resolver 127.0.0.53;)",
}

local function connect_error(socket, code, label)
    local words = socket:error_detail()
    local phase = core.error_kind(code) == "resolve" and "resolve" or "connect"
    local err = errors.from_code(code, phase, "connecting to " .. label)
    if words and (phase == "resolve" or code == codes.ESTATE or code == codes.EBUSY) then
        err.message = err.message .. ": " .. words
        for part, hint in pairs(HINTS) do
            if words:find(part, 1, true) then
                err.message = err.message .. hint
            end
        end
    end
    if code == codes.EBUSY then
        err.kind = "limit"
    elseif err.kind == "system" then
        err.kind = "connect"
    end
    return nil, err
end

local function learn(self, sock)
    self.capabilities.half_close = sock.shutdown ~= nil
    self.capabilities.client_certificates = sock.setclientcert ~= nil
end

--- Beside what the contract says: {family = "name", address = host name, port =} is looked up by
--- nginx.
function methods:connect(address, deadline)
    errors.check(2, "address", "table", address)
    thread.check(self)
    local sock = ngx.socket.tcp()
    learn(self, sock)
    local label = stream.label(address)
    local socket = cosocket.new(self, sock, address)
    local code = thread.park(self, deadline or huge, socket, socket.connect)
    if code >= 0 then
        return stream.new(self, socket, label)
    end
    socket:close()
    return connect_error(socket, code, label)
end

local function not_here(doing, message)
    return nil, errors.new { kind = "system", code = "ESTATE", message = doing .. ": " .. message }
end

function methods:listen() -- luacheck: ignore 212
    return not_here("listening", "inside nginx only nginx can: write a `server` into nginx.conf")
end

function methods:signal(number) -- luacheck: ignore 212
    return not_here("watching for signal " .. number, "inside nginx signals are nginx's own")
end

-- nginx watches the connections in its pool by itself.
function methods:guard() end -- luacheck: ignore 212

function methods:stats() -- luacheck: ignore 212
    local keeper = state.current.root and state.current.root.keeper
    return { threads = keeper and keeper.busy or 0, watchers = 0, tcp = 0, lookups = 0 }
end

-- What nginx does in moonwire's stead ------------------------------------------------------------

local IN_CONF = "it is set in nginx.conf, with "
local TLS_OPTIONS = {
    verify = true, server_name = true, cert = true, key = true,
    ca_file = IN_CONF .. "lua_ssl_trusted_certificate",
    ca_path = IN_CONF .. "lua_ssl_trusted_certificate",
    ca = IN_CONF .. "lua_ssl_trusted_certificate",
    min_version = IN_CONF .. "lua_ssl_protocols",
    max_version = IN_CONF .. "lua_ssl_protocols",
    ciphers = IN_CONF .. "lua_ssl_ciphers",
    key_password = "the key has to be without a password",
    alpn = "cosockets offer no protocols, and speak HTTP/1.1",
    pins = "cosockets don't show the certificate",
}

local TlsContext = {}
TlsContext.__index = TlsContext

function TlsContext:source() -- luacheck: ignore 212
    return "lua_ssl_trusted_certificate"
end

-- PEM, out of a file unless it is PEM itself.
local function pem_of(text, name)
    if text:find("-----BEGIN", 1, true) then
        return text
    end
    local file, problem = io.open(text, "rb")
    if not file then
        return nil, ("tls.%s: %s"):format(name, problem)
    end
    local pem = file:read "*a"
    file:close()
    return pem
end

-- What stands for moonwire.core.TlsContext: our certificate, ready for setclientcert.
local function tls_context(opts)
    local self = setmetatable({}, TlsContext)
    if opts.cert then
        local cert, problem = pem_of(opts.cert, "cert")
        local key = cert
        if cert and opts.key then
            key, problem = pem_of(opts.key, "key")
        end
        if key then
            self.cert, problem = ssl.parse_pem_cert(cert)
        end
        if self.cert then
            self.key, problem = ssl.parse_pem_priv_key(key)
        end
        if not self.key then
            return nil, codes.ETLS, problem
        end
    end
    return self
end

if is_here then
    host.name, host.tls_options, host.tls_context = "nginx", TLS_OPTIONS, tls_context
    host.log = function(text)
        ngx.log(ngx.INFO, (text:gsub("\n$", "")))
    end
end

local M = { is_here = is_here }

-- What nobody can be handed goes where nginx's errors go.
local function log_error(value)
    local text = tostring(value)
    if errors.is(value) and value.traceback then
        text = text .. "\n" .. value.traceback
    end
    ngx.log(ngx.ERR, "moonwire: uncaught error in a background task: ", text)
end

--- Makes the backend: one for a worker, whatever requests it serves.
---@return moonwire.NgxBackend
function M.new()
    local self = setmetatable({
        name = "ngx",
        capabilities = {
            unix = true, half_close = false, signals = false, listen = false, alpn = false,
            pool_owned_by_host = true, connects_to_names = true, collects_sockets = true,
            peeks = false,
        },
        on_error = log_error,
        records = {},
    }, Ngx)
    self.host = {
        spawn = ngx.thread.spawn, wait = ngx.thread.wait, kill = ngx.thread.kill,
        sleep = ngx.sleep, new_semaphore = semaphores.new,
        on_error = function(value)
            self.on_error(value)
        end,
    }
    self.nowhere = {
        backend = self, deadline = huge, cancelled = false, doomed = false, co = true,
        handle = {
            wait = function()
                error(phase_message(), 0)
            end,
            wake = function()
                return false
            end,
        },
    }
    self.nowhere.root = self.nowhere
    self.main = self.nowhere
    follow_generators(self)
    bind_state(self)
    return self
end

return M
