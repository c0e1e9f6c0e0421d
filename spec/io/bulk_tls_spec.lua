-- Large bodies over TLS: read many records at once, dropped where they are decrypted, sent as any.

local bodies = require "moonwire.body"
local bulk = require "spec.support.bulk"
local certs = require "spec.support.certs"

local TEXT, SIZE = bulk.text, bulk.size
local TIMES = 6
local ALL = TEXT:rep(TIMES)
local LENGTH = "HTTP/1.1 200 OK\r\nContent-Length: " .. #ALL .. "\r\n\r\n"
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

local made = certs.new()
made:root "root"
made:issue("good", { by = "root", san = "DNS:localhost" })

local function with_length(stream)
    assert(stream:write(LENGTH))
    assert(stream:write(ALL))
end

local function chunked(stream)
    assert(stream:write "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for from = 1, #ALL, 700001 do
        local piece = ALL:sub(from, from + 700000)
        assert(stream:write(("%x\r\n%s\r\n"):format(#piece, piece)))
    end
    assert(stream:write "0\r\n\r\n")
end

local readers = {}

function readers.discard(response)
    assert(response:discard())
end

function readers.save(response)
    local path = os.tmpname()
    assert(response:save(path))
    local file = assert(io.open(path, "rb"))
    assert.is_true(file:read "*a" == ALL)
    file:close()
    os.remove(path)
end

function readers.chunks(response)
    local pieces = {}
    for piece in response:chunks() do
        pieces[#pieces + 1] = piece
    end
    assert.is_true(table.concat(pieces) == ALL)
end

for _, version in ipairs { "1.2", "1.3" } do
    local function against(peer, client)
        return bulk.against(peer, client, { tls = {
            server = { cert = made:path "good.pem", key = made:path "good.key",
                max_version = version },
            client = { ca_file = made:path "root.pem", server_name = "localhost" },
        } })
    end

    describe("a large body over TLS " .. version, function()
        for how, read in pairs(readers) do
            for name, body in pairs { ["with a length"] = with_length, ["in chunks"] = chunked } do
                it(name .. " goes to " .. how .. ", and the connection goes on", function()
                    against(function(stream)
                        assert(stream:read_until "\r\n\r\n")
                        body(stream)
                        assert(stream:read_until "\r\n\r\n")
                        stream:write(OK)
                    end, function(connection)
                        local received = 0
                        read(assert(connection:request(bulk.request "GET", {
                            progress = function(bytes)
                                assert.is_true(bytes > received)
                                received = bytes
                            end,
                        })))
                        assert.equal(#ALL, received)
                        assert.is_true(connection:is_idle())
                        assert.equal("ok", assert(connection:request(bulk.request "GET")):text())
                    end)
                end)
            end
        end

        it("may become slow: a few bytes are progress too", function()
            against(function(stream)
                assert(stream:read_until "\r\n\r\n")
                bulk.write_slowly(stream, LENGTH, ALL, 4 * SIZE)
            end, function(connection)
                local response = assert(connection:request(bulk.request "GET",
                    { idle_timeout = 0.2 }))
                assert(response:discard())
                assert.is_true(connection:is_idle())
            end)
        end)

        it("is an error when it ends too early, or is too late", function()
            for kind, opts in pairs { closed = {}, timeout = { idle_timeout = 0.1 } } do
                against(function(stream)
                    assert(stream:read_until "\r\n\r\n")
                    stream:write(LENGTH .. ALL:sub(1, 5 * SIZE))
                    if kind == "timeout" then
                        stream:read()
                    end
                end, function(connection)
                    local response = assert(connection:request(bulk.request "GET", opts))
                    local ok, err = response:discard()
                    assert.is_nil(ok)
                    assert.equal(kind, err.kind)
                    assert.is_true(connection:is_closed())
                end)
            end
        end)

        it("goes out of a file as of any other reader", function()
            bulk.with_file(2, function(path)
                local got = against(function(stream)
                    local head = assert(stream:read_until "\r\n\r\n")
                    local body = assert(stream:read_exactly(2 * SIZE))
                    stream:write(OK)
                    return { head, body }
                end, function(connection)
                    assert(connection:request(bulk.request("PUT", bodies.file(path))))
                    assert.is_true(connection:is_idle())
                end)
                assert.matches("\r\nContent%-Length: " .. 2 * SIZE .. "\r\n", got[1])
                assert.is_true(got[2] == TEXT .. TEXT)
            end)
        end)
    end)
end
