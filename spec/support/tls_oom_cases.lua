-- What spec/tls/oom_spec.lua runs on a core whose memory, and OpenSSL's, can be made to fail: both
-- ends of TLS in memory, once for each allocation of ours and for some thousand of OpenSSL's.

local certs = require "spec.support.certs"
local core = require "moonwire.core"
local http = require "moonwire.http"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local loopback = require "moonwire.testing.server"
local tap = require "spec.support.tap"

local path = assert(package.searchpath("moonwire.core", package.cpath))
local arm = assert(package.loadlib(path, "failing_alloc_arm"))
local disarm = assert(package.loadlib(path, "failing_alloc_disarm"))
local live = assert(package.loadlib(path, "failing_alloc_live"))

local EAGAIN = core.EAGAIN
local STEP = os.getenv "MOONWIRE_SAN" and 97 or 23 -- of OpenSSL's allocations one in so many fails
local SLACK = 30 -- blocks that OpenSSL itself may keep or lose

local made = certs.new()
made:root "root"
made:root "stranger"
made:issue("good", { by = "root", san = "DNS:localhost,IP:127.0.0.1" })

local function read(name)
    local file = assert(io.open(made:path(name)))
    local text = file:read "*a"
    file:close()
    return text
end

local CA, STRANGER = read "root.pem", read "stranger.pem"
local CERT, KEY = read "good.pem", read "good.key"
local ALPN = "\8http/1.1"

-- Each gives what it makes, or nil and a code; so it can be seen whether all went well.

local function client_context(ca)
    return core.tls_context { ca = ca or CA, cert = CERT, key = KEY, alpn = ALPN }
end

local function server_context()
    return core.tls_context { server = true, ca = CA, cert = CERT, key = KEY, alpn = ALPN }
end

local function carry(from, to)
    local data = from:output()
    from:output_sent(#data)
    if data ~= "" then
        return to:feed(data)
    end
    return true
end

local function step(from, to)
    local ok, code = from:handshake()
    if not ok and code ~= EAGAIN then
        return nil, code
    end
    return carry(from, to)
end

-- Shakes hands, says hello and ends; true when hello was heard.
local function talk(client, server, host)
    local a, code = core.tls(client, nil, host or "localhost")
    if not a then
        return nil, code
    end
    local b
    b, code = core.tls(server, nil)
    if not b then
        return nil, code
    end
    for _ = 1, 3 do
        local ok
        ok, code = step(a, b)
        if ok then
            ok, code = step(b, a)
        end
        if not ok then
            return nil, code
        end
    end
    for _, ends in ipairs { { a, b }, { b, a } } do
        local n
        n, code = ends[1]:send "hello"
        if n then
            n, code = carry(ends[1], ends[2])
        end
        local data
        if n then
            data, code = ends[2]:recv(10)
        end
        if data ~= "hello" then
            return nil, code
        end
    end
    a:take_session()
    a:close()
    b:close()
    return true
end

-- Runs f with its n-th allocation failing: whether one did, and what f gave.
local function fail_at(n, in_tls, f, ...)
    arm(n, false, false, in_tls)
    local result, code = f(...)
    return disarm() > 0, result, code
end

local function blocks()
    collectgarbage()
    collectgarbage()
    return live()
end

-- Every `by`-th allocation fails; how many there are, and how often f went well all the same.
local function sweep(by, in_tls, check, f, ...)
    for _ = 1, 3 do
        assert(f(...)) -- OpenSSL's lazy parts are there
    end
    local before, n, well = blocks(), 1, 0
    while true do
        local failed, result, code = fail_at(n, in_tls, f, ...)
        if not failed then
            assert.is_truthy(result)
            break
        end
        well = well + (result and 1 or 0)
        check(result, code, n)
        n = n + by
    end
    local after = blocks()
    assert.is_true(after - before <= (in_tls and SLACK or 0), after - before .. " blocks are left")
    return n, well
end

local function says_enomem(result, code, n)
    assert.is_nil(result)
    assert.equal("ENOMEM", core.error_name(code), "allocation " .. n)
end

local function is_typed(result, code)
    if not result then
        assert.is_truthy(core.error_kind(code) == "tls" or core.error_kind(code) == "system")
        assert.not_equal("ETLS_ALERT", core.error_name(code)) -- nobody has sent one
    end
end

describe("out of memory in TLS", function()
    it("is told for each allocation of ours", function()
        assert.is_true(sweep(1, false, says_enomem, client_context) >= 2)
        assert.is_true(sweep(1, false, says_enomem, server_context) >= 3)
        local client, server = assert(client_context()), assert(server_context())
        assert.is_true(sweep(1, false, says_enomem, talk, client, server) >= 3)
    end)

    it("is an ordinary error for each of OpenSSL's", function()
        local count, well = sweep(STEP, true, is_typed, client_context)
        assert.is_true(count > 500 and well < count)
        count = sweep(STEP, true, is_typed, server_context)
        assert.is_true(count > 500)
        local client, server = assert(client_context()), assert(server_context())
        count, well = sweep(STEP, true, is_typed, talk, client, server)
        assert.is_true(count > 1000 and well < count)
        sweep(STEP, true, is_typed, talk, client, server, "127.0.0.1")
    end)

    it("is told for each of a hash's", function()
        local expected = core.digest("SHA-256", "abc"):finish()
        local count, well = sweep(1, true, function(result, code, n)
            if result then
                assert.equal(expected, result)
            else
                says_enomem(result, code, n)
            end
        end, function()
            local digest, code = core.digest("SHA-256", "abc")
            return digest and digest:finish(), code
        end)
        assert.is_true(count >= 2 and well < count)
    end)

    it("never makes a certificate good that isn't", function()
        local server = assert(server_context())
        for ca, host in pairs { [STRANGER] = "localhost", [CA] = "other.example" } do
            local client = assert(client_context(ca))
            assert.is_nil((talk(client, server, host)))
            local n = 1
            repeat
                local failed, result = fail_at(n, true, talk, client, server, host)
                assert.is_nil(result)
                n = n + STEP
            until not failed
            assert.is_true(n > 500)
        end
    end)
end)

-- A request whose line goes dead behind byte `stop` of a direction, and which is cancelled then.
local function cancel_at(line, client, direction, stop)
    line.up, line.down = nil, nil
    line[direction] = { stop = stop }
    local task = moonwire.spawn(client.get, client, "https://localhost:" .. line.port .. "/get")
    moonwire.sleep(0.001)
    task:cancel()
    task:join()
    client:close_idle()
end

describe("a handshake that is cancelled", function()
    it("leaves no block of memory behind, wherever that happens", function()
        local m = mock.new()
        m:run(function()
            local s = assert(loopback.start { tls = { cert = CERT, key = KEY } })
            local line, client = tap.new(s.port), http.client { tls = { ca = CA } }
            local function round()
                for stop = 1, 1900, 13 do
                    cancel_at(line, client, stop % 2 == 0 and "up" or "down", stop)
                end
                m:advance(100)
                client.settings.tls.sessions = {} -- those it keeps count as well
                return blocks()
            end
            round()
            local before = round()
            round()
            local after = round()
            assert.is_true(after - before < 10, before .. " before, " .. after)
            client:close()
            line:close()
            s:close()
        end)
    end)
end)
