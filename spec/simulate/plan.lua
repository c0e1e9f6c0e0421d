-- spec/simulate/plan.lua - what happens in one seed: who answers where, the limits, the tasks and
-- their requests, and when somebody interferes. It is data; it runs nothing.

local random = require "spec.simulate.random"

local plan = {}

local PLAIN_METHODS = { "GET", "GET", "GET", "HEAD", "DELETE", "OPTIONS", "POST" }
local BODY_METHODS = { "POST", "POST", "PUT", "PUT", "PATCH", "DELETE" }
local BODIES = { "string", "string", "string", "list", "generator", "generator", "sized", "pipe" }
local BODY_SIZES = { 0, 1, 20, 300, 300, 3000 }
local READERS = {
    "text", "text", "text", "text", "read", "read", "chunks", "discard", "close", "part", "forget",
    "slow", "raced",
}
-- How a body's function may disappoint.
local FAULTS = { "gives_up", "raises", "short", "long", "wrong_type" }

local function draw_fault(request, chance)
    if not chance:chance(0.15) then
        return
    end
    local fault = chance:pick(FAULTS)
    if (fault == "short" or fault == "long") and request.body ~= "sized" then
        fault = "gives_up"
    end
    request.fault = fault
end

local function draw_body(request, chance, large)
    request.body_text = ""
    if chance:chance(0.5) then
        request.method = chance:pick(PLAIN_METHODS)
        return
    end
    request.method = chance:pick(BODY_METHODS)
    request.body = chance:pick(BODIES)
    local size = chance:int(0, chance:pick(BODY_SIZES))
    if large and chance:chance(0.3) then
        size = chance:int(60000, 140000)
    end
    if request.body == "pipe" then
        return -- its text is what another request will have brought
    end
    request.body_text = random.text("u" .. request.id, size)
    if request.body ~= "string" then
        request.chunks = chance:cut(request.body_text, chance:int(1, 6))
        request.naps = {}
        for i = 1, #request.chunks + 1 do
            request.naps[i] = chance:chance(0.25) and chance:seconds(chance:pick { 0.5, 2, 5 }) or 0
        end
    end
    if request.body == "generator" or request.body == "sized" then
        draw_fault(request, chance)
    end
end

local function draw_limits(request, chance)
    if chance:chance(0.2) then
        request.total = chance:int(1, 8000) / 1000
    end
    if chance:chance(0.1) then
        request.scope_seconds = chance:int(0, 6000) / 1000
    end
    if chance:chance(0.06) then
        request.max_body = chance:int(0, 300)
    end
end

local function draw_request(settings, chance, id)
    local request = { id = id, place = settings.places[chance:int(1, #settings.places)] }
    draw_body(request, chance, settings.large)
    draw_limits(request, chance)
    request.key = request.method == "POST" and chance:chance(0.15) -- an Idempotency-Key
    request.reader = chance:pick(READERS)
    request.max = chance:chance(0.3) and chance:int(1, 64) or nil
    request.nap = chance:seconds(chance:pick { 0.1, 2, 6 })
    request.pause = chance:chance(0.6) and 0 or chance:seconds(chance:pick { 0.2, 1, 4 })
    request.expect = request.body ~= nil and request.body ~= "pipe" and chance:chance(0.15) or nil
    return request
end

local function draw_places(settings, chance)
    settings.places = {}
    for i = 1, chance:pick { 1, 1, 1, 2, 3 } do
        local place = { host = "127.0.0." .. i, port = 80, delay = 0 }
        if chance:chance(0.3) then
            place.delay = chance:seconds(chance:pick { 0.05, 1, 4 })
        end
        if chance:chance(0.2) then
            place.name = "host" .. i .. ".test"
            place.second = chance:chance(0.3) -- the name has another address, where nobody is
        end
        if chance:chance(0.03) then
            place.refuses = true
        elseif chance:chance(0.015) then
            place.delay = 1000
        end
        settings.places[i] = place
    end
end

local function draw_client(settings, chance)
    settings.pool = {
        max_total = chance:int(1, 5),
        max_per_origin = chance:int(1, 3),
        idle_total = chance:pick { 0, 1, 2, 4, 4 },
        idle_per_origin = chance:pick { 0, 1, 2, 2, 3 },
        idle_timeout = chance:pick { 0.5, 2, 5, 30 },
        max_requests = chance:pick { 0, 0, 0, 2, 3 },
    }
    settings.timeout = {
        connect = chance:pick { 0.5, 3, 3 },
        headers = chance:pick { 2, 5, 5 },
        idle = chance:pick { 2, 4, 4 },
        pool = chance:pick { 0.5, 4, 20, 20 },
        expect = chance:pick { 0.3, 1 },
    }
    if chance:chance(0.2) then
        settings.timeout.total = chance:int(500, 9000) / 1000
    end
end

-- Who interferes: cancels a task, closes the client or what is idle.
local function draw_events(settings, chance)
    settings.events = {}
    for i, agent in ipairs(settings.agents) do
        if chance:chance(0.2) then
            table.insert(settings.events,
                { at = chance:seconds(8), act = "cancel", agent = i, name = agent.name })
        end
    end
    local close = chance:chance(0.04) and "leave" or "close_client"
    for i = 1, chance:pick { 0, 0, 0, 0, 0, 0, 0, 0, 1, 2 } do
        table.insert(settings.events, { at = chance:seconds(i == 1 and 1 or 8), act = "preconnect",
            place = settings.places[chance:int(1, #settings.places)], count = chance:int(1, 3) })
    end
    if close == "leave" or chance:chance(0.08) then
        table.insert(settings.events,
            { at = chance:seconds(8), act = close, seconds = chance:seconds(6) })
    elseif chance:chance(0.1) then
        table.insert(settings.events, { at = chance:seconds(8), act = "close_idle" })
    end
    for i, agent in ipairs(settings.agents) do
        if agent.kind == "connection" and chance:chance(0.15) then
            table.insert(settings.events,
                { at = chance:seconds(8), act = "close_connection", agent = i, name = agent.name })
        end
    end
end

local function draw_agents(settings, chance)
    settings.agents, settings.requests = {}, {}
    local pipes = chance:chance(0.15)
    for i = 1, chance:int(1, 5) do
        local agent = { name = "task " .. i, requests = {} }
        agent.kind = chance:chance(0.75) and "client" or "connection"
        for n = 1, chance:int(1, 4) do
            local request = draw_request(settings, chance, #settings.requests + 1)
            if request.body == "pipe" and not pipes then
                request.body, request.method = nil, "GET"
            end
            if agent.kind == "connection" then
                request.place = settings.places[(i - 1) % #settings.places + 1]
            end
            agent.requests[n] = request
            settings.requests[request.id] = request
        end
        settings.agents[i] = agent
    end
end

-- A forgotten response is found by the collector, which takes long: few seeds have any.
local function forbid_forgetting(settings)
    for _, request in ipairs(settings.requests) do
        if request.reader == "forget" then
            request.reader = "close"
        end
    end
end

--- What happens in a seed.
---@param seed integer
---@return table settings
function plan.new(seed)
    local chance = random.new("plan " .. seed)
    local settings = { seed = seed, large = chance:chance(0.03) }
    settings.name_delay = chance:chance(0.2) and chance:seconds(2) or nil
    draw_places(settings, chance)
    draw_client(settings, chance)
    draw_agents(settings, chance)
    settings.forgets = chance:chance(0.03)
    if not settings.forgets then
        forbid_forgetting(settings)
    end
    draw_events(settings, chance)
    return settings
end

return plan
