-- spec/simulate/server.lua - the simulated server: one for each connection. It sends its answers in
-- pieces and late, breaks off, adds what nobody asked for, and knows what it has sent.

local answer = require "spec.simulate.answer"
local random = require "spec.simulate.random"
local reading = require "spec.simulate.reading"

local server = {}

local run

-- Output: a queue of strings (sent), numbers (seconds to wait) and functions (called). ------------

local function wake_at(conn, seconds)
    local world = conn.world
    local loop = world.mock.backend.loop
    conn.waiting = true
    world.timers = world.timers + 1
    loop:at(loop.time + seconds, function()
        world.timers = world.timers - 1
        conn.waiting = false
        run(conn)
    end)
end

function run(conn)
    local queue = conn.queue
    while conn.first <= #queue and not conn.waiting and not conn.gone do
        local step = queue[conn.first]
        conn.first = conn.first + 1
        if conn.peer:is_closed() then
            conn.gone = true
        elseif type(step) == "string" then
            conn.world:log("connection %d sends %d bytes", conn.number, #step)
            conn.peer:send(step)
        elseif type(step) == "function" then
            step(conn)
        elseif step > 0 then
            wake_at(conn, step)
        end
    end
end

local function push(conn, step)
    conn.queue[#conn.queue + 1] = step
end

-- Ways to end -------------------------------------------------------------------------------------

local ends = {}

function ends.eof(conn)
    conn.at_eof, conn.gone = true, true
    conn.peer:eof()
end

function ends.close(conn)
    conn.at_eof, conn.gone = true, true
    conn.peer:close()
end

function ends.reset(conn)
    conn.at_eof, conn.gone = true, true
    conn.peer:reset()
end

-- What the client has not read yet is lost.
function ends.discard(conn)
    conn.at_eof, conn.gone, conn.lossy = true, true, true
    conn.peer:reset(true)
end

function ends.stall(conn)
    conn.gone = true
end

local function finish(conn, how)
    conn.world:log("connection %d: %s", conn.number, how)
    conn.world:count("server " .. how)
    ends[how](conn)
end

-- Behind a whole answer ---------------------------------------------------------------------------

local after = {}

function after.nothing() end

function after.blank(conn, a)
    conn.peer:send(a.extra)
end

function after.poison(conn, a)
    conn.poisoned = true
    conn.peer:send(a.extra)
end

after.late_poison = after.poison

-- Nothing gets through to the server for a while; what it sends then comes before any request.
function after.hidden_poison(conn, a, exchange)
    conn.peer:block_writes(true)
    push(conn, conn.chance:seconds(1))
    push(conn, function()
        if conn.exchange == exchange then
            after.poison(conn, a)
        end
        conn.peer:block_writes(false)
    end)
end

function after.timeout_408(conn, a)
    conn.poisoned = true
    conn.peer:send(a.extra)
    finish(conn, "close")
end

for _, how in ipairs { "eof", "close", "reset" } do
    after[how] = function(conn)
        finish(conn, how)
    end
end

-- The answer is out, whole. Only while no byte of a further request has come can the client tell
-- what else is sent from the answer to that.
local function answered(conn, exchange)
    local a = exchange.answer
    exchange.whole = true
    exchange.finished = true
    conn.finished_at = conn.world:now()
    conn.world:log("connection %d has answered request %d", conn.number, exchange.request.id)
    reading.go_on(conn)
    if a.framing == "close" then
        return finish(conn, a.after == "close" and "close" or "eof")
    elseif a.after ~= "poison" and a.after ~= "blank" then
        push(conn, a.after_delay)
    end
    push(conn, function()
        if conn.exchange == exchange then
            conn.world:count("after " .. a.after)
            after[a.after](conn, a, exchange)
        end
    end)
end

-- An answer that is cut short goes no further than its cut.
local function answer_now(conn, exchange)
    local a = exchange.answer
    local chance = conn.chance
    local bytes = a.cut and a.wire:sub(1, a.cut.at) or a.wire
    push(conn, function()
        exchange.begun = bytes ~= ""
    end)
    for _, step in ipairs(answer.pieces(chance, bytes)) do
        push(conn, step)
    end
    push(conn, function()
        if a.cut then
            exchange.cut = true
            finish(conn, a.cut.how)
        else
            answered(conn, exchange)
        end
    end)
    if a.reading == "block" then
        conn.peer:block_writes(true)
    elseif a.reading == "close" then
        push(conn, function()
            if not conn.at_eof then
                finish(conn, chance:pick { "close", "reset", "discard" })
            end
        end)
    end
end

local function begin_answer(conn, exchange)
    local a = exchange.answer
    if a.started then
        return
    end
    a.started = true
    push(conn, a.delay)
    push(conn, function()
        answer_now(conn, exchange)
    end)
    run(conn)
end

-- What is read ------------------------------------------------------------------------------------

-- A further request on this connection: was it fit for one?
local function on_begin(conn, exchange)
    local before = conn.last
    exchange.reused = before ~= nil
    exchange.at = conn.world:now()
    conn.last = exchange
    if not before then
        return
    end
    local problem = not before.answer.keeps and "the answer said that it would not be kept"
        or conn.poisoned and "bytes that answer nothing were sent over it"
        or conn.at_eof and "the server had closed it"
    if problem then
        conn.world:violate("connection %d was used again although %s", conn.number, problem)
    end
end

local function on_head(conn, exchange)
    local world, request = conn.world, exchange.request
    world:attempt(exchange)
    exchange.answer = answer.new(random.new(("answer %d %d %d"):format(world.seed, request.id,
        exchange.attempt)), request, exchange.attempt,
        { large = world.settings.large, expects = exchange.expects })
    world.answers[exchange.answer.tag] = exchange
    world:log("connection %d: request %d, attempt %d: %d %s%s", conn.number, request.id,
        exchange.attempt, exchange.answer.status, exchange.answer.framing,
        exchange.answer.cut and ", cut: " .. exchange.answer.cut.how or "")
    if exchange.answer.word then
        push(conn, exchange.answer.word_delay)
        push(conn, exchange.answer.word)
        run(conn)
    end
    if exchange.answer.at == 0 then
        begin_answer(conn, exchange)
    end
end

local function on_body(conn, exchange)
    if exchange.received >= exchange.answer.at then
        begin_answer(conn, exchange)
    end
end

-- How the client's bytes get through: in small portions, or for a while not at all.
local function draw_obstacles(conn, chance)
    local large = conn.world.settings.large
    if chance:chance(0.3) then
        conn.peer:limit_writes(chance:pick { 1, 7, 40, 500 } * (large and 500 or 1))
    end
    if chance:chance(0.1) then
        conn.peer:block_writes(true)
        push(conn, chance:seconds(chance:pick { 0.5, 5 }))
        push(conn, function()
            conn.peer:block_writes(false)
        end)
    end
    if chance:chance(0.04) then
        push(conn, chance:seconds(3))
        push(conn, function()
            finish(conn, chance:pick { "eof", "close", "reset", "discard" })
        end)
    end
end

--- Serves a connection that the client under test has opened.
---@param world table of world.lua
---@param peer moonwire.MockPeer
---@param place table of plan.lua
function server.accept(world, peer, place)
    local number = #world.connections + 1
    local conn = {
        world = world, peer = peer, place = place, number = number, served = 0, buffer = "",
        accepted_at = world:now(),
        state = "between", queue = {}, first = 1,
        chance = random.new(("server %d %d"):format(world.seed, number)),
        on_begin = on_begin, on_head = on_head, on_body = on_body, on_complete = begin_answer,
    }
    world.connections[number] = conn
    world:log("connection %d is accepted", number)
    peer:on_data(function(data)
        world:log("connection %d receives %d bytes", number, #data)
        reading.feed(conn, data)
    end)
    draw_obstacles(conn, conn.chance)
    run(conn)
end

return server
