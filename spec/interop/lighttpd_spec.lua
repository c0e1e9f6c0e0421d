-- lighttpd.

local interop = require "spec.support.interop"
local support = require "spec.support"

local CONFIG = [[
server.modules = ("mod_alias", "mod_cgi")
server.document-root = "%(dir)"
server.bind = "127.0.0.1"
server.port = %(port)
server.errorlog = "%(dir)/error.log"
server.upload-dirs = ("%(dir)")
server.stream-response-body = 2
server.max-keep-alive-requests = 2000
server.max-keep-alive-idle = %(idle)
alias.url = ("/cgi" => "%(cgi)", "/files/" => "%(bodies)/")
mimetype.assign = ("" => "application/octet-stream") # no ETag without a type
cgi.assign = (".cgi" => "")
]]

local function serve(bodies, idle)
    local dir, port = support.temp_dir(), support.free_port()
    local path = interop.configure(dir .. "/lighttpd.conf", CONFIG, {
        dir = dir, port = port, idle = idle, bodies = bodies.folder,
        cgi = interop.install_cgi(bodies, dir),
    })
    return "http://127.0.0.1:" .. port,
        interop.start({ "/usr/sbin/lighttpd", "-D", "-f", path }, dir, { port })
end

interop.describe("lighttpd", function(bodies)
    local url, process = serve(bodies, 30)
    local idle_url, idle_process = serve(bodies, 1)
    return {
        url = url, idle_url = idle_url, idle_seconds = 3.2,
        echo = "/cgi/echo", files = "/files/", chunked = "/cgi/chunked/", empty = "/cgi/empty",
        processes = { process, idle_process },
    }
end)
