-- What a client's responses with content codings give, whoever reads them.

local backends = require "moonwire.backend"
local bodies = require "moonwire.body"
local codings = require "spec.support.codings"
local headers = require "moonwire.headers"
local made = require "moonwire.response.made"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local requests = require "moonwire.request"
local support = require "spec.support"
local tap = require "moonwire.response.tap"
local world = require "spec.support.mock_client"

local encode, fails, with_client = codings.encode, world.fails, world.with_client

local TEXT = ("one line of a text\n"):rep(5000)
local ASKED = "\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"

local function reply(coding, body, more, start)
    return ("%s\r\nContent-Encoding: %s\r\nETag: \"a\"\r\n%sContent-Length: %d\r\n\r\n%s"):format(
        start or "HTTP/1.1 200 OK", coding, more or "", #body, body)
end

-- Runs f(response, client, log) with a response to GET; the connection has to be usable behind it,
-- unless it is said to be lost.
local function with_response(answer, f, opts, lost)
    with_client(nil, function(client, m, log)
        local response = assert(client:get("http://h/", opts))
        f(response, client, log)
        m:advance(0)
        assert.equal(lost and 0 or 1, client:stats().idle)
    end, function()
        return answer
    end)
end

local function read_all(response, max)
    local pieces = {}
    for piece in response:chunks(max) do
        pieces[#pieces + 1] = piece
    end
    return table.concat(pieces), pieces
end

-- Each way to have the whole body.
local READERS = {
    text = function(response)
        return response:text()
    end,
    ["read()"] = function(response)
        local pieces = {}
        while true do
            local piece, err = response:read(1000)
            if not piece then
                return not err and table.concat(pieces) or nil, err
            end
            assert.is_true(#piece <= 1000)
            pieces[#pieces + 1] = piece
        end
    end,
    ["chunks()"] = function(response)
        local ok, text = pcall(read_all, response)
        return ok and text or nil, not ok and text or nil
    end,
    ["lines()"] = function(response)
        local lines = {}
        local ok, err = pcall(function()
            for line in response:lines() do
                lines[#lines + 1] = line .. "\n"
            end
        end)
        return ok and table.concat(lines) or nil, err
    end,
    ["save()"] = function(response)
        local path = support.temp_dir() .. "/saved"
        local ok, err = response:save(path)
        local file = io.open(path, "rb")
        assert.equal(ok, file and true)
        local text = file and file:read "*a"
        if file then
            file:close()
        end
        return text, err
    end,
}

describe("a response with a content coding", function()
    for name, read in pairs(READERS) do
        it("is decoded by " .. name, function()
            for _, coding in ipairs(codings.NAMES) do
                with_response(reply(coding, encode(coding, TEXT)), function(response)
                    assert.is_true(read(response) == TEXT)
                    assert.is_nil(response:read())
                end)
            end
        end)

        it("that comes after its head is decoded by " .. name, function()
            local packed = encode("gzip", TEXT)
            with_client(nil, function(client)
                local response = assert(client:get("http://h/"))
                assert.is_true(read(response) == TEXT)
                assert.equal(1, client:stats().idle)
            end, function(_, _, peer)
                peer:send(reply("gzip", packed):sub(1, -#packed - 1))
                for i = 1, #packed, 10 do
                    peer:after(i / 100, function()
                        peer:send(packed:sub(i, i + 9))
                    end)
                end
            end)
        end)

        it("that is cut off is no success for " .. name, function()
            with_response(reply("gzip", encode("gzip", TEXT):sub(1, -2)), function(response)
                local err = fails("body", "body", read(response))
                assert.equal("ECODING_TRUNCATED", err.code)
                assert.matches("ends in the middle of its gzip data", tostring(err))
                assert.equal("http://h/", err.url)
                assert.equal(err, select(2, response:read()))
                assert.equal(err, select(2, response:text()))
            end)
        end)

        it("that is something else is no success for " .. name, function()
            with_response(reply("br, gzip", ("\255"):rep(100)), function(response)
                local err = fails("body", "body", read(response))
                assert.equal("ECODING", err.code)
                assert.matches("isn't valid br, gzip", tostring(err))
            end)
        end)

        it("counts decoded bytes against max_body for " .. name, function()
            local packed = encode("zstd", TEXT)
            with_response(reply("zstd", packed), function(response)
                local err = fails("limit", "body", read(response))
                assert.equal("EBODY_LIMIT", err.code)
            end, { max_body = #TEXT - 1 })
            with_response(reply("zstd", packed), function(response)
                assert.is_true(read(response) == TEXT)
            end, { max_body = #TEXT })
        end)
    end

    it("gives JSON", function()
        with_response(reply("br", encode("br", '{"a": [1, 2]}')), function(response)
            assert.same({ a = { 1, 2 } }, response:json())
        end)
    end)

    it("shows the headers of what is read, and those that came", function()
        with_response(reply("x-gzip", encode("gzip", TEXT)), function(response)
            assert.is_nil(response.headers:get "content-encoding")
            assert.is_nil(response.headers:get "content-length")
            assert.equal('"a"', response.headers.etag)
            assert.equal("x-gzip", response.raw_headers:get "content-encoding")
            assert.is_string(response.raw_headers:get "content-length")
            assert.is_true(response:text() == TEXT)
            assert.is_nil(response.headers:get "content-encoding")
        end)
        with_response(world.OK, function(response)
            assert.equal("2", response.headers:get "content-length")
            assert.equal("2", response.raw_headers:get "content-length")
        end)
    end)

    it("may say it in lines of their own, with identity among them", function()
        local packed = encode("gzip", encode("deflate", TEXT))
        local lines = "Content-Encoding: , identity,\r\nContent-Encoding: GZIP\r\n"
        with_response(reply("Deflate", packed, lines), function(response)
            assert.is_true(response:text() == TEXT)
        end)
    end)

    it("and no body at all has none", function()
        with_response(reply("gzip", ""), function(response)
            assert.equal("", response:text())
        end)
        with_response(reply("br, zstd", ""), function(response)
            assert.is_nil(response:read())
        end)
    end)

    it("that isn't known stays as it is, and says so", function()
        with_response(reply("compress", "\31\157packed"), function(response)
            assert.equal("\31\157packed", response:text())
            assert.equal("compress", response.headers:get "content-encoding")
        end)
        local packed = encode("gzip", "x")
        with_response(reply("compress, gzip", packed), function(response)
            assert.equal(packed, response:text())
            assert.equal("compress, gzip", response.headers:get "content-encoding")
        end)
    end)

    it("is one of many only in error", function()
        local more = "Content-Encoding: gzip\r\n"
        with_response(reply("gzip, gzip", "x", more), function(response)
            local err = fails("limit", "body", response:text())
            assert.matches("3 content codings", tostring(err))
            assert.equal("gzip", response.headers:get_all("content-encoding")[2])
        end)
    end)

    it("is left alone in answers without a body of their own", function()
        with_client(nil, function(client)
            local response = assert(client:head("http://h/"))
            assert.equal("gzip", response.headers:get "content-encoding")
            assert.equal("99", response.headers:get "content-length")
            assert.equal("", response:text())
        end, function()
            return "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n"
        end)
        for _, start in ipairs { "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified" } do
            with_response(start .. "\r\nContent-Encoding: gzip\r\n\r\n", function(response)
                assert.equal("gzip", response.headers:get "content-encoding")
                assert.equal("", response:text())
            end)
        end
        with_response(reply("gzip", "a part", "", "HTTP/1.1 206 Partial Content"),
            function(response)
                assert.equal("a part", response:text())
                assert.equal("gzip", response.headers:get "content-encoding")
            end)
    end)

    it("is decoded each time that the same head comes again, and only then", function()
        local number = 0
        with_client(nil, function(client)
            for i = 1, 12 do
                local text = assert(client:get("http://h/")):text()
                assert.equal(i % 4 == 3 and "plain" or "hello", text)
            end
        end, function()
            number = number + 1
            return number % 4 == 3 and "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain"
                or reply("gzip", encode("gzip", "hello"))
        end)
    end)

    it("says how much is left only once nothing is", function()
        with_response(reply("gzip", encode("gzip", TEXT)), function(response)
            assert.is_nil(response:remaining())
            assert(response:read(10))
            assert.is_nil(response:remaining())
            assert.equal(#TEXT - 10, #response:text())
            assert.equal(0, response:remaining())
        end)
    end)

    it("is sent on as it is read: in chunks", function()
        with_client(nil, function(client, _, log)
            local response = assert(client:get("http://h/"))
            local request = requests.new { method = "PUT", url = "http://h/", body = response }
            assert.matches("Transfer%-Encoding: chunked", request.head:bytes())
            local reader = assert(bodies.new(assert(client:get("http://h/"))):open())
            local pieces = {}
            for piece in reader.read, reader do
                pieces[#pieces + 1] = piece
            end
            reader:close()
            assert.is_true(table.concat(pieces) == TEXT)
            response:close()
            assert.equal(2, #log.heads)
        end, function()
            return reply("gzip", encode("gzip", TEXT))
        end)
    end)

    it("is decoded behind a redirect too, with a body sent on as it was packed", function()
        local sent = {}
        with_client(nil, function(client, _, log)
            local response = assert(client:post("http://h/a", { body = TEXT, compress = "gzip" }))
            assert.is_true(response:text() == TEXT)
            assert.equal(1, #response.history)
            for i = 1, 2 do
                assert.matches(ASKED, log.heads[i], 1, true)
                assert.equal(1, select(2, log.heads[i]:gsub("Accept%-Encoding", "")))
                assert.equal(1, select(2, log.heads[i]:gsub("Content%-Encoding: gzip\r\n", "")))
                assert.is_true(codings.decode({ "gzip" }, sent[i]) == TEXT)
            end
        end, function(head, number, _, body)
            sent[number] = body
            if head:find "^POST /a" then
                return "HTTP/1.1 307 X\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
            end
            return reply("gzip", encode("gzip", TEXT))
        end)
    end)

    it("is decoded where it came over no connection, and who looks on sees it packed", function()
        local packed, from, seen = encode("br", TEXT), 1, {}
        mock.new():run(function()
            local response = made.new(backends.current(), {
                request = requests.new { url = "http://h/", decompress = true }, status = 200,
                headers = headers.new { ["Content-Encoding"] = "br" }, max_body = #TEXT,
                body = function()
                    local piece = packed:sub(from, from + 4)
                    from = from + 5
                    return piece ~= "" and piece or nil
                end,
            })
            tap.on(response, function(bytes)
                seen[#seen + 1] = bytes
            end)
            assert.is_true(response:text() == TEXT)
            assert.equal(packed, table.concat(seen))
            assert.is_nil(response.headers:get "content-encoding")
        end)
    end)

    it("tells its reader that another task has closed it", function()
        with_client(nil, function(client)
            local response = assert(client:get("http://h/"))
            moonwire.scope(function(s)
                s:spawn(function()
                    moonwire.sleep(1)
                    response:close()
                end)
                fails("closed", "body", response:text())
            end)
            fails("closed", "body", response:read())
        end, function()
            return "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n"
                .. "\31\139"
        end)
    end)

    it("isn't decoded when it is dropped", function()
        for _, how in ipairs { "discard", "close" } do
            with_response(reply("gzip", "no gzip"), function(response)
                response[how](response)
            end)
            with_response(reply("gzip", encode("gzip", TEXT)), function(response)
                assert.equal("one", response:read(3))
                response[how](response)
                assert.equal(how == "close" and "closed" or nil,
                    (select(2, response:read()) or {}).kind)
            end)
        end
    end)

    it("is read to the end of its connection's bytes, whatever they are", function()
        with_response(reply("gzip", encode("gzip", "hello") .. ("garbage"):rep(20000)),
            function(response)
                assert.equal("hello", response:text())
            end)
    end)
end)

describe("a body that unpacks to very much", function()
    local zeros = codings.bomb("gzip", ("\0"):rep(65536), 400) -- 25 MiB

    it("is no text, unless it is small", function()
        with_response(reply("gzip", zeros), function(response)
            local err = fails("limit", "body", response:text())
            assert.equal("ECODING_LIMIT", err.code)
            assert.matches("more than 200 for each: read it with read%(%), chunks", tostring(err))
        end)
        with_response(reply("gzip", codings.bomb("gzip", ("\0"):rep(65536), 16)),
            function(response)
                assert.equal(1024 * 1024, #response:text())
            end)
    end)

    it("costs what is read of it", function()
        with_response(reply("gzip", zeros), function(response)
            local size = 0
            for piece in response:chunks() do
                size = size + #piece
            end
            assert.equal(400 * 65536, size)
        end)
        with_response(reply("gzip", zeros), function(response)
            assert.equal(1000, #response:read(1000))
            response:close()
        end)
    end)
end)

describe("Accept-Encoding", function()
    local function head_of(opts, client_opts, method)
        local seen
        with_client(client_opts, function(client, _, log)
            assert(client:request(method or "GET", "http://h/", opts)):discard()
            seen = log.heads[1]
        end, function()
            return "HTTP/1.1 204 No Content\r\n\r\n"
        end)
        return seen
    end

    it("is said by a client that decodes", function()
        assert.matches(ASKED, head_of(), 1, true)
        assert.matches(ASKED, head_of { query = "a" }, 1, true)
        assert.matches(ASKED, head_of({ body = "x" }, nil, "POST"), 1, true)
        assert.matches(ASKED, head_of({ decompress = true }, { decompress = false }), 1, true)
    end)

    it("isn't said where no coding is wanted, and not beside Range or with HEAD", function()
        for _, head in ipairs {
            head_of { decompress = false },
            head_of(nil, { decompress = false }),
            head_of({}, { decompress = false }),
            head_of { headers = { Range = "bytes=0-9" } },
            head_of({}, nil, "HEAD"),
            head_of(nil, nil, "HEAD"),
            requests.new({ url = "http://h/" }).head:bytes(),
        } do
            assert.is_nil(head:lower():find "accept%-encoding")
        end
    end)

    it("is left to a script that says it itself", function()
        local head = head_of { headers = { ["accept-encoding"] = "br" } }
        assert.matches("\r\naccept-encoding: br\r\n", head, 1, true)
        assert.is_nil(head:find("Accept-Encoding", 1, true))
        head = head_of(nil, { headers = { ["Accept-Encoding"] = "identity" } })
        assert.matches("\r\nAccept-Encoding: identity\r\n", head, 1, true)
    end)

    it("is a prepared request's own", function()
        local request = requests.new { url = "http://h/", decompress = true }
        assert.matches(ASKED, request.head:bytes(), 1, true)
        assert.matches(ASKED, request:with({ query = "a" }).head:bytes(), 1, true)
        assert.is_nil(request:with({ decompress = false }).head:bytes():find "Accept%-Enc")
        local packed = encode("gzip", "hello")
        with_client(nil, function(client)
            assert.equal("hello", assert(client:request(request)):text())
            assert.equal(packed, assert(client:request(requests.new { url = "http://h/" })):text())
        end, function()
            return reply("gzip", packed)
        end)
    end)
end)

describe("decompress = false", function()
    it("gives the body as it comes, with its headers", function()
        local packed = encode("gzip", TEXT)
        with_response(reply("gzip", packed), function(response)
            assert.equal(#packed, response:remaining())
            assert.equal("gzip", response.headers:get "content-encoding")
            assert.equal(tostring(#packed), response.headers:get "content-length")
            assert.is_true(response:text() == packed)
        end, { decompress = false })
    end)

    it("is true or false", function()
        with_client(nil, function(client)
            local _, problem = pcall(function()
                client:get("http://h/", { decompress = "gzip" })
            end)
            assert.matches("decoding_spec.lua:%d+: bad argument 'decompress' %(boolean expected, ",
                problem)
            assert.error_matches(function()
                requests.new { url = "http://h/", decompress = 1 }
            end, "bad argument 'decompress'")
        end)
    end)
end)
