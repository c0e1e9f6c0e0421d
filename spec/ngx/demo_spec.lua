-- The example of a gateway, as `make demo-nginx` starts it.
local http = require "moonwire.http"
local moonwire = require "moonwire"
local support = require "spec.support"

describe("the gateway of examples/nginx", function()
    local process, url, output

    setup(function()
        local port = support.free_port()
        output = support.temp_dir() .. "/output"
        url = "http://127.0.0.1:" .. port
        process = support.spawn_process({ support.root .. "/tools/demo-nginx" }, {
            env = { PORT = tostring(port), SERVICES_PORT = tostring(support.free_port()) },
            output = output,
        })
        support.wait_port(port)
    end)

    teardown(function()
        process:kill()
    end)

    local function get(path)
        return support.in_loop(function()
            local client = http.client()
            local res = assert(client:get(url .. path, { timeout = 30 }))
            local text = assert(res:text())
            client:close()
            return text, res.status
        end)
    end

    local function said()
        local file = assert(io.open(output))
        local text = file:read "*a"
        file:close()
        return text
    end

    it("asks three services side by side", function()
        assert.equal('{"user": {"name": "Ada"}, "orders": [7, 8], "stock": 42}\n', (get "/page"))
    end)

    it("ends them when their time is over, and says so", function()
        local text, status = get "/page?delay=20"
        assert.equal(504, status)
        assert.equal("timeout\n", text)
        assert.matches("timed out after 0.5 s", said())
    end)

    it("streams a body through", function()
        local text, status = get "/photo"
        assert.equal(200, status)
        assert.equal(20000000, #text)
    end)

    it("drops the upstream when the client leaves in the middle", function()
        support.in_loop(function()
            local client = http.client()
            for _ = 1, 5 do
                local res = assert(client:get(url .. "/photo"))
                assert(res:read(1000))
                res:close()
            end
            client:close()
            moonwire.sleep(0.1)
        end)
        assert.equal(20000000, #(get "/photo"))
    end)

    it("says how to try it, and warns of nothing else", function()
        local text = said()
        assert.matches("curl http://127.0.0.1:%d+/page\n", text)
        assert.is_nil(text:gsub("[^\n]*timed out after[^\n]*", ""):match "%[%l+%][^\n]*")
    end)

    it("is what make demo-nginx runs", function()
        local _, out = support.run("make -n -C " .. support.quote(support.root) .. " demo-nginx")
        assert.matches("tools/deps nginx\n.*tools/demo%-nginx\n", out)
    end)
end)
