local http = require "moonwire.http"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local requests = require "moonwire.request"
local support = require "spec.support"

-- Answers each request with what was asked, until the connection ends.
local function answer(stream)
    while true do
        local head = stream:read_until "\r\n\r\n"
        if not head then
            return
        end
        local length = tonumber(head:match "\r\nContent%-Length: (%d+)") or 0
        local body = head:match "^[^\r]*" .. "\n" .. assert(stream:read_exactly(length))
        assert(stream:write {
            "HTTP/1.1 200 OK\r\nContent-Length: ", tostring(#body), "\r\n\r\n",
            head:find "^HEAD " and "" or body,
        })
    end
end

-- Runs f(url) beside a server.
local function with_server(f)
    support.in_loop(function()
        local listener = assert(net.listen("127.0.0.1", 0))
        moonwire.scope(function(s)
            s:spawn(net.serve, listener, answer)
            f(("http://127.0.0.1:%d"):format(listener:address().port))
            http.default():close()
            listener:close()
        end)
    end)
end

describe("http", function()
    it("has a function for each method, over one kept client", function()
        with_server(function(url)
            assert.equal("GET /a HTTP/1.1\n", assert(http.get(url .. "/a")):text())
            assert.equal("", assert(http.head(url .. "/a")):text())
            for _, name in ipairs { "post", "put", "patch" } do
                assert.equal(name:upper() .. " /b HTTP/1.1\nbody",
                    assert(http[name](url .. "/b", { body = "body" })):text())
            end
            assert.equal("DELETE /c HTTP/1.1\n", assert(http.delete(url .. "/c")):text())
            assert.equal("OPTIONS /d HTTP/1.1\n", assert(http.options(url .. "/d")):text())
            assert.equal("QUERY /e?x=1 HTTP/1.1\n",
                assert(http.request("QUERY", url .. "/e", { query = { x = 1 } })):text())
            assert.equal("GET /f HTTP/1.1\n", assert(http.request { url = url .. "/f" }):text())
            assert.equal("GET /g HTTP/1.1\n",
                assert(http.request(requests.new { url = url .. "/g" })):text())
            local stats = http.default():stats()
            assert.equal(10, stats.requests)
            assert.equal(1, stats.opened)
            http.close_idle()
            assert.equal(0, http.default():stats().idle)
        end)
    end)

    it("makes its client anew once it was closed", function()
        with_server(function(url)
            local client = http.default()
            assert.equal(client, http.default())
            client:close()
            assert.are_not.equal(client, http.default())
            assert(http.get(url))
        end)
    end)

    it("makes further clients with connections of their own", function()
        with_server(function(url)
            local client = http.client { base_url = url, headers = { ["X-A"] = "b" } }
            assert.equal("GET /x HTTP/1.1\n", assert(client:get "x"):text())
            assert.equal(0, http.default():stats().total)
            client:close()
        end)
    end)

    it("runs requests side by side", function()
        with_server(function(url)
            local numbers = {}
            for i = 1, 40 do
                numbers[i] = i
            end
            local texts = moonwire.map(numbers, function(i)
                return assert(http.get(url .. "/" .. i)):text()
            end, { concurrency = 8 })
            for i = 1, 40 do
                assert.equal(("GET /%d HTTP/1.1\n"):format(i), texts[i])
            end
            assert.equal(8, http.default():stats().opened)
        end)
    end)

    it("gives an error that prints as a sentence", function()
        local port = support.free_port()
        support.in_loop(function()
            local url = ("http://me:secret@127.0.0.1:%d/x"):format(port)
            local ok, problem = pcall(function()
                return assert(http.get(url))
            end)
            assert.is_false(ok)
            assert.equal(("connecting to 127.0.0.1:%d: connection refused "
                .. "(http://127.0.0.1:%d/x, phase connect)"):format(port, port), tostring(problem))
            local response, err = http.get("https://127.0.0.1:" .. port)
            assert.is_nil(response)
            assert.equal("connect", err.kind)
            http.default():close()
        end)
    end)

    it("works outside any task, where each call runs the loop", function()
        local listener = assert(net.listen("127.0.0.1", 0))
        local url = ("http://127.0.0.1:%d"):format(listener:address().port)
        local server = moonwire.spawn(net.serve, listener, answer)
        for i = 1, 3 do
            local response = assert(http.post(url, { body = "x" }))
            assert.equal("POST / HTTP/1.1\nx", response:text())
            assert.equal(i > 1, response.timing.reused)
        end
        http.default():close()
        listener:close()
        assert.is_true(server:join())
        local counts = support.counts()
        assert.equal(0, counts.tcp)
        assert.equal(0, counts.threads)
    end)
end)
