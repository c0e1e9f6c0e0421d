-- Files as a request's body, over real sockets, where the system sends them by itself.

local bodies = require "moonwire.body"
local bulk = require "spec.support.bulk"
local moonwire = require "moonwire"
local support = require "spec.support"
local wrapped = require "spec.support.wrapped"

local against, failing, with_file = bulk.against, bulk.failing, bulk.with_file
local TEXT, SIZE, LAST = bulk.text, bulk.size, bulk.last
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local CHUNKS_END = "\r\n0\r\n\r\n"

local function put(body)
    return bulk.request("PUT", body)
end

-- Reads a request whose body ends with `last`, in steps of `size` bytes and with pauses; answers.
local function reading(size, last)
    return function(stream)
        local pieces, tail = { assert(stream:read_until "\r\n\r\n") }, ""
        while tail:sub(-#last) ~= last do
            local piece = assert(stream:read(size))
            pieces[#pieces + 1] = piece
            tail = (tail .. piece):sub(-64)
            if #pieces % 16 == 0 then
                moonwire.sleep(0.001)
            end
        end
        stream:write(OK)
        return table.concat(pieces)
    end
end

local function unchunked(text)
    local pieces, sizes, from = {}, {}, 1
    while true do
        local line, rest = text:match("^(%x+)\r\n()", from)
        local size = tonumber(assert(line, "a chunk's size is missing"), 16)
        if size == 0 then
            assert.equal("\r\n", text:sub(rest))
            return table.concat(pieces), sizes
        end
        pieces[#pieces + 1], sizes[#sizes + 1] = text:sub(rest, rest + size - 1), size
        assert.equal("\r\n", text:sub(rest + size, rest + size + 1))
        from = rest + size + 2
    end
end

local function split(text)
    local head, body = text:match "^(.-\r\n\r\n)(.*)$"
    return head, body
end

describe("an open file", function()
    it("goes out whole and stands behind its last byte afterwards", function()
        with_file(1, function(path)
            local file = assert(io.open(path, "rb"))
            local got = against(reading(65536, LAST), function(connection)
                local response = assert(connection:request(put(file)))
                assert.equal("ok", response:text())
                assert.is_true(response.upload_complete)
                assert.is_true(connection:is_idle())
            end)
            local head, body = split(got)
            assert.matches("\r\nContent%-Length: " .. SIZE .. "\r\n", head)
            assert.is_true(body == TEXT)
            assert.equal(SIZE, file:seek())
            file:close()
        end)
    end)

    it("goes out from where it stands, as often as it is sent", function()
        with_file(1, function(path)
            local file = assert(io.open(path, "rb"))
            file:seek("set", 1000001)
            local request = put(file)
            for _ = 1, 2 do
                local got = against(reading(65536, LAST), function(connection)
                    assert(connection:request(request))
                end)
                local head, body = split(got)
                assert.matches("\r\nContent%-Length: " .. SIZE - 1000001 .. "\r\n", head)
                assert.is_true(body == TEXT:sub(1000002))
            end
            file:close()
        end)
    end)

    it("has all that was written into it before", function()
        local file = assert(io.tmpfile())
        file:write(TEXT)
        file:write "the end"
        file:seek "set"
        local got = against(reading(65536, "the end"), function(connection)
            assert(connection:request(put(file)))
        end)
        assert.is_true(select(2, split(got)) == TEXT .. "the end")
        file:close()
    end)

    it("counts what was sent, and what of it", function()
        with_file(1, function(path)
            local file = assert(io.open(path, "rb"))
            local got = against(reading(65536, LAST), function(connection)
                assert(connection:request(put(file)))
                local head = "PUT / HTTP/1.1\r\n"
                assert.is_true(connection:stats().bytes_out > SIZE + #head)
                local _, bytes_out, _, body_out = connection.h1:bytes()
                assert.equal(bytes_out, connection:stats().bytes_out)
                assert.equal(0, body_out - SIZE)
            end)
            assert.is_true(#got > SIZE)
            file:close()
        end)
    end)

    it("that is shorter by then breaks the exchange off", function()
        with_file(1, function(path)
            local file = assert(io.open(path, "r+b"))
            local request = put(file)
            local got = against(function(stream)
                local pieces = {}
                for piece in function() return (stream:read()) end do
                    pieces[#pieces + 1] = piece
                end
                return table.concat(pieces)
            end, function(connection)
                local short = assert(io.open(path, "wb")) -- cut to nothing
                short:write(TEXT:sub(1, 100000))
                short:close()
                local err = failing(connection, request)
                assert.equal("body", err.kind)
                assert.equal("write", err.phase)
                assert.equal("EBODY_SHORT", err.code)
                assert.equal("body_error", connection.close_reason)
            end)
            local _, body = split(got)
            assert.is_true(body == TEXT:sub(1, 100000))
            assert.equal(100000, file:seek())
            file:close()
        end)
    end)

    it("that is closed in the middle breaks the exchange off", function()
        with_file(11, function(path)
            local file
            against(function(stream)
                assert(stream:read_until "\r\n\r\n")
                moonwire.sleep(0.02)
                file:close()
                while stream:read() do
                    moonwire.sleep(0)
                end
            end, function(connection)
                file = assert(io.open(path, "rb"))
                local err = failing(connection, put(file))
                assert.equal("body", err.kind)
                assert.matches("closed while it was sent", err.message)
            end)
        end)
    end)
end)

describe("a file by its name", function()
    it("goes out with its length, and is closed afterwards", function()
        with_file(1, function(path)
            local got = against(reading(10000, LAST), function(connection)
                assert(connection:request(put(bodies.file(path))))
            end)
            local head, body = split(got)
            assert.matches("\r\nContent%-Length: " .. SIZE .. "\r\n", head)
            assert.is_true(body == TEXT)
        end)
    end)

    it("goes out in chunks where that is asked for", function()
        with_file(1, function(path)
            local got = against(reading(65536, CHUNKS_END), function(connection)
                local body = bodies.file(path, { chunked = true, content_type = "text/x" })
                local response = assert(connection:request(put(body)))
                assert.is_true(response.upload_complete)
                assert.is_true(connection:is_idle())
            end)
            local head, body = split(got)
            assert.matches("\r\nTransfer%-Encoding: chunked\r\n", head)
            assert.matches("\r\nContent%-Type: text/x\r\n", head)
            local text, sizes = unchunked(body)
            assert.is_true(text == TEXT)
            assert.is_true(#sizes <= 5, #sizes .. " chunks")
        end)
    end)

    it("that grows while it goes out in chunks goes out as it has become", function()
        with_file(11, function(path)
            local got = against(function(stream)
                local head = assert(stream:read_until "\r\n\r\n")
                local more = assert(io.open(path, "ab"))
                more:write "and this"
                more:close()
                stream:unread(head)
                return reading(65536, CHUNKS_END)(stream)
            end, function(connection)
                local file = assert(io.open(path, "rb"))
                local body = bodies.file(file, { chunked = true })
                assert(connection:request(put(body)))
                assert.equal(11 * SIZE + 8, file:seek())
                file:close()
            end)
            local text = unchunked((select(2, split(got))))
            assert.equal(11 * SIZE + 8, #text)
            assert.equal("and this", text:sub(-8))
        end)
    end)

    it("of /proc goes out in chunks although it says that it is empty", function()
        local got = against(reading(100, CHUNKS_END), function(connection)
            assert(connection:request(put(bodies.file("/proc/self/status", { chunked = true }))))
        end)
        assert.matches("^Name:", (unchunked((select(2, split(got))))))
    end)

    it("of a few bytes or none is read as any other body", function()
        for _, text in ipairs { "", "few" } do
            local path = os.tmpname()
            local file = assert(io.open(path, "wb"))
            file:write(text)
            file:close()
            local got = against(reading(100, "0\r\n\r\n"), function(connection)
                assert(connection:request(put(bodies.file(path, { chunked = true }))))
            end)
            assert.equal(text, (unchunked((select(2, split(got))))))
            os.remove(path)
        end
    end)

    it("says what is wrong with how it is asked for", function()
        assert.error_matches(function()
            bodies.file("x", { chunked = 1 })
        end, "'chunked'")
        assert.error_matches(function()
            bodies.file(7)
        end, "'file'")
    end)
end)

describe("an upload of a file that doesn't come to its end", function()
    -- A peer that reads none of a file that is more than the sockets hold.
    local function held(check)
        with_file(11, function(path)
            local file = assert(io.open(path, "rb"))
            local over = false
            against(function(stream)
                assert(stream:read_until "\r\n\r\n")
                while not over do
                    moonwire.sleep(0.01)
                end
            end, function(connection)
                local ok, problem = pcall(check, connection, put(file))
                over = true
                assert(ok, problem)
            end)
            local stands = file:seek()
            assert.is_true(stands > 0 and stands < 11 * SIZE, tostring(stands))
            file:close()
        end)
    end

    it("ends at the deadline", function()
        held(function(connection, request)
            local err = failing(connection, request, { deadline = moonwire.now() + 0.1 })
            assert.equal("timeout", err.kind)
            assert.equal("total", err.timeout)
            assert.equal("write", err.phase)
            assert.is_true(err.bytes_sent > 0)
        end)
    end)

    it("ends when the peer takes nothing for too long", function()
        held(function(connection, request)
            local err = failing(connection, request, { idle_timeout = 0.1 })
            assert.equal("timeout", err.kind)
            assert.equal("idle", err.timeout)
        end)
    end)

    it("ends when it is cancelled", function()
        held(function(connection, request)
            local _, err = moonwire.timeout(0.1, function()
                return connection:request(request)
            end)
            assert.is_true(err.kind == "cancelled" or err.kind == "timeout")
            assert.is_true(connection:is_closed())
        end)
    end)

    it("ends when the peer breaks the connection off, and raises no signal", function()
        with_file(11, function(path)
            against(function(stream)
                assert(stream:read_until "\r\n\r\n")
                moonwire.sleep(0.05) -- there is more, unread: that makes it a reset
            end, function(connection)
                local err = failing(connection, put(bodies.file(path)))
                assert.equal("closed", err.kind)
                assert.is_true(err.bytes_sent > 0)
            end)
        end)
    end)

    it("has the answer of a peer that didn't want it", function()
        with_file(11, function(path)
            against(function(stream)
                assert(stream:read_until "\r\n\r\n")
                stream:write "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
                while stream:read() do
                    moonwire.sleep(0)
                end
            end, function(connection)
                local response = assert(connection:request(put(bodies.file(path))))
                assert.equal(413, response.status)
                assert.is_false(response.upload_complete)
                assert.is_true(connection:is_closed())
            end)
        end)
    end)
end)

-- Ends the process if the signal comes through.
local CLOSED_PIPE = [[
local core = require "moonwire.core"
local moonwire = require "moonwire"
local net = require "moonwire.net"
moonwire.run(function()
    local listener = assert(net.listen("127.0.0.1", 0))
    local client = assert(net.connect("127.0.0.1", listener:address().port))
    local headers = core.headers()
    headers:add("Host", "h")
    local h1 = core.h1 "client"
    assert(h1:send_request(core.request_head("PUT", "/", headers, 1000)))
    assert(client:flush(h1))
    assert(h1:send_past(1000))
    local file = assert(io.open("/proc/self/exe", "rb"))
    assert(client:shutdown())
    for _ = 1, 2 do
        local ok, err = client:flush_file(h1, { file = file, offset = 0 })
        assert(not ok)
        print(err.code)
    end
    client:close()
    listener:close()
end)
]]

describe("sendfile", function()
    it("raises no SIGPIPE", function()
        local status, output, problems = support.run({ support.luajit(), "-" }, {
            stdin = CLOSED_PIPE,
            env = { LUA_PATH = package.path, LUA_CPATH = package.cpath },
        })
        assert.equal("", problems)
        assert.equal(0, status)
        assert.equal("EPIPE\nEPIPE\n", output)
    end)

    if not support.build:find "no_shortcuts" then
        it("isn't needed: all of the above holds where files must be copied", function()
            local status, output = wrapped.run_specs("no_shortcuts", { "spec/io/upload_spec.lua" })
            assert.equal(0, status, output)
            assert.matches("passed, 0 failed", output)
        end)
    end
end)
