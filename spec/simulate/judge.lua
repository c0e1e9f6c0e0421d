-- spec/simulate/judge.lua - holds what moonwire gave to a task against what the server has sent and
-- what the clock says. It performs nothing.

local errors = require "moonwire.error"

local judge = { SLACK = 0.0021 } -- seconds: a timer may be a millisecond early

local KINDS = {
    resolve = true, connect = true, timeout = true, protocol = true, closed = true,
    cancelled = true, limit = true, body = true, system = true,
}
local PHASES = {
    pool = true, resolve = true, connect = true, write = true, headers = true, body = true,
}

-- Time --------------------------------------------------------------------------------------------

-- The moment at which the call has to be over, if there is one.
local function limit_of(call)
    local agent, request = call.agent, call.request
    local limit = math.huge
    local total = request.total or agent.kind == "client" and call.timeouts.total
    if total and not call.napping then -- the script's own naps don't end with a request
        limit = call.started + total
    end
    if agent.scope_limit then
        limit = math.min(limit, math.max(agent.scope_limit, call.started))
    end
    if agent.cancelled_at and not agent.detached then
        limit = math.min(limit, math.max(agent.cancelled_at, call.started))
    end
    return limit
end

--- Nothing goes on beyond its deadline or its cancellation.
---@param call table of agent.lua
function judge.clock(call)
    local now, limit = call.world:now(), limit_of(call)
    if now > limit + judge.SLACK then
        call.world:violate("request %d went on for %g s beyond its end", call.request.id,
            now - limit)
    end
end

-- Readers that close the response: what it gives then is an error.
local CLOSES = { part = true, raced = true }

-- Heads and bodies --------------------------------------------------------------------------------

