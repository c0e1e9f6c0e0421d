-- What spec/core/oom_spec.lua runs on a core whose memory can be made to fail: all that the codec,
-- the header lists and the content codings do, once for each allocation in it, which then fails.

local codings = require "spec.support.codings"
local core = require "moonwire.core"
local trace_of = require "spec.support.trace"

local path = assert(package.searchpath("moonwire.core", package.cpath))
local arm = assert(package.loadlib(path, "failing_alloc_arm"))
local disarm = assert(package.loadlib(path, "failing_alloc_disarm"))
local live = assert(package.loadlib(path, "failing_alloc_live"))

local ENOMEM = core.codes.ENOMEM
local WORDS = { core.error_name(ENOMEM), core.error_text(ENOMEM), "not enough memory" }

-- Whether what was raised says that memory ran out.
local function is_oom(problem)
    for _, words in ipairs(WORDS) do
        if type(problem) == "string" and problem:find(words, 1, true) then
            return true
        end
    end
    return false
end

-- Runs f with its n-th allocation failing; f returns nothing, or ENOMEM, or raises that. Returns
-- whether there was such an allocation.
local function fail_at(n, f, all, in_lua)
    arm(n, all, in_lua)
    local ok, result = pcall(f)
    local failed = disarm()
    if not ok and not (failed > 0 and is_oom(result)) then
        error(("allocation %d: %s"):format(n, tostring(result)), 0)
    elseif failed == 0 then
        assert.is_nil(result)
    elseif ok and result ~= ENOMEM and not in_lua then
        error(("allocation %d failed, and nobody said so"):format(n), 0)
    end
    return failed > 0
end

-- Does so for every n; no memory is left behind. Returns how many allocations there are.
local function each_failure(f, all, in_lua)
    collectgarbage() -- finalizers run as well
    local before, n = live(), 1
    while fail_at(n, f, all, in_lua) do
        n = n + 1
    end
    collectgarbage()
    local lost = live() - before
    for i = 1, lost ~= 0 and n or 0 do -- which one was it?
        before = live()
        fail_at(i, f, all, in_lua)
        collectgarbage()
        assert(live() == before, ("allocation %d: %d blocks are left"):format(i, live() - before))
    end
    assert.equal(0, lost)
    return n - 1
end

local function both_ways(f)
    local count = each_failure(f, false)
    assert.equal(count, each_failure(f, true))
    return count
end

local function bytes_of(text)
    local bytes = {}
    for i = 1, #text do
        bytes[i] = text:sub(i, i)
    end
    return bytes
end

