-- caddy: its own file server, and as a proxy in front of Node's server.

local interop = require "spec.support.interop"
local support = require "spec.support"

local CONFIG = [[
{
    admin off
    auto_https off
    servers :%(idleport) {
        timeouts {
            idle 300ms
        }
    }
}
http://127.0.0.1:%(port), http://127.0.0.1:%(idleport) {
    handle_path /files/* {
        root * %(bodies)
        file_server
    }
    handle_path /chunked/* {
        root * %(bodies)
        header -Content-Length
        file_server
    }
    handle_path /packed/* {
        root * %(bodies)
        encode zstd gzip {
            minimum_length 2
            match {
                header Content-Type *
            }
        }
        file_server
    }
    respond /empty 204
    reverse_proxy 127.0.0.1:%(nodeport)
}
]]

interop.describe("caddy", function(bodies)
    local node = interop.start_node(bodies)
    local dir, port, idle_port = support.temp_dir(), support.free_port(), support.free_port()
    local path = interop.configure(dir .. "/Caddyfile", CONFIG, {
        port = port, idleport = idle_port, nodeport = node.port, bodies = bodies.folder,
    })
    local process = interop.start({ "caddy", "run", "--config", path, "--adapter", "caddyfile" },
        dir, { port, idle_port }, { env = { HOME = dir, XDG_DATA_HOME = dir } })
    return {
        url = "http://127.0.0.1:" .. port, idle_url = "http://127.0.0.1:" .. idle_port,
        idle_seconds = 0.6,
        echo = "/echo", files = "/files/", chunked = "/chunked/", empty = "/empty",
        processes = { process, node.process },
    }
end, function(server, bodies)
    interop.node_specs(it, server)
    interop.coding_specs(it, server, bodies, "/packed/", { "zstd", "gzip" })
end)