-- What has come before the final response, and before the refusal of Expect.
local function all_informational(exchange)
    local list = {}
    for _, one in ipairs { exchange.repeats or exchange, exchange.repeats and exchange } do
        for _, status in ipairs(one.answer.informational) do
            list[#list + 1] = status
        end
    end
    return table.concat(list, " ")
end

--- The head must be of an answer to this very request.
function judge.head(call, response)
    local world, request = call.world, call.request
    local tag = response.headers:get "x-tag"
    local exchange = world.answers[tag]
    if not exchange or exchange.request ~= request then
        call.lost = true
        return world:violate("request %d was given the response with tag %s", request.id,
            tostring(tag))
    end
    local a = exchange.answer
    call.exchange, call.answer = exchange, a
    if response.status ~= a.status or response.http_version ~= a.version then
        world:violate("request %d: status %d of HTTP/%s came as %d of HTTP/%s", request.id,
            a.status, a.version, response.status, response.http_version)
    end
    local got, sent = table.concat(call.informational, " "), all_informational(exchange)
    if got ~= sent or #a.informational > 0 and call.informational_tag ~= a.tag then
        world:violate("request %d: the informational responses %q came as %q", request.id, sent,
            got)
    end
    if response.status >= 300 and not response.upload_complete then
        call.body_unwanted = true
    end
end

--- The body must be what was sent; and whole, where it is taken for whole.
function judge.body(call, response, text, whole)
    local world, exchange, a = call.world, call.exchange, call.answer
    local id = call.request.id
    if whole and not exchange.whole then
        return world:violate("request %d: a response that was cut off passed for whole", id)
    elseif whole and text ~= a.body or a.body:sub(1, #text) ~= text then
        return world:violate("request %d: a body of %d bytes came as other %d bytes", id, #a.body,
            #text)
    end
    if whole and (response.trailers and response.trailers:get "x-end") ~= a.trailer
        and not CLOSES[call.request.reader] then
        world:violate("request %d: the trailer %s came as %s", id, tostring(a.trailer),
            tostring(response.trailers and response.trailers:get "x-end"))
    end
    if whole then
        world:count "whole"
        local rest, err = response:read()
        if not CLOSES[call.request.reader] and (rest or err) then
            world:violate("request %d: read() behind the end gives %s", id, tostring(rest or err))
        end
    end
end

--- A complete upload is one that the server has seen whole.
function judge.upload(call, response)
    if response.upload_complete and not call.exchange.complete then
        call.world:violate("request %d: upload_complete, but the server has only %d bytes",
            call.request.id, call.exchange.received)
    end
end

-- Errors ------------------------------------------------------------------------------------------

local function is_error(world, id, err)
    if not errors.is(err) then
        world:violate("request %d failed with %s, which is no error of moonwire", id, tostring(err))
        return false
    elseif not KINDS[err.kind] or err.phase and not PHASES[err.phase] then
        world:violate("request %d failed with kind %s, phase %s", id, tostring(err.kind),
            tostring(err.phase))
        return false
    elseif type(err.message) ~= "string" or type(tostring(err)) ~= "string" then
        world:violate("request %d failed without a message", id)
        return false
    end
    return true
end

-- What the last attempt came to on the server's side.
local function last_exchange(call)
    return call.world.attempts[call.request.id]
end

local excuses = {}

function excuses.cancelled(call)
    local agent, now = call.agent, call.world:now()
    return agent.cancelled_at and not agent.detached
        or agent.scope_limit and now >= agent.scope_limit - judge.SLACK
end

function excuses.timeout(call)
    local timeouts, request = call.timeouts, call.request
    local least = math.min(timeouts.connect, timeouts.headers, timeouts.idle)
    if call.agent.kind == "client" then
        least = math.min(least, timeouts.pool, timeouts.total or math.huge)
        if request.place.second then
            least = least / 2 -- each address has its share of the time
        end
    end
    least = math.min(least, request.total or math.huge)
    return call.world:now() >= call.started + least - judge.SLACK
end

-- Only what came whole had to be handed over; and only if nobody closed or lost it.
function excuses.closed(call, response)
    local exchange, agent = last_exchange(call), call.agent
    if call.world.client_closed or agent.was_closed
        or response and call.request.reader == "raced" then
        return true
    elseif response and call.exchange.conn.lossy then
        return true
    end
    return not exchange or not exchange.whole or exchange.conn.lossy
        or exchange.expects and exchange.answer.status == 417 -- and the repetition came nowhere
end

function excuses.limit(call)
    local exchange = last_exchange(call)
    return call.request.max_body and exchange and #exchange.answer.body > call.request.max_body
end

function excuses.body(call)
    return call.body_failed or call.request.fault or call.request.body == "pipe"
end

function excuses.connect(call)
    return call.request.place.refuses
end

function excuses.system(call, _, err)
    return call.agent.kind == "connection" and err.code == "ESTATE"
        and call.agent.connection.state == "active"
end

local function judge_retry(call, err)
    local exchange = last_exchange(call)
    if not err.safe_to_retry then
        return
    end
    local method = call.request.method
    if exchange and (method == "POST" or method == "PATCH") and not call.request.key then
        call.world:violate("request %d (%s) was sent, and is said to be safe to retry",
            call.request.id, method)
    elseif exchange and exchange.begun and not exchange.conn.lossy then
        call.world:violate("request %d was answered, and is said to be safe to retry",
            call.request.id)
    end
end

--- An error must be one of moonwire's, and there must be a reason for it.
function judge.failure(call, err, response)
    local world, id = call.world, call.request.id
    if not is_error(world, id, err) then
        return
    end
    world:log("request %d failed: %s", id, tostring(err))
    world:count("failed " .. err.kind)
    call.body_unwanted = true
    local excuse = excuses[err.kind]
    if not excuse or not excuse(call, response, err) then
        world:violate("request %d failed without a reason: %s (%s)", id, tostring(err), err.kind)
    end
    judge_retry(call, err)
    if response then
        local text, again = response:read()
        if text or again ~= err then
            world:violate("request %d: a failed response gives %s next", id,
                tostring(text or again))
        end
    end
end

--- A plain connection could not be opened.
function judge.connect_failure(agent, request, err)
    local call = {
        world = agent.world, agent = agent, request = request, started = -math.huge,
        timeouts = agent.world.settings.timeout,
    }
    if is_error(agent.world, request.id, err) and not excuses[err.kind](call, nil, err) then
        agent.world:violate("connecting for request %d failed without a reason: %s", request.id,
            tostring(err))
    end
end

return judge
