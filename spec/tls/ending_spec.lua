-- How TLS ends, in the mock's memory: close_notify in both directions, and a line that just ends.

local certs = require "spec.support.certs"
local http = require "moonwire.http"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"
local tap = require "spec.support.tap"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost" })

local NOTHING = { threads = 0, watchers = 0, tcp = 0, lookups = 0 }

local function on_mock(f)
    local m = mock.new()
    m:run(f, m)
    collectgarbage()
    assert.same(NOTHING, m:stats())
end

-- Runs f(client, server, tap) with two streams that speak TLS with each other.
local function with_pair(version, f)
    on_mock(function()
        local line, client, other = tap.pair()
        local task = moonwire.spawn(other.accept_tls, other, {
            cert = made:path "good.pem", key = made:path "good.key", max_version = version,
        })
        assert(client:start_tls { ca_file = made:path "root.pem", server_name = "localhost" })
        assert(task:join())
        assert.equal("TLSv" .. version, client:tls_info().version)
        assert.equal(client.tls.cipher, other.tls.cipher)
        f(client, other, line)
        client:close()
        other:close()
        line:close()
    end)
end

for _, version in ipairs { "1.2", "1.3" } do
    describe("TLS " .. version, function()
        it("ends in one direction and goes on in the other", function()
            with_pair(version, function(client, other)
                assert(client:write "last words")
                assert(client:shutdown())
                assert.equal("last words", other:read_exactly(10))
                assert.is_nil(other:read())
                assert(other:write "an answer")
                assert.equal("an answer", client:read())
                assert(other:shutdown())
                local data, err = client:read()
                assert.is_nil(data)
                assert.is_nil(err)
            end)
        end)

        it("says goodbye when it is closed", function()
            with_pair(version, function(client, other)
                client:close()
                local data, err = other:read()
                assert.is_nil(data)
                assert.is_nil(err)
            end)
            with_pair(version, function(client, other)
                other:close()
                local data, err = client:read()
                assert.is_nil(data)
                assert.is_nil(err)
                assert.is_false(client:is_quiet())
            end)
        end)

        it("was cut off where the line ends without it", function()
            with_pair(version, function(client, other, line)
                assert(other:write "so far")
                assert.equal("so far", client:read())
                line:close()
                for _, stream in ipairs { client, other } do
                    local data, err = stream:read()
                    assert.is_nil(data)
                    assert.equal("closed", err.kind)
                    assert.equal("ETLS_TRUNCATED", err.code)
                    assert.is_truthy(tostring(err):find("without TLS's close_notify", 1, true))
                    _, err = stream:read_exactly(1)
                    assert.equal("ETLS_TRUNCATED", err.code) -- and stays so
                end
            end)
        end)

        -- A response whose line ends behind each of its bytes. `is_whole`: some of them will do.
        local function truncated(answer, is_whole)
            on_mock(function(m)
                local s = assert(server.start { tls = {
                    cert = made:path "good.pem", key = made:path "good.key", max_version = version,
                } })
                local line = tap.new(s.port)
                local client = http.client {
                    tls = { ca_file = made:path "root.pem" }, retry = false,
                }
                local start, let_through
                s:on("/body", function(request, respond)
                    s:sleep(1) -- what there was to say before is said
                    start = line.down.passed
                    line.down.stop = let_through and start + let_through
                    answer(request, respond)
                end)
                local function get(then_do)
                    line.down = { then_do = then_do }
                    local url = ("https://localhost:%d/body"):format(line.port)
                    local response, err = client:get(url)
                    local text
                    if response then
                        text, err = response:text()
                    end
                    client:close_idle()
                    return text, err
                end
                assert.equal("hello", get())
                m:advance(1)
                local texts = 0
                for n = 1, line.down.passed - start - 1 do
                    let_through = n
                    local text, err = get(n % 2 == 0 and "eof" or "reset")
                    if text then
                        texts = texts + 1
                        assert.equal("hello", text)
                    else
                        assert.equal("closed", err.kind, tostring(err))
                        assert.is_truthy(err.phase == "headers" or err.phase == "body")
                    end
                end
                assert.is_true(is_whole and texts > 0 or texts == 0, texts .. " texts")
                assert.is_true(texts < 100)
                client:close()
                line:close()
                s:close()
            end)
        end

        it("never gives a body that the connection's end delimits without its end", function()
            truncated(function(_, respond)
                respond:begin(200, nil, "close")
                respond:write "hello"
            end, false)
        end)

        it("gives a body with a length, or chunked, that is there without TLS's end", function()
            truncated(function(_, respond)
                respond(200, "hello", nil, { close = true })
            end, true)
            truncated(function(_, respond)
                respond:begin(200, nil, "chunked", { close = true })
                respond:write "hello"
            end, true)
        end)
    end)
end
