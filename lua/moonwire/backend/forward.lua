-- Passes waits through generators: coroutine.resume and coroutine.wrap, once patched, hand a wait
-- of the inner coroutine up to the task that resumed it. Nothing else of coroutines is touched.
local core = require "moonwire.core"
local errors = require "moonwire.error"
local host = require "moonwire.backend.host"

local forward = {}

--- What coroutine.wrap makes of the results of a resume.
---@param ok boolean
---@return any ...
function forward.unwrap(ok, ...)
    if ok then
        return ...
    end
    local value = ...
    -- the stock wrap puts the caller's position before a string as well
    error(value, type(value) == "string" and 2 or 0)
end

--- Patches the global coroutine table; once per Lua state, however often it is called. Outside any
--- task the patched functions do what the stock ones do.
function forward.install()
    if host.name then
        error(("moonwire's own loops and its mock can't run inside %s"):format(host.name), 0)
    end
    local state, WAIT = core.state, core.WAIT
    if state.resume then
        return
    end
    local resume, create = coroutine.resume, coroutine.create
    local running, yield, isyieldable = coroutine.running, coroutine.yield, coroutine.isyieldable
    -- coroutines in mid-wait: they look suspended, but only their task may go on with them
    local waiting = setmetatable({}, { __mode = "k" })
    state.resume = resume

    local function continue(co, ...)
        waiting[co] = nil
        return resume(co, ...)
    end

    local function settle(before, co, ...)
        local ok, first = ...
        if first == WAIT and ok then
            waiting[co] = true
            return settle(before, co, continue(co, yield(WAIT)))
        end
        state.active = before
        return ...
    end

    local function patched_resume(co, ...)
        if waiting[co] then
            return false, "cannot resume a coroutine that waits for input, output or time:"
                .. " the task that resumed it goes on with it"
        elseif state.current == nil or type(co) ~= "thread" then
            return resume(co, ...)
        end
        local before = state.active
        -- the inner one may wait only if the wait can go all the way up
        state.active = before == running() and isyieldable() and co
        return settle(before, co, resume(co, ...))
    end

    local function patched_wrap(fn)
        if type(fn) ~= "function" then
            errors.argument(2, "f", "function", fn)
        end
        local co = create(fn)
        return function(...)
            return forward.unwrap(patched_resume(co, ...))
        end
    end

    coroutine.resume = patched_resume -- luacheck: ignore 122 (this patch is the module's purpose)
    coroutine.wrap = patched_wrap -- luacheck: ignore 122
end

return forward
