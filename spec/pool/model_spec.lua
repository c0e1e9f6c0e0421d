-- The pool against a naive model of it: random calls, on which both must agree.
local audited = require "spec.support.audited_pool"
local model = require "spec.support.pool_model"

local closes, wakes = audited.closes, audited.wakes

describe("pool", function()
    -- Random calls on the pool and on a naive model of it, which must agree on every answer.
    local function compare(seed, limits, steps)
        math.randomseed(seed)
        local p = audited.new(limits)
        local m = model.new(p.limits)
        local held, waiting, dialing, now, connections = {}, {}, {}, 0, 0
        local twins = {} -- of real slots that are being opened

        local function dial(real, ideal)
            twins[real] = ideal
            dialing[#dialing + 1] = { real, ideal }
        end

        local function dials()
            local expected = m.dials
            m.dials = {}
            for real in function() return p:next_dial() end do
                local ideal = table.remove(expected, 1)
                assert.equal(ideal.origin, real.origin.key)
                assert.equal(ideal.waiter and ideal.waiter.number,
                    real.waiter and real.waiter.number or nil)
                dial(real, ideal)
            end
            assert.equal(0, #expected)
        end

        local function aborts()
            local expected = {}
            for _, ideal in ipairs(m.aborts) do
                expected[ideal] = true
            end
            m.aborts = {}
            for real in function() return p:next_abort() end do
                assert.is_true(expected[twins[real]])
                expected[twins[real]] = nil
                for i, each in ipairs(dialing) do
                    if each[1] == real then
                        table.remove(dialing, i)
                    end
                end
            end
            assert.is_nil(next(expected))
        end

        local function events()
            local all, expected = {}, m.events
            for _, connection in ipairs(closes(p)) do
                all[#all + 1] = "close " .. connection
            end
            for _, waiter in ipairs(wakes(p)) do
                all[#all + 1] = "wake " .. waiter.number .. " " .. waiter.state
            end
            table.sort(all)
            table.sort(expected)
            assert.same(expected, all)
            m.events = {}
            dials()
            aborts()
        end

        local function hold(real, ideal)
            assert.equal(ideal.state, real.state)
            assert.equal(ideal.connection, real.connection)
            held[#held + 1] = { real, ideal }
        end

        -- What take and replace give.
        local function receive(real, real_waiter, ideal, ideal_waiter)
            if ideal then
                return hold(assert(real), ideal)
            end
            assert.equal(ideal_waiter.number, real_waiter.number)
            waiting[#waiting + 1] = { real_waiter, ideal_waiter }
            local slot = ideal_waiter.dial
            assert.equal(slot and slot.direct or false,
                real_waiter.dial and real_waiter.dial.direct or false)
            if slot and slot.direct then
                dial(real_waiter.dial, slot)
            end
        end

        local function pull(from)
            if #from > 0 then
                return unpack(table.remove(from, math.random(#from)))
            end
        end

        local steps_of = {
            function()
                local origin, fresh = "o" .. math.random(4), math.random(8) == 1
                local real, real_waiter = p:take(origin, now, fresh)
                receive(real, real_waiter, m:take(origin, now, fresh))
            end,
            function() -- what is held goes one step further
                local real, ideal = pull(held)
                if not real then
                    return
                elseif math.random(6) > 1 then
                    local lifetime = ({ nil, 3, 7, 0 })[math.random(6)]
                    p:give_back(real, now, lifetime)
                    m:give_back(ideal, now, lifetime)
                elseif math.random(2) == 1 then
                    local slot, waiter = p:replace(real, now)
                    receive(slot, waiter, m:replace(ideal, now))
                else
                    p:closed(real)
                    m:closed(ideal)
                end
            end,
            function() -- a waiter claims or gives up
                local real, ideal = pull(waiting)
                if not real then
                    return
                end
                assert.equal(ideal.state, real.state)
                local dice = math.random(8)
                if real.state == "granted" and dice > 2 then
                    hold(p:claim(real, now), m:claim(ideal))
                elseif real.state == "granted" and dice == 1 then
                    p:closed(real.slot)
                    m:closed(ideal.slot)
                    waiting[#waiting + 1] = { real, ideal }
                elseif real.state == "granted" or real.state == "waiting" and dice <= 3 then
                    p:cancel(real, now)
                    m:cancel(ideal, now)
                elseif real.state == "waiting" then
                    waiting[#waiting + 1] = { real, ideal }
                end
            end,
            function() -- a connection is there before anybody was told to dial for it
                local origin = "o" .. math.random(4)
                local real, real_waiter = p:take(origin, now)
                local ideal, ideal_waiter = m:take(origin, now)
                receive(real, real_waiter, ideal, ideal_waiter)
                local slot = real_waiter and real_waiter.dial
                if slot and slot.to_dial then
                    connections = connections + 1
                    p:opened(slot, connections, now)
                    m:opened(ideal_waiter.dial, connections, now)
                end
            end,
            function() -- a dial ends
                local real, ideal = pull(dialing)
                if not real then
                    return
                elseif math.random(5) > 1 then
                    connections = connections + 1
                    p:opened(real, connections, now)
                    m:opened(ideal, connections, now)
                else
                    p:closed(real)
                    m:closed(ideal)
                end
            end,
            function()
                local origin = "o" .. math.random(4)
                local real, ideal = p:prepare(origin), m:prepare(origin)
                assert.equal(ideal ~= nil, real ~= nil)
                if real and math.random(4) == 1 then
                    p:forget(real)
                    m:forget(ideal)
                end
            end,
            function()
                now = now + math.random()
                p:expire(now)
                m:expire(now)
            end,
        }
        local odds = { 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7, 7 }
        for _ = 1, steps do
            steps_of[odds[math.random(#odds)]]()
            events()
        end
        assert.equal(#m.slots, p:stats().total)
        assert.equal(#m.queue, p:stats().waiting)
    end

    local shapes = {
        { max_total = 4, max_per_origin = 2, idle_total = 3, idle_per_origin = 2,
            idle_timeout = 4 },
        { max_total = 3, max_per_origin = 3, idle_timeout = 2, max_age = 6 },
        { max_total = 8, max_per_origin = 3, idle_total = 2, idle_per_origin = 1,
            max_requests = 3 },
        { max_total = 1, max_per_origin = 1, idle_timeout = 1 },
    }
    for index, limits in ipairs(shapes) do
        for seed = 1, 5 do
            it(("agrees with a naive model (limits %d, seed %d)"):format(index, seed), function()
                compare(seed * 100 + index, limits, 1500)
            end)
        end
    end
end)
