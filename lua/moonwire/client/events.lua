-- client/events.lua - tells who listens what happens to requests and connections. It costs nothing
-- while nobody does, and a listener that fails harms nobody.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local tap = require "moonwire.response.tap"

local state = core.state

local events = {}

--- What one can listen to.
local NAMES = {
    request = true, response = true, data = true, finish = true, error = true, redirect = true,
    retry = true, connect = true, close = true,
}

---@alias moonwire.client.Listeners table<string, function[]>

local function add(all, name, listener)
    local list = all[name] or {}
    all[name] = list
    list[#list + 1] = listener
end

-- A new list: an event that is being told goes on with the old one.
local function remove(all, name, listener)
    local kept, gone = {}, false
    for _, one in ipairs(all[name] or {}) do
        if one == listener and not gone then
            gone = true
        else
            kept[#kept + 1] = one
        end
    end
    all[name] = #kept > 0 and kept or nil
end

local function check(name, listener, level)
    errors.check(level + 1, "event", "string", name)
    if not NAMES[name] then
        error(("there is no event '%s' (there are: close connect data error finish redirect "
            .. "request response retry)"):format(name), level + 1)
    end
    errors.check(level + 1, "listener", "function", listener)
end

--- Adds a listener for the events of one client.
---@param client moonwire.Client
---@param name string
---@param listener fun(event: table)
---@param level integer whose fault a wrong value is: 1 the caller
---@return fun() off takes it away again
function events.on(client, name, listener, level)
    check(name, listener, level + 1)
    local all = client.supply.listeners or {}
    client.supply.listeners = all
    add(all, name, listener)
    return function()
        remove(all, name, listener)
        if next(all) == nil and client.supply.listeners == all then
            client.supply.listeners = false
        end
    end
end

--- Adds a listener for the events of all clients of this Lua state.
---@param name string
---@param listener fun(event: table)
---@param level integer whose fault a wrong value is: 1 the caller
---@return fun() off takes it away again
function events.on_all(name, listener, level)
    check(name, listener, level + 1)
    local all = state.listeners or {}
    state.listeners = all
    add(all, name, listener)
    return function()
        remove(all, name, listener)
        if next(all) == nil and state.listeners == all then
            state.listeners = nil
        end
    end
end

-- A listener's failure is the script's mistake, but no request's: it is told on stderr, or in the
-- transcript where there is one.
local function complain(name, problem)
    local text = ("a listener for %q failed: %s"):format(name, tostring(problem))
    if state.trace then
        state.trace:note("%s", text)
    elseif state.log then
        state.log("warn", text)
    else
        io.stderr:write("moonwire: ", text, "\n")
    end
end

local function tell(list, name, event)
    for _, listener in ipairs(list) do
        local ok, problem = xpcall(listener, errors.handler, event)
        if not ok then
            complain(name, problem)
        end
    end
end

--- Whether somebody listens to any of a supply's events, or to all clients'.
---@param supply moonwire.client.Supply|moonwire.client.Hosted
---@return boolean
function events.is_watched(supply)
    return (supply.listeners or state.listeners) and true or false
end

--- Tells of a connection that was opened.
---@param supply moonwire.client.Supply|moonwire.client.Hosted
---@param connection moonwire.Connection
function events.opened(supply, connection)
    local stream = connection.stream
    local address, port = stream:peer()
    events.emit(supply, "connect", {
        connection = connection.id, origin = connection.origin, address = address, port = port,
        timing = stream.timing, tls = stream.tls,
    })
end

--- Tells of a connection that is closed.
---@param supply moonwire.client.Supply|moonwire.client.Hosted
---@param connection moonwire.Connection
---@param reason string
function events.closed(supply, connection, reason)
    events.emit(supply, "close", {
        connection = connection.id, origin = connection.origin, reason = reason,
        requests = connection.requests,
    })
end

local function listens(supply, name)
    local own, all = supply.listeners, state.listeners
    return own and own[name] or all and all[name]
end

--- Tells an event.
---@param supply table of the client
---@param name string
---@param event table
function events.emit(supply, name, event)
    local own, all = supply.listeners, state.listeners
    if own and own[name] then
        tell(own[name], name, event)
    end
    if all and all[name] then
        tell(all[name], name, event)
    end
end

local function watch_body(supply, id, response)
    local bytes = 0
    tap.on(response, function(piece)
        bytes = bytes + #piece
        events.emit(supply, "data", { id = id, response = response, bytes = piece })
    end, function(problem)
        if problem == "left" then
            problem = nil
        end
        local timing = response.timing
        events.emit(supply, "finish", {
            id = id, response = response, bytes = bytes, sent = timing.bytes_sent,
            received = timing.bytes_received, err = problem,
            complete = response.finished and true or false,
        })
    end)
end

local last_id = 0 -- of the exchanges of this Lua state that somebody was told of

--- Makes an exchange that is told.
---@param job moonwire.client.Job
---@param request moonwire.Request
---@param go moonwire.client.Go
---@return moonwire.Response? response, moonwire.Error? err
function events.exchange(job, request, go)
    local supply = job.client.supply
    last_id = last_id + 1
    local id = last_id
    events.emit(supply, "request", { id = id, request = request })
    local started = job.backend:now()
    local response, err = go(job, request)
    if not response then
        events.emit(supply, "error", {
            id = id, request = request, err = err, seconds = job.backend:now() - started,
        })
        return nil, err
    end
    events.emit(supply, "response", {
        id = id, request = request, response = response, seconds = job.backend:now() - started,
    })
    if listens(supply, "data") or listens(supply, "finish") then
        watch_body(supply, id, response)
    end
    return response
end

return events
