-- Runs against peers in memory, on a clock that only the waits turn: so all numbers are exact.
local hooks_of = require "moonwire.bench.hooks"
local mock = require "moonwire.testing.mock"
local mock_client = require "spec.support.mock_client"
local moonwire = require "moonwire"
local options = require "moonwire.bench.options"
local runs = require "moonwire.bench.run"
local summaries = require "moonwire.bench.summary"

local OK = mock_client.OK

-- A run against a server that takes `seconds(number, head, now)` for a request; what `reply` gives
-- in place of OK. Gives the summary, the run, and what the server has seen.
local function bench(words, seconds, reply, hooks)
    local m, summary, run = mock.new(), nil, nil
    local began = m:now()
    local log = mock_client.serve(m, "127.0.0.1", 80, function(head, number, peer)
        local takes = type(seconds) == "number" and seconds
            or seconds(number, head, m:now() - began)
        if takes then
            peer:after(takes, function()
                if not peer:is_closed() then
                    peer:send(reply and reply(number, head) or OK)
                end
            end)
        end
    end)
    m:run(function()
        run = runs.new(assert(options.parse({ "http://127.0.0.1/", unpack(words) }, 1)),
            hooks or hooks_of.none())
        assert(run:run())
        summary = summaries.of(run)
        for _, peer in ipairs(log.peers) do
            assert.is_true(peer:is_closed())
            peer:close()
        end
        m:advance(100)
        assert.equal(0, m:stats().tcp)
    end)
    return summary, run, log
end

