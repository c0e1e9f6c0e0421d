-- Many requests open at once in one process, against a server that answers when all are there.
local load_server = require "spec.support.load_server"
local support = require "spec.support"

local under_sanitizers = os.getenv "MOONWIRE_SAN" == "1"
local WANTED = under_sanitizers and 1000 or 10000
local OWN_FDS = 100 -- of the process, for whatever else it has open

-- As many as the system lets a process have.
local function possible()
    local _, limit = support.run "ulimit -Hn"
    return math.min(WANTED, (tonumber(limit) or math.huge) - OWN_FDS)
end

describe("many requests at once", function()
    local server

    after_each(function()
        if server then
            server.process:kill()
            server = nil
        end
    end)

    it("are all open at the same time, and all answered: 10 000 where the limits allow", function()
        local count = possible()
        if count < WANTED then
            print(("%d instead of %d: a process may have %d files"):format(count, WANTED,
                count + OWN_FDS))
        end
        server = load_server.start(count)
        local status, output, errors = support.run(
            ('ulimit -n "$(ulimit -Hn)"; exec %s spec/load/many.lua %s %d'):format(support.luajit(),
                server.url, count), { timeout = 240 })
        assert.equal("", errors)
        assert.equal(0, status)
        assert.equal(("%d answered of %d, %d connections opened, 0 active\n"):format(count, count,
            count), output:match "^[^\n]*\n")
        assert.equal(count .. " open at the same time", output:match "([^\n]*)\n$")
    end)

    it("are all told when the server goes away, once each", function()
        server = load_server.start(100000)
        local status, output, errors = support.run({ support.luajit(), "-", server.url,
            tostring(server.process.pid) }, {
            stdin = [[
                local http = require "moonwire.http"
                local moonwire = require "moonwire"
                local url, pid = ...
                local COUNT = 500
                local client = http.client { pool = { max_total = COUNT, max_per_origin = COUNT } }
                local kinds = {}
                moonwire.scope(function(scope)
                    for _ = 1, COUNT do
                        scope:spawn(function()
                            local response, err = client:get(url .. "/hold")
                            local kind = response and "answered" or err.kind
                            kinds[kind] = (kinds[kind] or 0) + 1
                        end)
                    end
                    repeat
                        moonwire.sleep(0.01)
                    until client:stats().opened == COUNT
                    os.execute("kill -9 " .. pid)
                end)
                local stats = client:stats()
                client:close()
                local told = 0
                for _, count in pairs(kinds) do
                    told = told + count
                end
                print(told, kinds.answered, stats.total, stats.waiting)
            ]],
        })
        assert.equal("", errors)
        assert.equal(0, status)
        assert.equal("500\tnil\t0\t0\n", output)
    end)
end)
