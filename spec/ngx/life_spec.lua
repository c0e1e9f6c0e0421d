-- Ends that nobody asked moonwire about, inside nginx: killed threads, clients that leave, workers
-- that are replaced. Nothing leaks, nothing crashes, and the log stays clean.
local handlers = require "spec.support.nginx_handlers"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local support = require "spec.support"

local function open_files(pid)
    local pipe = assert(io.popen("ls /proc/" .. pid .. "/fd 2>/dev/null | wc -l"))
    local count = pipe:read "*n"
    pipe:close()
    return count
end

-- Waits until a condition holds.
local function eventually(what, holds)
    for _ = 1, 400 do
        if holds() then
            return
        end
        support.in_loop(moonwire.sleep, 0.02)
    end
    error("this did not happen: " .. what, 2)
end

describe("one worker of nginx", function()
    local nginx, pid

    setup(function()
        nginx = handlers.start({
            late = [[
                -- a connection that is made in the very turn in which it is given up
                local cosocket = require "moonwire.backend.ngx.cosocket"
                local make, made, closed = cosocket.new, nil, 0
                cosocket.new = function(...)
                    made = make(...)
                    made.sock = {
                        settimeouts = function() end,
                        connect = function()
                            ngx.sleep(0.001)
                            made:close()
                            return true
                        end,
                        close = function()
                            closed = closed + 1
                            return true
                        end,
                    }
                    return made
                end
                moonwire.scope(function(s)
                    s:spawn(moonwire.sleep, 0.01) -- others run, so each step has a light thread
                    say(select(2, require("moonwire.net").connect("127.0.0.1", 1)).kind)
                end)
                cosocket.new = make
                say(closed)]],
            memory = [[collectgarbage() collectgarbage() say(collectgarbage "count")]],
            get = [[say(http.get(upstream .. "/get").status)]],
            kill = [[
                local thread = ngx.thread.spawn(function()
                    http.get(upstream .. "/delay/20")
                end)
                moonwire.sleep(0.05)
                say(ngx.thread.kill(thread))
                say(http.get(upstream .. "/get").status)]],
            kill_scope = [[
                local told
                local thread = ngx.thread.spawn(function()
                    moonwire.scope(function(s)
                        s:spawn(function()
                            told = select(2, moonwire.sleep(60))
                        end)
                        s:spawn(http.get, upstream .. "/delay/60")
                        http.post(upstream .. "/delay/60", { body = function()
                            moonwire.sleep(0.01)
                            return "x"
                        end })
                    end)
                end)
                moonwire.sleep(0.05)
                say(ngx.thread.kill(thread))
                for _ = 1, 100 do
                    if told then
                        break
                    end
                    moonwire.sleep(0.05)
                end
                say(told and told.kind, http.get(upstream .. "/get").status)]],
            kill_again = [[
                -- nginx uses the coroutine of a killed thread for the next one
                local results = {}
                for i = 1, 5 do
                    local thread = ngx.thread.spawn(function()
                        moonwire.scope(function(s)
                            s:cancel()
                            local _, err = moonwire.sleep(1)
                            results[#results + 1] = err.kind
                        end)
                        results[#results + 1] = http.get(upstream .. "/get").status
                        moonwire.timeout(0.02, function()
                            http.get(upstream .. "/delay/20")
                            ngx.sleep(10)
                        end)
                    end)
                    ngx.sleep(0.04)
                    ngx.thread.kill(thread)
                    thread = ngx.thread.spawn(function()
                        moonwire.timeout(5, function()
                            http.get(upstream .. "/delay/20")
                        end)
                    end)
                    ngx.sleep(0.01)
                    ngx.thread.kill(thread)
                end
                say(unpack(results))]],
            slow = { "lua_check_client_abort on;", [[content_by_lua_block {
                local moonwire, http = require "moonwire", require "moonwire.http"
                moonwire.scope(function(s)
                    s:spawn(http.get, ngx.var.arg_to .. "/delay/60")
                    http.get(ngx.var.arg_to .. "/delay/60")
                end)
            }]] },
            busy = [[
                local function upload()
                    local left = 5
                    return http.post(upstream .. "/upload", { body = function()
                        left = left - 1
                        return left >= 0 and ("x"):rep(50000) or nil
                    end }):json().bytes
                end
                local results = moonwire.gather({
                    upload,
                    function() return #http.get(upstream .. "/bytes/100000"):text() end,
                    function() return select(2, http.get("http://127.0.0.1:1/")).kind end,
                    function()
                        return select(2, moonwire.timeout(0.001, http.get, upstream .. "/delay/5"))
                            .kind
                    end,
                })
                say(unpack(results, 1, 4))]],
            tasks = [[
                local done, problem = require("ngx.semaphore").new(), nil
                ngx.timer.at(0, function()
                    local ok
                    ok, problem = pcall(function()
                        for _ = 1, 50 do
                            moonwire.scope(function(s)
                                for _ = 1, 40 do
                                    s:spawn(moonwire.sleep, 0)
                                end
                            end)
                        end
                    end)
                    done:post(1)
                end)
                done:wait(20)
                say(problem)]],
        })
        pid = nginx.process.pid
    end)

    teardown(function()
        nginx:finish()
    end)

    it("closes a connection that is there when nobody wants it any more", function()
        assert.equal("closed\n1\n", (nginx:ask "late"))
    end)

    it("goes on when a thread is killed in a request", function()
        nginx:ask "get"
        local before = open_files(pid)
        for _ = 1, 10 do
            assert.equal("1\n200\n", (nginx:ask "kill"))
        end
        eventually("the killed requests' sockets are closed", function()
            return open_files(pid) <= before
        end)
    end)

    it("begins anew with each thread, whatever became of the one before", function()
        local expected = {}
        for i = 1, 5 do
            expected[i] = "cancelled | 200"
        end
        assert.equal(table.concat(expected, " | ") .. "\n", (nginx:ask "kill_again"))
    end)

    it("cancels what a killed thread has left running", function()
        nginx:ask "get"
        local before = open_files(pid)
        assert.equal("1\ncancelled | 200\n", (nginx:ask "kill_scope"))
        eventually("its sockets are closed", function()
            return open_files(pid) <= before
        end)
    end)

    it("drops the requests of clients that leave", function()
        nginx:ask "get"
        local before = open_files(pid)
        support.in_loop(function()
            for _ = 1, 10 do
                local stream = assert(net.connect("127.0.0.1", nginx.port))
                stream:write(("GET /slow?to=%s HTTP/1.1\r\nHost: x\r\n\r\n"):format(nginx.upstream))
                moonwire.sleep(0.05)
                stream:close()
            end
        end)
        eventually("their sockets are closed", function()
            return open_files(pid) <= before
        end)
        assert.equal("200\n", (nginx:ask "get"))
    end)

    it("holds no memory of requests that are over", function()
        local function run()
            for _ = 1, 30 do
                assert.equal("250000 | 100000 | connect | timeout\n", (nginx:ask "busy"))
                nginx:ask "kill"
            end
            return tonumber((nginx:ask "memory"))
        end
        run()
        local files, before = open_files(pid), run()
        local after = run()
        assert.is_true(after - before < 100, ("%g KiB grew to %g"):format(before, after))
        -- some 200 requests were made; a connection or two more may be kept now than then
        eventually("hardly more files are open than before", function()
            return open_files(pid) <= files + 5
        end)
    end)

    it("forgets tasks that have ended while their parent runs on", function()
        assert.equal("nil\n", (nginx:ask "tasks"))
        local before = tonumber((nginx:ask "memory"))
        assert.equal("nil\n", (nginx:ask "tasks"))
        local after = tonumber((nginx:ask "memory"))
        assert.is_true(after - before < 100, ("%g KiB grew to %g"):format(before, after))
    end)
end)

describe("two workers of nginx", function()
    local nginx

    setup(function()
        nginx = handlers.start({
            busy = [[
                local sum = 0
                moonwire.map({ 1, 2, 3, 4 }, function()
                    local text = http.get(upstream .. "/bytes/20000"):text()
                    sum = sum + #text
                end)
                say(sum)]],
            worker = [[say(ngx.worker.pid())]],
        }, { workers = 2 })
    end)

    teardown(function()
        nginx:finish()
    end)

    local function workers()
        local pids = {}
        for _, pid in ipairs(nginx:workers()) do
            pids[pid] = true
        end
        return pids
    end

    it("are replaced under load, and no request is lost", function()
        local first = workers()
        support.in_loop(function()
            local client = http.client()
            local left = 400
            moonwire.scope(function(s)
                for _ = 1, 4 do
                    s:spawn(function()
                        while left > 0 do
                            left = left - 1
                            local res = assert(client:get(nginx.url .. "/busy", { close = true }))
                            assert.equal("80000\n", assert(res:text()))
                        end
                    end)
                end
                for _ = 1, 3 do
                    moonwire.sleep(0.2)
                    nginx:reload()
                end
            end)
            client:close()
        end)
        eventually("the first workers are gone", function()
            local now, count = workers(), 0
            for pid in pairs(now) do
                count = count + 1
                if first[pid] then
                    return false
                end
            end
            return count == 2
        end)
        assert.equal(1, #nginx:ask "worker":gsub("[^\n]", ""))
    end)
end)
