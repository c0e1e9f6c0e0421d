-- The threads of moonwire inside nginx: which one runs now, which coroutine is whose, and what is
-- left when one was killed. It opens no socket and waits for nothing.
local core = require "moonwire.core"
local errors = require "moonwire.error"
local forward = require "moonwire.backend.forward"
local is_here = require "moonwire.backend.ngx.here"
local keepers = require "moonwire.backend.ngx.keeper"

local base = is_here and require "resty.core.base"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua
local state = core.state
local huge = math.huge
local running = coroutine.running

local threads = {}

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

local function phase_message()
    local phase = ngx.get_phase()
    return ("can't wait in %s: nginx has no cosockets in that phase. Do it in ngx.timer.at(0, f),"
        .. " or in a phase that has them (rewrite, access, content)"):format(
        DIRECTIVES[phase] or phase .. "_by_lua*")
end

--- Why the calling code can't wait here, if that is for nginx to say.
---@return string? problem
function threads.obstacle()
    return not PHASES[ngx.get_phase()] and phase_message() or nil
end

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
    -- nginx uses coroutines again: one that runs while it waits was a killed thread's before
    if not me or me.root == me and me.handle:is_waiting() then
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
    coroutine.resume = function(co, ...) -- luacheck: ignore 122
        adopt(co)
        return resume(co, ...)
    end
    coroutine.wrap = function(fn) -- luacheck: ignore 122
        errors.check(2, "f", "function", fn)
        local co = create(fn)
        return function(...)
            adopt(co)
            return forward.unwrap(resume(co, ...))
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
    for socket in each(root.keeper.sockets) do
        socket:close()
    end
end

--- What starts and ends the light threads of the calling code's request.
---@param self moonwire.NgxBackend
---@return moonwire.Keeper
function threads.keeper(self)
    local root = lookup(self).root
    local keeper = root.keeper
    if not keeper then
        keeper = keepers.new(self.host, function()
            cancel_orphans(root)
        end)
        root.keeper = keeper
    end
    return keeper
end

--- A thread that is to be started by the calling code.
---@param self moonwire.NgxBackend
---@return moonwire.Thread
function threads.new(self)
    return new_record(self, lookup(self).root)
end

--- The calling coroutine is that of a thread from now on.
---@param self moonwire.NgxBackend
---@param me moonwire.Thread
function threads.begin(self, me)
    records_of(self)[running()] = me
end

--- Has moonwire ask here who runs, for good.
---@param self moonwire.NgxBackend its `host` is there
function threads.install(self)
    self.records = {}
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
end

return threads
