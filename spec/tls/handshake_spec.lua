-- Handshakes in the mock's memory, between a client and a server of ours, over a line that is cut,
-- held and broken at each of its bytes.

local certs = require "spec.support.certs"
local http = require "moonwire.http"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"
local tap = require "spec.support.tap"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost" })

local TRUST = { ca_file = made:path "root.pem" }
local NOTHING = { threads = 0, watchers = 0, tcp = 0, lookups = 0 }

-- Runs f(w) on a mock with a client, and a server behind a tap; fails when anything is left open.
local function world(version, f)
    local m = mock.new()
    m:run(function()
        local s = assert(server.start { tls = {
            cert = made:path "good.pem", key = made:path "good.key",
            min_version = version, max_version = version,
        } })
        s:on("/hello", function(_, respond)
            respond(200, "hello")
        end)
        local line, client = tap.new(s.port), http.client { tls = TRUST }
        f { m = m, tap = line, client = client, url = "https://localhost:" .. line.port }
        client:close()
        line:close()
        s:close()
    end)
    collectgarbage()
    assert.same(NOTHING, m:stats())
end

local function forget_sessions(w)
    w.client.settings.tls.sessions = {} -- the client's own
end

-- One request over a connection of its own.
local function get(w, timeout)
    local response, err = w.client:get(w.url .. "/hello", { timeout = timeout })
    local text
    if response then
        text, err = response:text()
    end
    w.client:close_idle()
    assert.equal(0, w.client:stats().total)
    return text, err
end

-- How many bytes go up and down for one request.
local function measure(w)
    assert.equal("hello", get(w))
    forget_sessions(w)
    local line = w.tap.lines[#w.tap.lines]
    return #table.concat(line.up), #table.concat(line.down)
end

-- The line is cut in one direction: what comes of a request, whose response can't come whole.
local breaks = {}

function breaks.hold(w)
    local text, err = get(w, { tls = 3, headers = 5, total = 20 })
    assert.is_nil(text)
    assert.equal("timeout", err.kind)
    assert.is_truthy(err.phase ~= "tls" or err.message:find("timeout.tls = 3 s", 1, true))
    assert.is_truthy(err.url:find(w.url, 1, true))
    return err.phase
end

function breaks.eof(w)
    local text, err = get(w)
    assert.is_nil(text)
    assert.is_truthy(err.kind == "closed" or err.kind == "tls", tostring(err))
    return err.phase
end

breaks.reset = breaks.eof

function breaks.cancel(w)
    local task = moonwire.spawn(get, w)
    moonwire.sleep(0.001) -- all that can happen has happened
    assert.is_false(task:is_done())
    task:cancel()
    local text, err = task:join()
    assert.is_nil(text)
    assert.equal("cancelled", err.kind)
    assert.equal(0, w.client:stats().total)
    return err.phase
end

local EVERY = os.getenv "MOONWIRE_SAN" and 5 or 1 -- place in so many is taken
local SLACK = 8 -- bytes: signatures differ in length
local KINDS = { "hold", "eof", "reset", "cancel" }

for _, version in ipairs { "1.2", "1.3" } do
    describe("a handshake of TLS " .. version, function()
        it("is the same wherever its bytes are cut", function()
            world(version, function(w)
                local up, down = measure(w)
                assert.is_true(up > 300 and down > 500)
                for cut = 1, math.max(up, down), EVERY do
                    w.tap.up, w.tap.down = { cut = cut }, { cut = cut }
                    assert.equal("hello", (get(w)), "cut at " .. cut)
                    if cut % 3 > 0 then -- else the next one resumes this one
                        forget_sessions(w)
                    end
                end
                for _, size in ipairs { 1, 2, 5, 7 } do
                    w.tap.up, w.tap.down = { size = size }, { size = size }
                    assert.equal("hello", (get(w)), "in pieces of " .. size)
                end
            end)
        end)

        for _, direction in ipairs { "up", "down" } do
            it("ends in time, fails or is cancelled when the line is dead behind any byte "
                .. direction, function()
                world(version, function(w)
                    local up, down = measure(w)
                    local phases, last = {}, nil
                    for stop = 1, (direction == "up" and up or down) - SLACK, 3 * EVERY do
                        local kind = KINDS[stop % #KINDS + 1]
                        w.tap[direction] = { stop = stop, then_do = kind }
                        last = breaks[kind](w)
                        phases[last] = (phases[last] or 0) + 1
                        forget_sessions(w)
                    end
                    assert.is_true(phases.tls > 50 / EVERY, direction .. " " .. phases.tls)
                    assert.not_equal("tls", last) -- it went on until behind the handshake
                end)
            end)
        end

        it("takes as long as it may and no longer", function()
            world(version, function(w)
                w.tap.down = { stop = 50 }
                local function failing_after(seconds, words, ...)
                    local began = w.m:now()
                    local _, err = get(w, ...)
                    assert.equal("timeout", err.kind)
                    assert.equal("tls", err.phase)
                    assert.is_truthy(err.message:find(words, 1, true), err.message)
                    assert.equal(seconds, w.m:now() - began)
                end
                failing_after(10, "timeout.tls = 10 s")
                failing_after(7, "timeout.tls = 7 s", { tls = 7 })
                failing_after(2, "timeout.total = 2 s", { tls = 7, total = 2 })
                local began = w.m:now()
                local _, err = moonwire.timeout(1, get, w)
                assert.equal("timeout", err.kind)
                assert.equal(1, w.m:now() - began)
            end)
        end)

        it("gives the true response or none when a byte of it is changed", function()
            world(version, function(w)
                local up, down = measure(w)
                local good, bad = 0, 0
                for _, direction in ipairs { "up", "down" } do
                    w.tap.up, w.tap.down = nil, nil
                    for at = 1, direction == "up" and up or down, 9 * EVERY do
                        w.tap[direction] = { flip = at }
                        local text, err = get(w, { tls = 1, total = 2 })
                        if text then
                            good = good + 1
                            assert.equal("hello", text)
                        else
                            bad = bad + 1
                            assert.is_truthy(err.kind == "tls" or err.kind == "closed"
                                or err.kind == "timeout", tostring(err))
                        end
                        forget_sessions(w)
                    end
                end
                assert.is_true(bad > 10 * good, good .. " of " .. bad)
            end)
        end)
    end)
end
