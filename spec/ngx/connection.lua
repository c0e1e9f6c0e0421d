-- Connections and clients with a raw peer, by way of the relay, on the backend that this process
-- has: ev or ngx. Both have to do the same.
local moonwire = require "moonwire"
local raw = require "spec.support.raw"
local requests = require "moonwire.request"

raw.place = ... ---@type spec.Place

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local PIECE = ("x"):rep(65536)

-- A peer that answers each request of a connection in the same way.
local function answering(reply)
    return function(stream)
        while raw.head(stream) do
            stream:write(reply)
        end
    end
end

local function get(path)
    return requests.new { method = "GET", url = "http://peer.test" .. (path or "/") }
end

describe("a connection", function()
    it("goes from new to active to idle, and is used again", function()
        raw.connection(answering(OK), function(connection)
            assert.equal("new", connection.state)
            for _ = 1, 3 do
                local response = assert(connection:request(get()))
                assert.equal("ok", response:text())
                assert.is_true(connection:is_idle())
            end
        end)
    end)

    it("closes behind a response that says so", function()
        raw.connection(answering("HTTP/1.1 200 OK\r\nConnection: close\r\n"
            .. "Content-Length: 2\r\n\r\nok"), function(connection)
            assert.equal("ok", assert(connection:request(get())):text())
            assert.equal("closed", connection.state)
            assert.equal("close_header", connection.close_reason)
        end)
    end)

    it("reads a body that ends with the connection", function()
        raw.connection(function(stream)
            raw.head(stream)
            stream:write "HTTP/1.1 200 OK\r\n\r\nall of it"
        end, function(connection)
            assert.equal("all of it", assert(connection:request(get())):text())
            assert.equal("not_self_delimited", connection.close_reason)
        end)
    end)

    it("reads chunks and trailers as they come", function()
        raw.connection(function(stream)
            raw.head(stream)
            for _, piece in ipairs { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "3\r\none\r\n", "3\r\ntwo\r\n", "0\r\nX-Sum: 6\r\n\r\n" } do
                stream:write(piece)
                moonwire.sleep(0.005)
            end
            stream:read()
        end, function(connection)
            local response = assert(connection:request(get()))
            local got = {}
            for chunk in response:chunks() do
                got[#got + 1] = chunk
            end
            assert.equal("onetwo", table.concat(got))
            assert.equal("6", response.trailers:get "X-Sum")
            assert.is_true(connection:is_idle())
        end)
    end)

    it("calls for informational responses before the final one", function()
        raw.connection(answering("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" .. OK),
            function(connection)
                local seen = {}
                local response = assert(connection:request(get(), {
                    on_informational = function(status)
                        seen[#seen + 1] = status
                    end,
                }))
                assert.equal("ok", response:text())
                assert.same({ 103 }, seen)
            end)
    end)

    it("says how far it came when the peer goes", function()
        raw.connection(function(stream)
            raw.head(stream)
            stream:write "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
        end, function(connection)
            local text, err = assert(connection:request(get())):text()
            assert.is_nil(text)
            assert.equal("closed", err.kind)
            assert.equal("body", err.phase)
            assert.equal("closed", connection.state)
        end)
    end)

    it("ends at the headers timeout when the peer is silent", function()
        raw.connection(function(stream)
            raw.head(stream)
            stream:read()
        end, function(connection)
            local response, err = connection:request(get(), { headers_timeout = 0.05 })
            assert.is_nil(response)
            assert.equal("timeout", err.kind)
            assert.equal("headers", err.phase)
            assert.equal("closed", connection.state)
        end)
    end)

    it("is closed when its request is cancelled", function()
        raw.connection(function(stream)
            raw.head(stream)
            stream:read()
        end, function(connection, _, s)
            local err
            local task = s:spawn(function()
                err = select(2, connection:request(get()))
            end)
            moonwire.sleep(0.02)
            task:cancel()
            task:join()
            assert.equal("cancelled", err.kind)
            assert.equal("closed", connection.state)
            assert.equal("cancelled", connection.close_reason)
        end)
    end)

    it("sends a body from a function, and reads the answer that comes before its end", function()
        raw.connection(function(stream)
            raw.head(stream)
            stream:write("HTTP/1.1 413 Too Large\r\nConnection: close\r\n"
                .. "Content-Length: 2\r\n\r\nno")
            while stream:read() do
                moonwire.sleep(0)
            end
        end, function(connection)
            local sent = 0
            local response = assert(connection:request(requests.new {
                method = "PUT", url = "http://peer.test/", body = function()
                    sent = sent + 1
                    moonwire.sleep(0)
                    return sent < 10000 and PIECE or nil
                end,
            }))
            assert.equal(413, response.status)
            assert.equal("no", response:text())
            assert.is_true(sent < 10000)
            assert.is_false(response.upload_complete)
        end)
    end)

    it("holds a sender back that nobody reads from", function()
        local written = 0
        raw.connection(function(stream)
            raw.head(stream)
            stream:write "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n"
            while written < 67108864 and stream:write(PIECE) do
                written = written + #PIECE
            end
        end, function(connection)
            local response = assert(connection:request(get()))
            moonwire.sleep(0.2)
            assert.is_true(written < 33554432, written .. " bytes were taken unasked")
            local got = 0
            for chunk in response:chunks() do
                got = got + #chunk
            end
            assert.equal(67108864, got)
        end)
    end)
end)

describe("a client", function()
    it("uses a connection again, and opens another one when it is told to close", function()
        raw.client(function(stream, number)
            while raw.head(stream) do
                stream:write(OK)
                if number == 1 then
                    raw.head(stream)
                    stream:write "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                    return
                end
            end
        end, function(client, log)
            for number, reused in ipairs { false, true, false, true } do
                local response = assert(client:get "/")
                assert(response:text())
                assert.equal(reused, response.timing.reused, "request " .. number)
            end
            assert.equal(2, log.accepted)
        end)
    end)

    it("sends a GET again over a stale connection, and no POST", function()
        raw.client(function(stream, number)
            raw.head(stream)
            stream:write(OK)
            if raw.head(stream) and number > 2 then
                stream:write(OK)
            end
        end, function(client, log)
            assert(client:get "/":text())
            assert.equal("ok", assert(client:get "/"):text())
            assert.equal(2, log.accepted)
            local response, err = client:post("/", { body = "" })
            assert.is_nil(response)
            assert.equal("closed", err.kind)
            assert.is_false(err.safe_to_retry)
            assert.is_true(err.reused)
        end)
    end)

    it("has several requests under way at once", function()
        raw.client(function(stream)
            while raw.head(stream) do
                moonwire.sleep(0.02)
                stream:write(OK)
            end
        end, function(client, log)
            local results = moonwire.map({ 1, 2, 3, 4, 5, 6 }, function()
                return assert(client:get "/"):text()
            end, { concurrency = 3 })
            assert.same({ "ok", "ok", "ok", "ok", "ok", "ok" }, results)
            assert.equal(3, log.accepted)
        end)
    end)

    it("makes requests wait for a place, and says so when that takes too long", function()
        raw.client(function(stream)
            while raw.head(stream) do
                moonwire.sleep(0.2)
                stream:write(OK)
            end
        end, function(client, log, s)
            local holder = s:spawn(function()
                return assert(client:get "/"):text()
            end)
            moonwire.sleep(0.05)
            local response, err = client:get("/", { timeout = { pool = 0.03 } })
            assert.is_nil(response)
            assert.equal("timeout", err.kind)
            assert.equal("pool", err.phase)
            assert.equal("ok", holder:join())
            assert.equal(1, log.accepted)
        end, { pool = { max_per_origin = 1 } })
    end)
end)
