-- Late binding over real sockets: a dial that is lost or given up leaves nothing open.
local http = require "moonwire.http"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"
local support = require "spec.support"

-- A client whose second dial, and every later one, takes a minute: on_resolve takes its time.
local function slow_client()
    local dials = 0
    return http.client { on_resolve = function()
        dials = dials + 1
        if dials > 1 then
            moonwire.sleep(60)
        end
        return true
    end }
end

-- Runs f(client, url) while one request is under way, which is over after half a second.
local function beside_request(f)
    support.in_loop(function()
        local s = assert(server.start())
        local client = slow_client()
        local first = moonwire.spawn(function()
            assert(assert(client:get(s.url .. "/delay/0.5")):text())
        end)
        while client:stats().active == 0 do
            moonwire.sleep(0.01)
        end
        f(client, s.url .. "/get", first)
        first:join()
        client:close()
        s:close()
    end)
end

describe("late binding over real sockets", function()
    it("takes what is freed, and closing the client ends the dial that was lost", function()
        beside_request(function(client, url, first)
            assert(assert(client:get(url)):text())
            first:join()
            local stats = client:stats()
            assert.equal("1 1 1", stats.opened .. " " .. stats.reused .. " " .. stats.opening)
        end)
    end)

    it("ends the dial of who gives up", function()
        beside_request(function(client, url)
            local response, err = moonwire.timeout(0.05, client.get, client, url)
            assert.is_nil(response)
            assert.equal("timeout", err.kind)
            assert.equal(0, client:stats().opening)
        end)
    end)

    it("ends dials when the client is closed", function()
        support.in_loop(function()
            local s = assert(server.start())
            local client, kinds, tasks = slow_client(), {}, {}
            for i = 1, 3 do
                tasks[i] = moonwire.spawn(function()
                    local _, err = client:get(s.url .. "/delay/30")
                    kinds[i] = err.kind
                end)
            end
            while client:stats().active == 0 do
                moonwire.sleep(0.01)
            end
            client:close()
            for _, task in ipairs(tasks) do
                task:join()
            end
            assert.same({ "closed", "closed", "closed" }, kinds)
            s:close()
        end)
    end)
end)
