-- Row 40: requests that are cancelled, or whose time is over, wherever one can wait, ten thousand
-- times. MOONWIRE_ROUNDS=n has more of them, MOONWIRE_SEED=n others.
local certs = require "spec.support.certs"
local dns = require "spec.support.dns"
local mock = require "moonwire.testing.mock"
local storm = require "spec.hostile.storm"
local support = require "spec.support"

local under_sanitizers = os.getenv "MOONWIRE_SAN" == "1"
local SEED = tonumber(os.getenv "MOONWIRE_SEED" or 40)
local ROUNDS = tonumber(os.getenv "MOONWIRE_ROUNDS") or under_sanitizers and 2000 or 10000
local HOSTS = { "one", "two", "three" }
local ASKED_FOR = { "ttl-0-one.test", "ttl-0-two.test", "127.0.0.1" } -- by spec.support.dns
local NAMES = "DNS:one,DNS:two,DNS:three,IP:127.0.0.1,DNS:ttl-0-one.test,DNS:ttl-0-two.test"

describe("row 40: a storm of cancelled requests", function()
    local made

    setup(function()
        made = certs.new()
        made:root "root"
        made:issue("server", { by = "root", san = NAMES })
    end)

    local function blow(opts)
        opts.seed, opts.ca_file = SEED, made:path "root.pem"
        opts.cert, opts.key = made:path "server.pem", made:path "server.key"
        return storm.run(opts)
    end

    -- All that may happen has happened, and often.
    local function check_seen(seen, phases)
        local most = 0
        for _, outcome in ipairs { "ok", "cancelled", "timeout" } do
            local count = seen.outcomes[outcome] or 0
            most = most + count
            assert.is_true(count > seen.rounds / 50, outcome .. ": " .. count)
        end
        assert.equal(seen.rounds / 100, seen.closed)
        for _, phase in ipairs(phases) do
            local count = seen.phases[phase] or 0
            assert.is_true(count > seen.rounds / 500, phase .. ": " .. count)
        end
    end

    it("with a turned clock, names and slow connections leaves nothing behind", function()
        local m = mock.new()
        m:hosts({ one = { "127.0.0.1" }, two = { "127.0.0.1" }, three = { "127.0.0.1" } },
            { delay = 0.5 })
        local seen = m:run(blow, {
            rounds = ROUNDS, tick = 1, hosts = HOSTS,
            prepare = function(plain, tls)
                for _, port in ipairs { plain, tls } do
                    m.backend.places["127.0.0.1:" .. port].delay = 0.5
                end
            end,
        })
        check_seen(seen, { "pool", "resolve", "connect", "tls", "write", "headers", "body" })
        for name, number in pairs(m:stats()) do
            assert.equal(0, number, name)
        end
    end)

    it("over real sockets, with TLS and a name server, leaves nothing behind", function()
        local names = dns.start()
        local restore = names:use()
        local seen = support.in_loop(function()
            local seen = blow {
                rounds = ROUNDS / 5, tick = under_sanitizers and 0.01 or 0.002, hosts = ASKED_FOR,
                lost = "http://silent.test/",
            }
            restore()
            return seen
        end)
        names:stop()
        check_seen(seen, { "pool", "resolve", "tls", "headers", "body" })
    end)
end)
