-- Forms with files over real sockets: the system sends the files by itself, and what happens to a
-- file meanwhile is no one's secret.
local bodies = require "moonwire.body"
local bulk = require "spec.support.bulk"
local certs = require "spec.support.certs"
local http = require "moonwire.http"
local requests = require "moonwire.request"
local serve = require "spec.support.serve"
local server = require "moonwire.testing.server"
local support = require "spec.support"

local against, failing, with_file = bulk.against, bulk.failing, bulk.with_file
local TEXT, SIZE = bulk.text, bulk.size
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local LAST = "--cut--\r\n"

local function post(parts)
    return requests.new { method = "POST", url = "http://h/",
        body = bodies.multipart(parts, { boundary = "cut" }) }
end

-- Reads all of a request; answers.
local function reading(stream)
    local pieces, tail = {}, ""
    while tail:sub(-#LAST) ~= LAST do
        local piece = assert(stream:read(65536))
        pieces[#pieces + 1] = piece
        tail = (tail .. piece):sub(-64)
    end
    stream:write(OK)
    return table.concat(pieces)
end

local function reading_to_end(stream)
    local pieces = {}
    for piece in function() return (stream:read()) end do
        pieces[#pieces + 1] = piece
    end
    return table.concat(pieces)
end

describe("a form with files", function()
    it("goes out with its length, its files untouched by Lua", function()
        with_file(1, function(path)
            local calls, past = {}, 0
            local got = against(reading, function(connection)
                local stream, file = connection.stream, assert(io.open(path, "rb"))
                rawset(stream, "flush_file", function(self, h1, source, ...)
                    local from = source.offset
                    local ok, err, where = getmetatable(stream).__index.flush_file(self, h1, source,
                        ...)
                    past = past + source.offset - from
                    return ok, err, where
                end)
                assert(connection:request(post {
                    { name = "a", file = path, filename = "one" },
                    { name = "b", value = "x" },
                    { name = "c", file = file, filename = "two" },
                }, { upload_progress = function(sent, total)
                    calls[#calls + 1] = { sent, total }
                end }))
                assert.is_true(connection:is_idle())
                file:close()
            end)
            local head, body = got:match "^(.-\r\n\r\n)(.*)$"
            assert.equal(#body, tonumber(head:match "Content%-Length: (%d+)"))
            assert.equal(2 * SIZE, past) -- not a byte of them went through Lua
            local first = body:find(TEXT, 1, true)
            local second = body:find(TEXT, first + SIZE, true)
            assert.equal('\r\n--cut\r\nContent-Disposition: form-data; name="b"\r\n\r\nx\r\n--cut'
                .. '\r\nContent-Disposition: form-data; name="c"; filename="two"\r\nContent-Type: '
                .. 'application/octet-stream\r\n\r\n', body:sub(first + SIZE, second - 1))
            assert.equal("\r\n" .. LAST, body:sub(second + SIZE))
            assert.is_true(#calls >= 3)
            for i, call in ipairs(calls) do
                assert.is_true(call[1] > (i > 1 and calls[i - 1][1] or 0))
                assert.equal(#body, call[2])
            end
            assert.equal(#body, calls[#calls][1])
        end)
    end)

    it("goes out in chunks where a part's length isn't known", function()
        with_file(1, function(path)
            local got = against(function(stream)
                local text = ""
                while not text:find("\r\n0\r\n\r\n", -7, true) do
                    text = text .. assert(stream:read(1024 * 1024))
                end
                stream:write(OK)
                return text
            end, function(connection)
                local calls, left = 0, 2
                assert(connection:request(post {
                    { name = "a", file = path },
                    { name = "b", body = function()
                        left = left - 1
                        return left >= 0 and "made" or nil
                    end },
                }, { upload_progress = function(_, total)
                    calls = calls + 1
                    assert.is_nil(total)
                end }))
                assert.is_true(calls >= 4)
            end)
            assert.matches("Transfer-Encoding: chunked\r\n", got, 1, true)
            assert.truthy(got:find(TEXT:sub(1, 1000), 1, true))
            assert.truthy(got:find("made\r\n4\r\nmade\r\n", 1, true))
        end)
    end)

    it("breaks off when a file becomes shorter, and its connection is closed", function()
        with_file(1, function(path)
            local request = post { { name = "f", file = path } }
            local got = against(reading_to_end, function(connection)
                local err = failing(connection, request, { upload_progress = function()
                    local short = assert(io.open(path, "wb")) -- cut, once the head of it is out
                    short:write(TEXT:sub(1, 100000))
                    short:close()
                end })
                assert.equal("body", err.kind)
                assert.equal("EBODY_SHORT", err.code)
                assert.matches('^part "f": ', err.message)
                assert.equal("body_error", connection.close_reason)
            end)
            assert.is_nil(got:find(LAST, 1, true))
        end)
    end)

    it("has what was measured when a file grows or is replaced meanwhile", function()
        with_file(1, function(path)
            local request = post { { name = "f", file = path } }
            local got = against(reading, function(connection)
                local done = false
                assert(connection:request(request, { upload_progress = function()
                    if not done then
                        done = true
                        local file = assert(io.open(path, "ab"))
                        file:write "more"
                        file:close()
                        assert(os.rename(path, path .. ".old"))
                        file = assert(io.open(path, "wb"))
                        file:write "other"
                        file:close()
                        os.remove(path .. ".old")
                    end
                end }))
            end)
            assert.equal(TEXT, got:match '\r\n\r\n.-\r\n\r\n(.*)\r\n%-%-cut%-%-\r\n$')
        end)
    end)

    it("isn't begun when a file has vanished, and the connection stays", function()
        with_file(1, function(path)
            against(reading, function(connection)
                local response, err = connection:request(post {
                    { name = "f", file = path }, { name = "g", file = path .. ".gone" } })
                assert.is_nil(response)
                assert.equal("body", err.kind)
                assert.matches('^part "g": .*gone: No such file', err.message)
                assert.equal(0, connection:stats().bytes_out)
                assert.is_false(connection:is_closed())
                assert(connection:request(post { a = 1 }))
            end)
        end)
    end)

    it("breaks off when a part's function fails, and no server takes it for whole", function()
        local got = against(reading_to_end, function(connection)
            local err = failing(connection, post { { name = "f", body = function()
                return nil, "no more"
            end } })
            assert.equal("body", err.kind)
            assert.matches('^part "f": the body\'s function gave up: no more', err.message)
        end)
        assert.is_nil(got:find("\r\n0\r\n\r\n", 1, true))
    end)

    it("goes over TLS as well", function()
        local made = certs.new()
        made:root "root"
        made:issue("good", { by = "root", san = "DNS:localhost" })
        with_file(1, function(path)
            local got = against(reading, function(connection)
                local last, all = 0, nil
                assert(connection:request(post { { name = "f", file = path } },
                    { upload_progress = function(sent, total)
                        last, all = sent, total
                    end }))
                assert.equal(all, last)
                assert.is_true(all > SIZE)
            end, { tls = {
                server = { cert = made:path "good.pem", key = made:path "good.key" },
                client = { ca_file = made:path "root.pem", server_name = "localhost" },
            } })
            assert.truthy(got:find(TEXT, 1, true))
        end)
    end)
end)

describe("a client that sends forms with files", function()
    -- Runs f(client, url) against the loopback server.
    local function with_client(f)
        support.in_loop(function()
            local served = server.start()
            local client = http.client { base_url = served.url, timeout = 20 }
            f(client, served.url)
            client:close()
            served:close()
        end)
    end

    it("is understood, whatever the names are", function()
        with_client(function(client)
            local seen = assert(assert(client:post("post", { multipart = {
                { name = "a\"\r\nX: y", value = "1\n2" },
                { name = "\195\188", value = "" },
                { name = "f", value = "\0\255--x\r\n--", filename = "\"\n;.bin" },
                { name = "f", value = "again", filename = "b" },
            } })):json())
            assert.same({ ["a\"\r\nX: y"] = "1\r\n2", ["\195\188"] = "" }, seen.form)
            assert.same({ f = { "\0\255--x\r\n--", "again" } }, seen.files)
        end)
    end)

    it("sends it again where a redirect asks for that", function()
        with_file(1, function(path)
            with_client(function(client)
                local asked = 0
                local served = server.start { handler = function(request, respond)
                    asked = asked + 1
                    local text = request:text()
                    if request.path == "/old" then
                        return respond(307, "", { Location = "/new" })
                    end
                    return respond(200, tostring(#text))
                end }
                local response = assert(client:post(served.url .. "/old", {
                    multipart = { f = { file = path } } }))
                assert.is_true(tonumber(response:text()) > SIZE)
                assert.equal(2, asked)
                served:close()
            end)
        end)
    end)

    it("passes on what upload_progress raises, and goes on with other connections", function()
        with_client(function(client)
            local ok, err = pcall(client.post, client, "post", { body = "abc",
                upload_progress = function()
                    error "mine"
                end })
            assert.is_false(ok)
            assert.matches("mine", err)
            local total
            assert.equal("abc", assert(client:post("post", { body = "abc",
                upload_progress = function(_, all)
                    total = all
                end })):json().data)
            assert.equal(3, total)
            assert.equal(1, client:stats().closed)
        end)
    end)

    it("is told of wrong options", function()
        with_client(function(client)
            for pattern, opts in pairs {
                ["'upload_progress' %(function"] = { upload_progress = 1 },
                ["'multipart%[1%].name'"] = { multipart = { { value = 1 } } },
            } do
                local _, message = pcall(function()
                    client:post("post", opts)
                end)
                assert.matches("multipart_spec.lua:%d+: bad argument " .. pattern, message)
            end
            assert.equal(0, client:stats().opened)
        end)
    end)
end)

describe("a form with 100 MB of file", function()
    it("takes no more memory than a small one", function()
        local process, url = serve.start()
        local function peak(size)
            local path = support.temp_dir() .. "/large"
            local file = assert(io.open(path, "wb"))
            file:seek("set", size - 1)
            file:write "x"
            file:close()
            local code, out, problem = support.run({ support.luajit(), "spec/support/transfer.lua",
                "post-multipart", url .. "/upload", path }, { timeout = 60 })
            os.remove(path)
            assert.equal(0, code, problem)
            local status, bytes, kib = out:match "^(%d+) (%d+) (%d+)"
            assert.equal("200", status)
            assert.is_true(tonumber(bytes) > size)
            return tonumber(kib)
        end
        local ok, err = pcall(function()
            local small, large = peak(1000), peak(100 * 1024 * 1024)
            assert.is_true(large < small + 8 * 1024, ("%d and %d KiB"):format(small, large))
        end)
        process:kill()
        assert(ok, err)
    end)
end)
