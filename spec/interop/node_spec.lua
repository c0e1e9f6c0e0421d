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
end)
