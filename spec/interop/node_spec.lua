-- Node's own HTTP server.

local interop = require "spec.support.interop"

local function start(bodies)
    local node = interop.start_node(bodies)
    return {
        url = "http://127.0.0.1:" .. node.port,
        idle_url = "http://127.0.0.1:" .. node.idle_port,
        idle_seconds = 1.7, -- it adds a second of its own
        echo = "/echo", files = "/files/", chunked = "/chunked/", empty = "/empty",
        always_chunked = true,
        processes = { node.process },
    }
end

interop.describe("Node", start, function(server, bodies)
    interop.node_specs(it, server)
    interop.expect_specs(it, server, bodies)
    interop.coding_specs(it, server, bodies, "/packed/", { "gzip", "deflate", "br" })

    for _, coding in ipairs { "gzip", "deflate", "br" } do
        it("unpacks what is packed for it: " .. coding, function()
            interop.with_client(function(client)
                for _, body in ipairs { bodies[3], bodies[4] } do
                    local file = assert(io.open(body.path, "rb"))
                    local text = file:read "*a"
                    file:seek "set"
                    for _, given in ipairs { text, file, interop.generator(body) } do
                        local response = assert(client:post(server().url .. "/unpack", {
                            body = given, compress = coding,
                        }))
                        assert.equal(body.md5 .. " " .. coding .. "\n", response:text())
                    end
                    file:close()
                end
                assert.equal(1, client:stats().opened)
            end)
        end)
    end
end)
