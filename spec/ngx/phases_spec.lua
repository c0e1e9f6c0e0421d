-- nginx's phases: those that have cosockets, and what the others are told.
local handlers = require "spec.support.nginx_handlers"

describe("inside nginx", function()
    local nginx

    setup(function()
        nginx = handlers.start({
            content = [[say(http.get(upstream .. "/status/204").status)]],
            rewrite = {
                [[rewrite_by_lua_block { ngx.ctx.status = require("moonwire.http").get(
                    "http://127.0.0.1:" .. ngx.var.server_port .. "/content").status }]],
                [[content_by_lua_block { ngx.say(ngx.ctx.status) }]],
            },
            access = {
                [[access_by_lua_block { ngx.ctx.status = require("moonwire.http").get(
                    "http://127.0.0.1:" .. ngx.var.server_port .. "/content").status }]],
                [[content_by_lua_block { ngx.say(ngx.ctx.status) }]],
            },
            timer = [[
                local done, status = require("ngx.semaphore").new(), nil
                ngx.timer.at(0, function()
                    status = http.get(upstream .. "/status/204").status
                    done:post(1)
                end)
                done:wait(5)
                say(status)]],
            init = [[say(told.init) say(told.init_worker)]],
            loaded = [[say(told.loading)]],
            log = {
                [[content_by_lua_block { ngx.say(told.log) }]],
                [[log_by_lua_block {
                    told.log = select(2, pcall(require("moonwire.http").get, "http://127.0.0.1:1/"))
                }]],
            },
            filter = {
                [[content_by_lua_block { ngx.say "filtered" }]],
                [[header_filter_by_lua_block {
                    local moonwire = require "moonwire"
                    ngx.header.x_get = select(2, pcall(require("moonwire.http").get,
                        "http://127.0.0.1:1/"))
                    ngx.header.x_sleep = select(2, pcall(moonwire.sleep, 1))
                    ngx.header.x_spawn = select(2, pcall(moonwire.spawn, print))
                    ngx.header.x_generator = select(2, coroutine.wrap(function()
                        return pcall(moonwire.sleep, 1)
                    end)())
                }]],
            },
            set = {
                [[set_by_lua_block $told {
                    return select(2, pcall(require("moonwire.http").get, "http://127.0.0.1:1/"))
                }]],
                [[content_by_lua_block { ngx.say(ngx.var.told) }]],
            },
            below = [[
                say(select(2, pcall(string.gsub, "x", "x", function()
                    moonwire.sleep(0.01)
                end)))
                say(moonwire.sleep(0.01))]],
            client = [[say(told.client:get(upstream .. "/headers"):json().headers["X-From"])]],
            sleep = [[say(moonwire.sleep(0))]],
        }, {
            http = [[
                init_by_lua_block {
                    local wrap = coroutine.wrap
                    local http = require "moonwire.http"
                    require "moonwire"
                    told = { loading = wrap == coroutine.wrap }
                    told.client = http.client { headers = { ["X-From"] = "init" } }
                    told.init = select(2, pcall(http.get, "http://127.0.0.1:1/"))
                }
                init_worker_by_lua_block {
                    told.init_worker = select(2, pcall(require("moonwire").sleep, 1))
                }]],
        })
    end)

    teardown(function()
        nginx:finish()
    end)

    for _, phase in ipairs { "content", "rewrite", "access", "timer" } do
        it("works in the phase " .. phase, function()
            local expected = (phase == "content" or phase == "timer") and "204\n" or "200\n"
            assert.equal(expected, (nginx:ask(phase)))
        end)
    end

    local function assert_told(directive, text)
        assert.matches("can't wait in " .. directive .. ": nginx has no cosockets in that phase. "
            .. "Do it in ngx.timer.at(0, f)", text, 1, true)
    end

    it("is loaded in init_by_lua and does nothing there", function()
        assert.equal("true\n", (nginx:ask "loaded"))
    end)

    it("says what init_by_lua and init_worker_by_lua can't do", function()
        local first, second = nginx:ask "init":match "^(.-)\n(.-)\n"
        assert_told("init_by_lua*", first)
        assert_told("init_worker_by_lua*", second)
    end)

    it("says it in log_by_lua and set_by_lua", function()
        nginx:ask "log"
        assert_told("log_by_lua*", (nginx:ask "log"))
        assert_told("set_by_lua*", (nginx:ask "set"))
    end)

    it("says it in header_filter_by_lua, whatever was called, in a generator too", function()
        local text, response = nginx:ask "filter"
        assert.equal("filtered\n", text)
        for _, name in ipairs { "x-get", "x-sleep", "x-spawn", "x-generator" } do
            assert_told("header_filter_by_lua*", response.headers[name])
        end
    end)

    it("says so where a C call stands in between, and goes on", function()
        local first, second = nginx:ask "below":match "^(.-)\n(.-)\n"
        assert.matches("can't wait here: between this call and its task lies a C call", first)
        assert.equal("true", second)
    end)

    it("has clients that were made in init_by_lua", function()
        assert.equal("init\n", (nginx:ask "client"))
    end)

    it("is used in many requests", function()
        for _ = 1, 20 do
            assert.equal("true\n", (nginx:ask "sleep"))
        end
    end)
end)