-- A trace that runs out of memory says so as its last event.
local function replay(trace, segments)
    return function()
        local out = trace_of.replay(trace, segments)
        if table.concat(out, "\n") ~= table.concat(trace.expected, "\n") then
            assert.equal("error ENOMEM", out[#out - 1])
            assert.equal("reuse error", out[#out])
            return ENOMEM
        end
    end
end

describe("out of memory", function()
    for _, file in ipairs(trace_of.files()) do
        local trace = trace_of.read(file)
        it("in " .. file:match "([^/]+)%.txt$", function()
            local whole, bytes = {}, {}
            for i, segment in ipairs(trace.segments) do
                whole[i] = { segment }
                bytes[i] = #segment < 400 and bytes_of(segment) or { segment }
            end
            assert.is_true(both_ways(replay(trace, whole)) > 0)
            each_failure(replay(trace, bytes))
        end)
    end
end)

local function some_headers(count)
    local headers = core.headers()
    headers:add("Host", "h")
    for i = 1, count do
        headers:add("X-" .. i, ("v"):rep(i))
    end
    return headers
end

describe("out of memory", function()
    it("while a header list grows and changes", function()
        assert.is_true(both_ways(function()
            local headers = some_headers(100)
            headers:set("x-50", ("w"):rep(5000))
            headers:remove("x-1")
            local copy = headers:copy()
            copy:add("More", "1")
            copy:set("x-2", ("w"):rep(9000))
        end) > 8)
    end)

    it("leaves a header list as it was", function()
        local function change(headers, n)
            arm(n)
            local ok, problem = pcall(function()
                headers:add("Long", ("l"):rep(20000))
            end)
            disarm()
            assert(ok or is_oom(problem), problem)
            return ok
        end
        for _, headers in ipairs { some_headers(15), some_headers(40):copy() } do
            local before = tostring(headers)
            local n = 1
            while not change(headers, n) do
                assert.equal(before, tostring(headers))
                n = n + 1
            end
            assert.is_true(n > 1)
            assert.equal(20000, #headers:get "long")
        end
    end)

    it("while a request is made and sent", function()
        both_ways(function()
            local head = core.request_head("POST", "/", some_headers(20), "chunked")
            local h1 = core.h1 "client"
            assert(h1:send_request(head))
            assert(h1:send_body "hello")
            local trailers = core.headers()
            trailers:add("X-Sum", "1")
            return select(2, h1:send_end(trailers))
        end)
    end)

    it("while a response is sent, which may be tried again", function()
        local trailers, headers = core.headers(), core.headers()
        trailers:add("X-Sum", "1")
        headers:add("X-Long", ("x"):rep(5000))
        assert.is_true(each_failure(function()
            local h1 = core.h1 "server"
            h1:feed "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
            local event, read_code = h1:next()
            if not event then
                return read_code
            end
            local sent, code = h1:send_response(200, "OK", headers, "chunked")
            if not sent then
                assert.is_true(h1:send_response(200, "OK", headers, "chunked"))
            end
            local ended, end_code = h1:send_end(trailers)
            if not ended then
                assert.is_true(h1:send_end(trailers))
            end
            assert.matches("^HTTP/1.1 200 OK\r\n.*\r\n0\r\nX%-Sum: 1\r\n\r\n$", h1:output(1e6))
            return code or end_code
        end) >= 5)
    end)

    it("while an exchange follows another", function()
        each_failure(function()
            local h1 = core.h1 "server"
            for i = 1, 3 do
                h1:feed("GET / HTTP/1.1\r\nHost: h\r\nX: " .. ("x"):rep(9000 * i) .. "\r\n\r\n")
                local event, code = h1:next()
                if not event then
                    return code
                end
                local ok
                ok, code = h1:send_response(204)
                if not ok then
                    return code
                end
                h1:output_sent(#h1:output(1e6))
                assert.equal("end", (h1:next()))
                assert(h1:restart())
            end
        end)
    end)

    it("while a URL is read", function()
        assert.is_true(both_ways(function()
            assert(core.parse_url "http://[::1]:80/a/b?c#d")
            assert(core.parse_url("http://example.com/" .. ("a/"):rep(2000)))
            assert(core.resolve_url("http://127.0.0.1/a/b/c?d", "../e/f?g#h"))
            assert(core.resolve_url("http://127.0.0.1/a/b/c?d", "//[::2]/../e"))
            assert(core.resolve_url("http://h/a/b/c?d", "?x"))
            assert(core.parse_url "http://b\195\188cher.de/")
            assert(core.resolve_url("http://b\195\188cher.de/", "//\195\169.fr/"))
        end) > 10)
    end)
end)

describe("out of memory for receiving", function()
    local loop, listener, peer, tcp

    setup(function()
        loop = core.loop()
        listener, peer, tcp = loop:tcp(), loop:tcp(), loop:tcp()
        assert(listener:listen("ipv4", "127.0.0.1", 0))
        local _, port = listener:name()
        tcp:connect("ipv4", "127.0.0.1", port)
        assert.equal(0, listener:wait(loop:thread(), "read", 5))
        assert(listener:accept(peer))
        assert.equal(0, tcp:wait(loop:thread(), "write", 5))
        assert(tcp:connect_result())
    end)

    teardown(function()
        loop:close()
    end)

    it("is told, and may be over by the next time", function()
        local request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        assert.equal(#request, (peer:send(request)))
        assert.equal(0, tcp:wait(loop:thread(), "read", 5))
        local h1 = core.h1 "server"
        arm(1)
        local n, code = tcp:recv_into(h1)
        assert.equal(1, disarm())
        assert.is_nil(n)
        assert.equal(ENOMEM, code)
        assert.equal(#request, (tcp:recv_into(h1)))
        assert.equal("head", (h1:next()))
    end)

    it("is told wherever an answer needs some, and when more is left behind a head", function()
        local headers = core.headers()
        headers:add("Host", "h")
        local head = core.request_head("GET", "/", headers)
        local answers = "HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        local n = 0
        repeat
            n = n + 1
            local h1 = core.h1 "client"
            assert.equal(0, (tcp:ask(h1, head, nil, nil, math.huge)))
            assert(peer:recv_now())
            assert.equal(#answers, (peer:send(answers)))
            assert.equal(0, tcp:wait(loop:thread(), "read", 5))
            arm(n)
            local event, code = tcp:answer(h1)
            if event == "informational" then
                event, code = h1:next_answer()
            end
            local failed = disarm()
            assert.same(failed > 0 and { nil, ENOMEM } or { "head", 200 }, { event, code })
            tcp:recv_now() -- when there was no room for it
        until failed == 0
        assert.is_true(n > 3, n)
    end)
end)

-- Works on bytes until the end; ENOMEM where there was no memory for it.
local function code_all(coding, code, bytes)
    if not coding then
        return code
    end
    coding:feed(bytes)
    local event, data
    repeat
        event, data = coding:next()
        if event == "need_data" then
            coding:feed_eof()
        end
    until event == "end" or event == nil
    if event == nil then
        local again, same = coding:next()
        assert.same({ nil, data }, { again, same })
        return data
    end
    coding:close()
end

describe("out of memory in a content coding", function()
    local text = codings.noise(70000)

    for _, name in ipairs(codings.NAMES) do
        it("is told where it is taken off: " .. name, function()
            local packed = codings.encode(name, text)
            assert.is_true(both_ways(function()
                local decoder, code = core.decoder(name)
                return code_all(decoder, code, packed)
            end) > 2)
        end)

        it("is told where it is put on: " .. name, function()
            assert.is_true(both_ways(function()
                local encoder, code = core.encoder(name)
                return code_all(encoder, code, text)
            end) > 2)
        end)
    end

    it("is told in a chain", function()
        local packed = codings.encode("zstd", codings.encode("gzip", text))
        assert.is_true(both_ways(function()
            local decoder, code = core.decoder("gzip", "zstd")
            return code_all(decoder, code, packed)
        end) > 6)
    end)
end)

local PACKED = codings.encode("br", codings.encode("gzip", "hello"))

-- One of everything.
local function exchange()
    local headers = core.headers()
    headers:add("Host", "h")
    local h1 = core.h1("client", { head_bytes = 1000 })
    h1:send_request(core.request_head("PUT", "/", headers, "chunked", { close = true }))
    h1:send_body "hello"
    h1:send_end(headers:copy())
    h1:output(1e6)
    h1:feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n" ..
        "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
    for _, expected in ipairs { "head", "body", "end" } do
        local event, code = h1:next()
        if event ~= expected then
            return code
        end
    end
    local _ = h1:head().headers["x-a"]
    _ = h1:trailers():get_all "x-sum"
    h1:leftover()
    headers = h1:head().headers
    headers:set("x-a", ("x"):rep(5000))
    tostring(headers)
    core.parse_url("http://u@h:80/p?q#f")
    core.resolve_url("http://h/" .. ("a"):rep(3000), "../b")
    local coding, code = core.encoder "br"
    local failed = code_all(coding, code, "hello")
    if not failed then
        coding, code = core.decoder("gzip", "br")
        failed = code_all(coding, code, PACKED)
    end
    return failed
end

describe("out of memory in Lua as well", function()
    setup(function()
        jit.off()
    end)

    teardown(function()
        jit.on()
    end)

    it("raises, and leaves nothing behind", function()
        assert.is_true(each_failure(exchange, false, true) > 30)
    end)
end)
