local world = require "spec.support.mock_client"

local fails, with_client = world.fails, world.with_client

describe("timeouts of a client", function()
    it("end connecting", function()
        with_client({ timeout = { connect = 3 } }, function(client, m)
            m:listen_at("127.0.0.2", 80, function() end, { delay = math.huge })
            local start = m:now()
            local err = fails("timeout", "connect", client:get("http://other/"))
            assert.is_true(math.abs(m:now() - start - 3) < 0.01)
            assert.is_truthy(tostring(err):find("(timeout.connect = 3 s; 3 s in all)", 1, true))
            err = fails("timeout", "connect", client:get("http://other/", { timeout = 1 }))
            assert.is_truthy(tostring(err):find("(timeout.total = 1 s; 1 s in all)", 1, true))
            m:hosts({}, { delay = 20 })
            fails("timeout", "resolve", client:get("http://other/"))
        end)
    end)

    it("end waiting for the head, for the body, and the whole", function()
        with_client({ timeout = { headers = 4, idle = 3 } }, function(client, m)
            local function after(seconds, kind, phase, response, err)
                assert.is_true(math.abs(m:now() - seconds) < 0.01, m:now() .. " s")
                fails(kind, phase, response, err)
            end
            local start = m:now()
            after(start + 4, "timeout", "headers", client:get("http://h/never"))
            start = m:now()
            local response = assert(client:get("http://h/half"))
            after(start + 3, "timeout", "body", response:text())
            start = m:now()
            after(start + 2, "timeout", "headers",
                client:get("http://h/never", { timeout = { total = 2, headers = 9 } }))
            start = m:now()
            response = assert(client:get("http://h/drip", { timeout = 7 }))
            after(start + 7, "timeout", "body", response:text())
            m:advance(20) -- the peer gives up too
        end, function(head, _, peer)
            local path = head:match "^%S+ (%S+)"
            if path == "/half" then
                return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
            elseif path == "/drip" then
                for i = 1, 20 do
                    peer:after(i, function()
                        peer:send("x")
                    end)
                end
                return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
            end
        end)
    end)
end)
