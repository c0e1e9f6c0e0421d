-- Large bodies that are dropped, saved or read, over real sockets; much of it is the system's work.

local bulk = require "spec.support.bulk"
local core = require "moonwire.core"
local moonwire = require "moonwire"
local support = require "spec.support"
local wrapped = require "spec.support.wrapped"

local against = bulk.against
local TEXT, SIZE = bulk.text, bulk.size
local TIMES = 6 -- more than it takes to find the peer fast
local LENGTH = "HTTP/1.1 200 OK\r\nContent-Length: " .. TIMES * SIZE .. "\r\n\r\n"

local function asked(stream)
    return assert(stream:read_until "\r\n\r\n")
end

local function with_length(stream)
    assert(stream:write(LENGTH))
    for _ = 1, TIMES do
        assert(stream:write(TEXT))
    end
end

-- In chunks from one byte to all of the text, and with trailers.
local function chunked(stream)
    assert(stream:write "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for i = 1, TIMES do
        local size = ({ SIZE, 1024 * 1024, 400000, 100000, 65537, SIZE })[i]
        for from = 1, SIZE, size do
            local piece = TEXT:sub(from, from + size - 1)
            assert(stream:write(("%x;n=%d\r\n%s\r\n"):format(#piece, i, piece)))
        end
        assert(stream:write "1\r\n!\r\n")
    end
    assert(stream:write "0\r\nX-Sum: 7\r\n\r\n")
end

local function until_close(stream)
    assert(stream:write "HTTP/1.1 200 OK\r\n\r\n")
    for _ = 1, TIMES do
        assert(stream:write(TEXT))
    end
    stream:close()
end

local ALL = TEXT:rep(TIMES)
local BODIES = {
    { "with a length", with_length, ALL },
    { "in chunks", chunked, (TEXT .. "!"):rep(TIMES) },
    { "up to the end of the connection", until_close, ALL, closes = true },
}

local function answer(stream, text)
    return stream:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text))
end

-- Peers: one that answers with a body and then once more with a word; one that sends a beginning.
local function twice(body)
    return function(stream)
        asked(stream)
        body(stream)
        if not stream:is_closed() then
            asked(stream)
            answer(stream, "and on")
        end
    end
end

local function beginning(bytes, then_do)
    return function(stream)
        asked(stream)
        stream:write(LENGTH .. ALL:sub(1, bytes))
        then_do(stream)
    end
end

local function request(connection, opts)
    return assert(connection:request(bulk.request "GET", opts))
end

local function goes_on(connection, case)
    if case.closes then
        assert.is_true(connection:is_closed())
    else
        assert.is_true(connection:is_idle())
        assert.equal("and on", request(connection):text())
    end
end

local function contents(path)
    local file = io.open(path, "rb")
    local text = file and file:read "*a"
    if file then
        file:close()
    end
    return text
end

local folder = support.temp_dir()
local IS_COPIED = support.build:find "no_shortcuts"

-- Nothing may be left in the folder but these files.
local function only(...)
    local list = assert(io.popen("ls -A " .. support.quote(folder)))
    local names = list:read "*a"
    list:close()
    assert.equal(table.concat({ ... }, "\n"), names:gsub("\n$", ""), names)
end

for _, case in ipairs(BODIES) do
    describe("a large body " .. case[1], function()
        it("is dropped, and the connection goes on", function()
            against(twice(case[2]), function(connection)
                local received = {}
                local response = request(connection, { progress = function(bytes)
                    received[#received + 1] = bytes
                end })
                assert.is_true(response:discard())
                assert.equal(#case[3], received[#received])
                for i = 2, #received do
                    assert.is_true(received[i] > received[i - 1])
                end
                if case[2] == chunked then
                    assert.equal("7", response.trailers["x-sum"])
                end
                goes_on(connection, case)
            end)
        end)

        it("is saved, and the connection goes on", function()
            local path = folder .. "/saved"
            against(twice(case[2]), function(connection)
                assert(request(connection):save(path))
                goes_on(connection, case)
            end)
            assert.is_true(contents(path) == case[3])
            only "saved"
            os.remove(path)
        end)

        it("is dropped and saved from a unix socket as well", function()
            local path = folder .. "/saved"
            for _, how in ipairs { "discard", "save" } do
                local socket = folder .. "/socket"
                against(twice(case[2]), function(connection)
                    local response = request(connection)
                    assert(response[how](response, path))
                    goes_on(connection, case)
                end, { path = socket })
                os.remove(socket)
            end
            assert.is_true(contents(path) == case[3])
            os.remove(path)
        end)

        it("is saved behind the bytes that were read of it", function()
            local path = folder .. "/saved"
            local first
            against(twice(case[2]), function(connection)
                local response = request(connection)
                first = assert(response:read(1000))
                assert(response:save(path))
                goes_on(connection, case)
            end)
            assert.is_true(first .. contents(path) == case[3])
            os.remove(path)
        end)

        it("is read in pieces that Lua's heap holds without the system", function()
            against(twice(case[2]), function(connection)
                local pieces, largest = {}, 0
                for piece in request(connection):chunks() do
                    pieces[#pieces + 1] = piece
                    largest = math.max(largest, #piece)
                end
                assert.is_true(table.concat(pieces) == case[3])
                assert.is_true(largest <= 64 * 1024, tostring(largest))
                goes_on(connection, case)
            end)
        end)

        it("stops at max_body", function()
            for _, how in ipairs { "discard", "save" } do
                against(function(stream)
                    asked(stream)
                    pcall(case[2], stream)
                end, function(connection)
                    local response = request(connection, { max_body = 2 * SIZE })
                    local ok, err = response[how](response, folder .. "/saved")
                    assert.is_nil(ok)
                    assert.equal("limit", err.kind)
                    assert.equal("EBODY_LIMIT", err.code)
                    assert.is_true(connection:is_closed())
                end)
                only()
            end
        end)
    end)
end

describe("a large body that doesn't come to its end", function()
    -- Runs client(connection, read, response) against a peer, with both ways of reading; neither
    -- leaves a file.
    local function both_ways(peer, client, opts)
        for _, how in ipairs { "discard", "save" } do
            against(peer, function(connection)
                local response = request(connection, opts and opts())
                client(connection, function()
                    return response[how](response, folder .. "/saved")
                end, response)
            end)
            only()
        end
    end

    local function fails(bytes, then_do, opts, check)
        both_ways(beginning(bytes, then_do), function(connection, read, response)
            local ok, err = read()
            assert.is_nil(ok)
            check(err)
            assert.is_true(connection:is_closed())
            local _, again = response:read()
            assert.equal(err, again)
        end, opts)
    end

    local function wait(stream)
        stream:read() -- until the other side closes
    end

    it("is an error when the connection ends", function()
        for _, bytes in ipairs { 0, 1, 70000, 2 * SIZE, 5 * SIZE, TIMES * SIZE - 1 } do
            fails(bytes, function() end, nil, function(err)
                assert.equal("closed", err.kind)
                assert.equal("EH1_TRUNCATED", err.code)
            end)
        end
    end)

    it("is an error when the connection is reset", function()
        both_ways(beginning(4 * SIZE, function()
            moonwire.sleep(0.05) -- by then there is something unread: that makes it a reset
        end), function(connection, read)
            connection.stream:write "something that nobody reads"
            local ok, err = read()
            assert.is_nil(ok)
            assert.equal("closed", err.kind)
        end)
    end)

    it("is an error at the deadline", function()
        for _, bytes in ipairs { 100, 4 * SIZE } do
            fails(bytes, wait, function()
                return { deadline = moonwire.now() + 0.2 }
            end, function(err)
                assert.equal("timeout", err.kind)
                assert.equal("total", err.timeout)
                assert.equal("body", err.phase)
            end)
        end
    end)

    it("is an error when nothing comes for too long", function()
        for _, seconds in ipairs { 0.03, 0.3 } do
            fails(4 * SIZE, wait, function()
                return { idle_timeout = seconds }
            end, function(err)
                assert.equal("timeout", err.kind)
                assert.equal("idle", err.timeout)
            end)
        end
    end)

    it("is an error when its reader is cancelled", function()
        both_ways(beginning(4 * SIZE, wait), function(connection, read)
            local _, err = moonwire.timeout(0.05, read)
            assert.is_true(err.kind == "cancelled" or err.kind == "timeout")
            assert.is_true(connection:is_closed())
        end)
    end)

    it("is an error when the connection is closed on this side", function()
        both_ways(beginning(4 * SIZE, wait), function(connection, read)
            local task = moonwire.spawn(read)
            moonwire.sleep(0.05)
            connection:close()
            local ok, err = task:join()
            assert.is_nil(ok)
            assert.equal("closed", err.kind)
        end)
    end)

    it("is none when it becomes slow: a few bytes are progress too", function()
        for _, how in ipairs { "discard", "save" } do
            against(function(stream)
                asked(stream)
                bulk.write_slowly(stream, LENGTH, ALL, 4 * SIZE)
            end, function(connection)
                local response = request(connection, { idle_timeout = 0.2 })
                assert(response[how](response, folder .. "/saved"))
                assert.is_true(connection:is_idle())
            end)
        end
        assert.is_true(contents(folder .. "/saved") == ALL)
        os.remove(folder .. "/saved")
    end)

    it("leaves nothing behind when progress raises", function()
        both_ways(beginning(4 * SIZE, wait), function(connection, read)
            assert.error_matches(read, "enough")
            assert.is_true(connection:is_closed())
        end, function()
            return { progress = function(bytes)
                if bytes > SIZE then
                    error "enough"
                end
            end }
        end)
    end)
end)

-- Its files may not be larger than 2 MiB; a write that would make them so fails.
local FULL = [[
local moonwire = require "moonwire"
local bulk = require "spec.support.bulk"
bulk.against(function(stream)
    assert(stream:read_until "\r\n\r\n")
    stream:write("HTTP/1.1 200 OK\r\nContent-Length: " .. 4 * bulk.size .. "\r\n\r\n")
    for _ = 1, 4 do
        stream:write(bulk.text)
    end
end, function(connection)
    local response = assert(connection:request(bulk.request "GET"))
    local ok, err = response:save(os.getenv "TO")
    assert(not ok and connection:is_closed())
    local _, again = response:read()
    assert(again == err)
    print(err.kind, err.message)
end)
]]

describe("a large body that can't be written", function()
    it("is an error that says so, and leaves no file", function()
        local command = ("trap '' XFSZ; ulimit -f 4096; exec %s -"):format(support.luajit())
        local status, output, problems = support.run({ "sh", "-c", command }, {
            stdin = FULL,
            env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, TO = folder .. "/saved" },
        })
        assert.equal("", problems)
        assert.equal(0, status)
        assert.matches("^system\tthe body can't be saved as .*: the file is too large\n$", output)
        only()
    end)
end)

describe("Tcp:save", function()
    -- f(socket, h1, step): step(file) takes all of the body.
    local function saving(f)
        against(function(stream)
            asked(stream)
            pcall(with_length, stream)
            stream:read()
        end, function(connection)
            local stream, headers = connection.stream, core.headers()
            headers:add("Host", "h")
            local h1 = core.h1 "client"
            h1:send_request(core.request_head("GET", "/", headers))
            assert(stream:flush(h1))
            assert(stream:fill(h1))
            assert.equal("head", (h1:next()))
            f(function(file)
                local event
                repeat
                    event = h1:next_to_file(file)
                    if event == "need_data" then
                        assert(stream:save(h1, nil, file))
                    end
                until event ~= "need_data"
                assert.equal("end", event)
                local _, _, body_in = h1:bytes()
                assert.equal(TIMES * SIZE, body_in)
            end, stream, h1)
        end)
    end

    it("leaves the file where the body ends, and appends where it is to", function()
        local path = folder .. "/file"
        for _, mode in ipairs { "wb", "ab", "w+b", "a+b" } do
            saving(function(save)
                local file = assert(io.open(path, mode))
                file:write "before "
                save(file)
                assert.equal(7 + TIMES * SIZE, file:seek())
                file:write " behind"
                file:close()
            end)
            assert.is_true(contents(path) == "before " .. ALL .. " behind", mode)
            os.remove(path)
        end
    end)

    it("tells a file's error from the connection's", function()
        if IS_COPIED then
            return -- it is next_to_file that writes
        end
        saving(function(_, stream, h1)
            while h1:next_discard() == "need_data" and h1:past() < 65536 do
                assert(stream:fill(h1))
            end
            local file = assert(io.open("/dev/full", "wb"))
            file:setvbuf "no"
            local n, code, where = stream:save(h1, nil, file)
            assert.is_nil(n)
            assert.equal("file", where)
            assert.equal("ENOSPC", core.error_name(code))
            file:close()
            assert.error_matches(function()
                stream:save(h1, nil, file)
            end, "the file is closed")
        end)
    end)
end)

if not IS_COPIED then
    describe("splice", function()
        it("isn't needed: all of the above holds without it", function()
            local status, output = wrapped.run_specs("no_shortcuts",
                { "spec/io/download_spec.lua" })
            assert.equal(0, status, output)
            assert.matches("passed, 0 failed", output)
        end)
    end)
end
