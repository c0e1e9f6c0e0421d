-- haproxy as a proxy in HTTP mode, in front of Node's server.

local interop = require "spec.support.interop"
local support = require "spec.support"

local CONFIG = [[
global
    maxconn 64
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 30s
frontend kept
    bind 127.0.0.1:%(port)
    default_backend node
frontend idle
    bind 127.0.0.1:%(idleport)
    timeout http-keep-alive 300ms
    default_backend node
backend node
    server node 127.0.0.1:%(nodeport)
]]

interop.describe("haproxy", function(bodies)
    local node = interop.start_node(bodies)
    local dir, port, idle_port = support.temp_dir(), support.free_port(), support.free_port()
    local path = interop.configure(dir .. "/haproxy.cfg", CONFIG, {
        port = port, idleport = idle_port, nodeport = node.port,
    })
    local process = interop.start({ "/usr/sbin/haproxy", "-db", "-f", path }, dir,
        { port, idle_port })
    return {
        url = "http://127.0.0.1:" .. port, idle_url = "http://127.0.0.1:" .. idle_port,
        idle_seconds = 0.6,
        echo = "/echo", files = "/files/", chunked = "/chunked/", empty = "/empty",
        always_chunked = true,
        processes = { process, node.process },
    }
end, function(server, bodies)
    interop.node_specs(it, server)
    interop.expect_specs(it, server, bodies)
end)
