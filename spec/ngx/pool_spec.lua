-- nginx's pool of connections under a client: what is kept there, under which name, and what isn't.
local handlers = require "spec.support.nginx_handlers"

local GET = [[
    local res = assert(http.get(upstream .. "/get"))
    say(res.status, res.timing.reused)]]

describe("connections inside nginx", function()
    local nginx

    setup(function()
        nginx = handlers.start({
            get = GET,
            other_host = [[
                local url = upstream:gsub("127.0.0.1", "localhost")
                say(http.get(url .. "/get").timing.reused)]],
            other_source = [[
                local client = http.client { local_address = "127.0.0.1" }
                say(client:get(upstream .. "/get").timing.reused)
                say(client:get(upstream .. "/get").timing.reused)]],
            other_limit = [[
                local client = http.client { pool = { max_per_origin = 7 } }
                say(client:get(upstream .. "/get").timing.reused)]],
            limit = [[
                local client = http.client { pool = { max_per_origin = 1 } }
                local running, most = 0, 0
                moonwire.map({ 1, 2, 3 }, function()
                    local res = assert(client:get(upstream .. "/delay/0.05"))
                    running = running + 1
                    most = math.max(most, running)
                    res:text()
                    running = running - 1
                end)
                local stats = client:stats()
                say(most, stats.opened, stats.reused)]],
            requests = [[
                local client = http.client { pool = { max_requests = 2, max_per_origin = 5 } }
                for _ = 1, 4 do
                    say(client:get(upstream .. "/get").timing.reused)
                end
                say(client:stats().closed_by.max_requests)]],
            close = [[
                local client = http.client { pool = { max_per_origin = 3 } }
                client:get(upstream .. "/get", { close = true })
                say(client:get(upstream .. "/get").timing.reused)
                say(client:get(upstream .. "/bytes/9000000").status) -- nobody reads it
                collectgarbage()
                say(client:get(upstream .. "/get").timing.reused)]],
            failed = [[
                local client = http.client { pool = { max_per_origin = 4 } }
                say(select(2, client:get(upstream .. "/delay/5", { timeout = 0.05 })).kind)
                say(client:get(upstream .. "/get").timing.reused)]],
            idle = [[
                local client = http.client { pool = { idle_timeout = 0.1, max_per_origin = 6 } }
                client:get(upstream .. "/get")
                moonwire.sleep(0.3)
                say(client:get(upstream .. "/get").timing.reused)]],
            ahead = [[
                local client = http.client { pool = { max_per_origin = 9 } }
                say(client:preconnect(upstream, 3))
                local reused = moonwire.map({ 1, 2, 3 }, function()
                    return tostring(client:get(upstream .. "/delay/0.05").timing.reused)
                end)
                say(table.concat(reused, " "))]],
            closed = [[
                local client = http.client()
                client:get(upstream .. "/get")
                say(client:close(1), client:is_closed())
                say(select(2, pcall(client.get, client, upstream)))]],
            gone = { "return 444;" },
            stale = [[
                -- a server that ends each kept connection at the second request
                local url = "http://127.0.0.1:" .. ngx.var.server_port
                local client = http.client { pool = { max_per_origin = 8 } }
                say(client:get(url .. "/hello").status)
                local res, err = client:get(url .. "/gone")
                say(res, err.kind, err.reused)]],
            hello = { 'return 200 "hello";' },
        })
    end)

    teardown(function()
        nginx:finish()
    end)

    it("are kept from one request of nginx to the next", function()
        nginx:ask "get"
        assert.equal("200 | true\n", (nginx:ask "get"))
    end)

    it("are shared by nobody who says it otherwise", function()
        nginx:ask "get"
        assert.equal("false\n", (nginx:ask "other_host"))
        assert.equal("false\n", (nginx:ask "other_limit"))
        assert.equal("false\ntrue\n", (nginx:ask "other_source"))
    end)

    it("are as many as the pool's limit allows, and requests wait their turn", function()
        assert.equal("1 | 1 | 2\n", (nginx:ask "limit"))
    end)

    it("serve as many requests as they may", function()
        assert.equal("false\ntrue\nfalse\ntrue\n2\n", (nginx:ask "requests"))
    end)

    it("are closed where one says so, and with a body that nobody reads", function()
        assert.equal("false\n200\nfalse\n", (nginx:ask "close"))
    end)

    it("are never kept after a failure", function()
        assert.equal("timeout\nfalse\n", (nginx:ask "failed"))
    end)

    it("are kept for as long as the client says", function()
        assert.equal("false\n", (nginx:ask "idle"))
    end)

    it("are opened ahead", function()
        assert.equal("3\ntrue true true\n", (nginx:ask "ahead"))
    end)

    it("are refused by a client that was closed", function()
        local text = nginx:ask "closed"
        assert.matches("^true | true\n.*the client is closed", text)
    end)

    it("are replaced once when they turn out to be stale", function()
        assert.equal("200\nnil | closed | false\n", (nginx:ask "stale"))
    end)
end)
