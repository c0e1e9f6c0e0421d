-- The backend inside nginx (OpenResty, or its Lua module): cosockets, light threads and semaphores
-- under moonwire's threads and streams. This file and those beside it in ngx/ alone know the global
-- `ngx`.
local core = require "moonwire.core"
local cosocket = require "moonwire.backend.ngx.cosocket"
local errors = require "moonwire.error"
local gateway = require "moonwire.backend.ngx.gateway"
local host = require "moonwire.backend.host"
local is_here = require "moonwire.backend.ngx.here"
local stream = require "moonwire.backend.stream"
local thread = require "moonwire.backend.thread"
local threads = require "moonwire.backend.ngx.threads"
local tls = require "moonwire.backend.ngx.tls"

local ngx = ngx -- nil: this is not nginx
local semaphores = is_here and require "ngx.semaphore"

local state, codes = core.state, core.codes
local huge = math.huge

---@class moonwire.NgxBackend: moonwire.Backend
---@field gateway moonwire.resty.Gateway
---@field package host table what keepers and parking places use of nginx
---@field package records table key of the threads of a request in its ngx.ctx
---@field package nowhere moonwire.Thread stands for code that can't wait
local methods = {}
local Ngx = { __index = methods, __name = "moonwire.NgxBackend" }

--- For thread.lua: why the calling code can't wait, if that is for nginx to say.
---@return string?
function methods:why_not() -- luacheck: ignore 212
    return threads.obstacle()
end

--- For cosockets: what starts and ends the light threads of the calling code's request.
---@package
---@return moonwire.Keeper
function methods:keeper()
    return threads.keeper(self)
end

local function run(self, me, fn, ...)
    threads.begin(self, me)
    thread.begin(me, fn, ...)
end

function methods:start(fn, ...)
    thread.check(self)
    local me = threads.new(self)
    threads.keeper(self):start(run, self, me, fn, ...)
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

local function connect_error(socket, code, label)
    local words = socket:error_detail()
    local phase = core.error_kind(code) == "resolve" and "resolve" or "connect"
    local err = errors.from_code(code, phase, "connecting to " .. label)
    if words and (phase == "resolve" or code == codes.ESTATE or code == codes.EBUSY) then
        err.message = err.message .. ": " .. words
        if words:find("no resolver defined", 1, true) then
            err.message = err.message .. " (name a DNS server in nginx.conf: resolver 127.0.0.53;)"
        end
    end
    if code == codes.EBUSY then
        err.kind = "limit"
    elseif err.kind == "system" then
        err.kind = "connect"
    end
    return nil, err
end

-- Cosockets differ from one version to the next: what they can do is looked for.
local function learn(self, sock)
    self.capabilities.half_close = sock.shutdown ~= nil
    self.capabilities.client_certificates = sock.setclientcert ~= nil
    for _, name in ipairs { "receiveany", "settimeouts", "setkeepalive" } do
        if not sock[name] then
            error(("the cosockets of this nginx have no %s(): moonwire needs a Lua module of"
                .. " version 0.10.14 or later"):format(name), 0)
        end
    end
end

--- Beside what the contract says: {family = "name", address = host name, port =} is looked up by
--- nginx.
function methods:connect(address, deadline)
    errors.check(2, "address", "table", address)
    thread.check(self)
    local sock = ngx.socket.tcp()
    if not self.has_learnt then
        learn(self, sock)
        self.has_learnt = true
    end
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

if is_here then
    host.name, host.tls_options, host.tls_context = "nginx", tls.options, tls.context
    host.log = function(text)
        ngx.log(ngx.INFO, (text:gsub("\n$", "")))
    end
end

local M = { is_here = is_here }

-- What nobody can be handed goes where nginx's errors go.
local function log_error(value)
    ngx.log(ngx.ERR, thread.words(value))
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
        gateway = gateway,
    }, Ngx)
    self.host = {
        spawn = ngx.thread.spawn, wait = ngx.thread.wait, kill = ngx.thread.kill,
        sleep = ngx.sleep, new_semaphore = semaphores.new,
        on_error = function(value)
            self.on_error(value)
        end,
    }
    threads.install(self)
    return self
end

return M