describe("a closed loop", function()
    it("sends the next request of a connection when the last is answered", function()
        local s, _, log = bench({ "-c", "4", "-d", "1s" }, 0.01)
        assert.near(400, s.requests.answered, 4)
        assert.near(400, s.requests.per_second, 4)
        assert.equal(4, #log.peers)
        assert.equal(4, s.connections.opened)
        assert.equal(s.requests.answered - 4, s.connections.reused)
        assert.near(0.01, s.latency.p50, 0.0001)
        assert.near(0.01, s.latency.max, 1e-9)
        assert.same({ ["200"] = s.requests.answered }, s.statuses)
        assert.same({ ["2xx"] = s.requests.answered }, s.classes)
        assert.same({}, s.errors)
        assert.is_nil(s.schedule)
        assert.near(1, s.seconds, 1e-6)
    end)

    it("sends exactly as many as it is told", function()
        local s, _, log = bench({ "-c", "3", "-n", "10" }, 0.01)
        assert.equal(10, #log.heads)
        assert.equal(10, s.requests.answered)
        assert.near(0.04, s.seconds, 1e-6)
        assert.equal(0, s.requests.late)
    end)

    it("waits for what is under way in the end, and counts it for the latency only", function()
        local s = bench({ "-c", "2", "-d", "1s" }, function(number)
            return number <= 10 and 0.1 or 3
        end)
        assert.equal(12, s.requests.answered)
        assert.equal(2, s.requests.late)
        assert.near(10, s.requests.per_second, 0.01)
        assert.near(1, s.seconds, 1e-6)
        assert.near(3, s.latency.max, 1e-9)
    end)

    it("leaves out what was sent before the warm-up was over", function()
        local s, _, log = bench({ "-c", "1", "-d", "1s", "--warmup", "1s" }, function(_, _, now)
            return now < 0.95 and 0.1 or 0.01
        end)
        assert.is_true(#log.heads > 105)
        assert.near(100, s.requests.answered, 2)
        assert.near(0.01, s.latency.max, 1e-9)
        s, _, log = bench({ "-c", "2", "-n", "7", "--warmup", "1s" }, 0.1)
        assert.equal(7, s.requests.answered)
        assert.equal(27, #log.heads)
    end)

    it("counts bytes of the measured time, heads included", function()
        local s, _, log = bench({ "-c", "1", "-n", "5" }, 0.01)
        assert.equal(5 * #OK, s.bytes.received)
        assert.equal(5 * #log.heads[1], s.bytes.sent)
        assert.near(5 * #OK / 0.05, s.bytes.received_per_second, 1)
    end)

    it("has a series that adds up", function()
        local s = bench({ "-c", "2", "-d", "2s" }, 0.01)
        local requests, bytes, at = 0, 0, 0
        for _, point in ipairs(s.series) do
            requests, bytes = requests + point.requests, bytes + point.bytes
            assert.near(at + point.seconds, point.at, 1e-6)
            at = point.at
        end
        assert.equal(s.requests.answered - s.requests.late, requests)
        assert.equal(s.bytes.received, bytes)
        assert.near(2, at, 1e-6)
        assert.near(20, #s.series, 1)
    end)

    it("keeps the series short however long it takes", function()
        local s = bench({ "-c", "1", "-d", "2h" }, 0.5)
        assert.is_true(#s.series < 1500)
        assert.near(14400, s.requests.answered, 2)
    end)
end)

describe("what goes wrong with requests", function()
    it("is counted by kind, and the connection replaced", function()
        local s, run = bench({ "-c", "1", "-n", "9", "--timeout", "200ms" }, function(number)
            return number % 3 ~= 0 and 0.01 or nil
        end, function(number)
            return number % 3 == 2 and "HTP/1.1 nonsense\r\n\r\n" or OK
        end)
        assert.equal(3, s.requests.answered)
        assert.equal(6, s.requests.failed)
        assert.same({ timeout = 3, protocol = 3 }, s.errors)
        assert.equal(3, s.latency.count)
        assert.equal(6, s.connections.opened)
        assert.truthy(s.first_error:find("127.0.0.1", 1, true))
        assert.equal("protocol", run.first_error.kind)
    end)

    it("is no error where the server closes between two requests", function()
        local s = bench({ "-c", "1", "-n", "6" }, 0.01, function(number)
            return number % 2 == 0 and "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                .. "Content-Length: 2\r\n\r\nok" or OK
        end)
        assert.equal(6, s.requests.answered)
        assert.equal(0, s.requests.failed)
        assert.equal(3, s.connections.opened)
    end)

    it("is not what the server does to an idle connection", function()
        local m, summary = mock.new(), nil
        mock_client.serve(m, "127.0.0.1", 80, function(_, _, peer)
            peer:after(0.001, function()
                peer:send(OK)
                peer:after(0.1, function()
                    peer:close()
                end)
            end)
        end)
        m:run(function()
            local run = runs.new(assert(options.parse({ "http://127.0.0.1/", "-c", "1", "-d", "2s",
                "-r", "2" }, 1)), hooks_of.none())
            assert(run:run())
            summary = summaries.of(run)
        end)
        assert.equal(4, summary.requests.answered)
        assert.equal(0, summary.requests.failed)
        assert.equal(4, summary.connections.opened)
    end)

    it("ends the run before it begins where nobody is there", function()
        local m = mock.new()
        m:run(function()
            local run = runs.new(assert(options.parse({ "http://127.0.0.1/", "-c", "3" }, 1)),
                hooks_of.none())
            local began = m:now()
            local ok, err = run:run()
            assert.is_nil(ok)
            assert.equal("connect", err.kind)
            assert.equal(began, m:now())
        end)
    end)

    it("is shown by the statuses, and 4xx and 5xx are no success", function()
        local s = bench({ "-c", "1", "-n", "4" }, 0.01, function(number)
            return ("HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n"):format(
                ({ 204, 302, 404, 503 })[number])
        end)
        assert.same({ ["2xx"] = 1, ["3xx"] = 1, ["4xx"] = 1, ["5xx"] = 1 }, s.classes)
        assert.equal(4, s.requests.answered)
        assert.equal(2, s.requests.succeeded)
    end)
end)

describe("a rate", function()
    it("is kept while the server keeps up", function()
        local s, _, log = bench({ "-c", "10", "-d", "2s", "--rate", "100" }, 0.02)
        assert.equal(200, #log.heads)
        assert.equal(200, s.requests.answered)
        assert.same({ rate = 100, due = 200, unsent = 0, backlog_max = 0, kept = true }, s.schedule)
        assert.near(0.02, s.latency.max, 1e-6)
    end)

    -- The server stands still for a second. A loop that waits for its answer sends nothing
    -- meanwhile, and so has one slow request for each connection; on the schedule a hundred were
    -- due, and each of them has waited.
    local function stall(number, _, now)
        _ = number
        return now >= 1 and now < 2 and 2 - now + 0.001 or 0.001
    end

    it("shows a server that stalls in the latency of all that was due meanwhile", function()
        local s = bench({ "-c", "2", "-d", "4s", "--rate", "100" }, stall)
        assert.equal(400, s.requests.answered)
        assert.near(1, s.latency.max, 0.01)
        assert.is_true(s.latency.p90 > 0.4) -- 40 of the 400 have waited for longer than 0.6 s
        assert.is_true(s.latency.p90 < 0.8)
        assert.is_true(s.latency.p99 > 0.9)
        assert.is_true(s.latency.p50 < 0.01)
        assert.is_true(s.schedule.backlog_max > 90)
        assert.is_true(s.schedule.kept)
    end)

    it("is what makes the difference: a closed loop hides the same", function()
        local s = bench({ "-c", "2", "-d", "4s" }, stall)
        assert.near(1, s.latency.max, 0.01)
        assert.is_true(s.latency.p99 < 0.01)
    end)

    it("that can't be kept is told, with what was not sent", function()
        local s, _, log = bench({ "-c", "2", "-d", "2s", "--rate", "100" }, 0.1)
        assert.equal(40, #log.heads)
        assert.is_false(s.schedule.kept)
        assert.equal(200, s.schedule.due)
        assert.equal(160, s.schedule.unsent)
        assert.is_true(s.latency.max > 1.5)
    end)

    it("ends after so many requests too", function()
        local s, _, log = bench({ "-c", "5", "-n", "20", "--rate", "10" }, 0.01)
        assert.equal(20, #log.heads)
        assert.equal(20, s.requests.answered)
        assert.near(1.91, s.seconds, 0.001)
        s = bench({ "-c", "5", "-n", "20", "--rate", "10", "--warmup", "1s" }, 0.01)
        assert.equal(20, s.requests.answered)
    end)
end)

describe("a run that is interrupted", function()
    it("gives up what is under way, and keeps its numbers", function()
        for _, words in ipairs { { "-c", "3", "-d", "1h" }, { "-c", "3", "-n", "1000000" },
            { "-c", "3", "-d", "1h", "-r", "50" } } do
            local m, summary = mock.new(), nil
            local began = m:now()
            mock_client.serve(m, "127.0.0.1", 80, function(_, _, peer)
                peer:after(0.1, function()
                    if not peer:is_closed() then
                        peer:send(OK)
                    end
                end)
            end)
            m:run(function()
                local run = runs.new(assert(options.parse({ "http://127.0.0.1/", unpack(words) },
                    1)), hooks_of.none())
                moonwire.spawn(function()
                    moonwire.sleep(2.05)
                    run:interrupt()
                end)
                assert(run:run())
                summary = summaries.of(run)
                assert.near(2.05, m:now() - began, 0.001)
            end)
            assert.is_true(summary.interrupted)
            assert.equal(60, summary.requests.answered)
            assert.equal(3, summary.requests.unfinished)
            assert.equal(0, summary.requests.failed)
            assert.near(2.05, summary.seconds, 0.001)
        end
    end)
end)

describe("hooks", function()
    it("make the requests and see the responses", function()
        local sent, seen = 0, {}
        local hooks = hooks_of.none()
        function hooks.request()
            sent = sent + 1
            return sent % 2 == 0 and { url = "/even?n=" .. sent, headers = { ["X-N"] = sent } }
                or { method = "PUT", json = { n = sent } }
        end
        function hooks.response(response, request)
            seen[#seen + 1] = request.method .. request.target .. response:text()
                .. response.headers["content-length"]
        end
        local s, _, log = bench({ "-c", "1", "-n", "4" }, 0.01, nil, hooks)
        assert.equal(4, s.requests.answered)
        assert.same({ "PUT/ok2", "GET/even?n=2ok2", "PUT/ok2", "GET/even?n=4ok2" }, seen)
        assert.truthy(log.heads[2]:find("\r\nX%-N: 2\r\n"))
    end)

    it("may wait, which is no latency", function()
        local hooks = hooks_of.none()
        function hooks.request()
            moonwire.sleep(0.09)
            return {}
        end
        function hooks.response()
            moonwire.sleep(0.1)
        end
        local s = bench({ "-c", "2", "-d", "2s" }, 0.01, nil, hooks)
        assert.near(20, s.requests.answered, 2)
        assert.near(0.01, s.latency.max, 1e-6)
    end)

    it("end a connection's part with nil", function()
        local hooks, left = hooks_of.none(), 7
        function hooks.request()
            left = left - 1
            return left >= 0 and {} or nil
        end
        local s = bench({ "-c", "3", "-d", "1h" }, 0.01, nil, hooks)
        assert.equal(7, s.requests.answered)
        assert.is_true(s.seconds < 1)
    end)

    it("read a body that comes in pieces; without a response hook it is dropped", function()
        local pieces = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" .. ("x"):rep(100000)
        local hooks, sizes = hooks_of.none(), {}
        function hooks.response(response)
            sizes[#sizes + 1] = #response:text()
        end
        local function reply()
            return pieces
        end
        local s = bench({ "-c", "1", "-n", "2" }, 0.01, reply, hooks)
        assert.same({ 100000, 100000 }, sizes)
        assert.equal(2 * #pieces, s.bytes.received)
        s = bench({ "-c", "1", "-n", "2" }, 0.01, reply)
        assert.equal(2, s.requests.answered)
        assert.equal(2 * #pieces, s.bytes.received)
        assert.equal(1, s.connections.opened)
    end)

    it("that raise end the run, and leave no connection open", function()
        local hooks, m = hooks_of.none(), mock.new()
        function hooks.request()
            error "boom"
        end
        local log = mock_client.serve(m, "127.0.0.1", 80)
        m:run(function()
            local run = runs.new(assert(options.parse({ "http://127.0.0.1/", "-c", "3" }, 1)),
                hooks)
            local ok, problem = pcall(run.run, run)
            assert.is_false(ok)
            assert.truthy(problem:find("run_spec.lua:%d+: boom\nstack traceback:\n"))
            assert.equal(3, #log.peers)
            for _, peer in ipairs(log.peers) do
                assert.is_true(peer:is_closed())
            end
        end)
    end)

    for name, case in pairs {
        ["another origin"] = { { url = "http://127.0.0.2/" },
            "request() gave a request to http://127.0.0.2:80: all go to http://127.0.0.1:80" },
        ["an unknown field"] = { { path = "/" }, "request() gave a table with 'path' (known: " },
        ["a number"] = { 7, "request() gave a number, neither a request nor a table" },
        ["a bad header"] = { { headers = { ["a b"] = "c" } }, "bad header" },
    } do
        it("may not ask for " .. name, function()
            local hooks = hooks_of.none()
            function hooks.request()
                return case[1]
            end
            local ok, problem = pcall(bench, { "-n", "1" }, 0.01, nil, hooks)
            assert.is_false(ok)
            assert.truthy(problem:find(case[2], 1, true), problem)
        end)
    end
end)
