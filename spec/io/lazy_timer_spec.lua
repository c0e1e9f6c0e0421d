-- Timeouts cost nothing while they don't end anything: counted in calls of libev, not in time.
local support = require "spec.support"
local wrapped = require "spec.support.wrapped"

-- Answers each request in three pieces, each a wait for the client.
local SERVER = [[
local moonwire = require "moonwire"
local net = require "moonwire.net"
local http = require "moonwire.http"
local path = package.searchpath("moonwire.core", package.cpath)
local take = assert(package.loadlib(path, "counted_calls_take"))
local PIECES = { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", "abc", "def" }

-- A turn of the loop for the others, without a timer.
local ping, pong = moonwire.channel(0), moonwire.channel(0)
local function pass()
    ping:send(true)
    pong:receive()
end

local function answer(stream)
    while stream:read() do
        for _, piece in ipairs(PIECES) do
            pass()
            stream:write(piece)
        end
    end
    stream:close()
end

local function count(reads, f)
    take()
    for _ = 1, reads do
        f()
    end
    return take()
end

moonwire.run(function()
    local listener = assert(net.listen("127.0.0.1", 0))
    local url = "http://127.0.0.1:" .. listener:address().port .. "/"
    moonwire.scope(function(s)
        s:spawn(net.serve, listener, answer)
        s:spawn(function()
            while ping:receive() do
                pong:send(true)
            end
        end)
        local client = http.client %s
        local function request()
            local response = assert(client:get(url, %s))
            assert(response:read() and response:read() and not response:read())
        end
        request()
        print("calls", count(1000, request))
        client:close()
        listener:close()
        ping:close()
    end)
end)
]]

-- Timers and watchers of so many requests' worth of calls.
local function calls(client, opts)
    local status, output, errors = wrapped.run_code("counted_calls", SERVER:format(client, opts), {
        LUA_PATH = support.root .. "/lua/?.lua;" .. support.root .. "/lua/?/init.lua;;",
    })
    assert.equal(0, status, errors)
    local timers, watchers = output:match "^calls\t(%d+)\t(%d+)\n$"
    assert.is_truthy(timers, output)
    return tonumber(timers), tonumber(watchers)
end

describe("a thousand requests of three reads each", function()
    for name, case in pairs {
        ["with the default timeouts"] = { "{}", "nil" },
        ["with a timeout for the whole"] = { "{}", "{ timeout = 60 }" },
        ["with a timeout for each phase, the shorter ones last"] = {
            "{ timeout = { total = 60, pool = 50, connect = 40, headers = 30, idle = 20 } }", "nil",
        },
    } do
        it(name .. " start and stop next to no timer, and no watcher", function()
            local timers, watchers = calls(case[1], case[2])
            assert.is_true(timers <= 10, timers .. " calls for timers")
            assert.is_true(watchers <= 10, watchers .. " calls for watchers")
        end)
    end

    it("are counted: a scope of its own around each is a timer that is set and set again",
        function()
            local status, output, errors = wrapped.run_code("counted_calls", [[
                local moonwire = require "moonwire"
                local path = package.searchpath("moonwire.core", package.cpath)
                local take = assert(package.loadlib(path, "counted_calls_take"))
                moonwire.run(function()
                    take()
                    for i = 1, 100 do
                        moonwire.spawn(moonwire.sleep, 0.001):join()
                    end
                    print((take()))
                end)
            ]], { LUA_PATH = support.root .. "/lua/?.lua;" .. support.root .. "/lua/?/init.lua;;" })
            assert.equal(0, status, errors)
            assert.is_true(tonumber(output) >= 200, output)
        end)
end)
