-- An nginx of the spec's own: on 127.0.0.1, a free port, with all its files in a temporary folder.

local support = require "spec.support"

local nginx = {}

local CONFIG = [[
%(main)
daemon off;
master_process %(master);
worker_processes %(workers);
pid %(dir)/nginx.pid;
error_log %(dir)/error.log warn;
events { worker_connections 512; }
http {
    access_log %(dir)/access.log;
    client_body_temp_path %(dir)/body;
    proxy_temp_path %(dir)/proxy;
    fastcgi_temp_path %(dir)/fastcgi;
    uwsgi_temp_path %(dir)/uwsgi;
    scgi_temp_path %(dir)/scgi;
    keepalive_timeout 75s 60s;
    sendfile on;
    %(http)
    server {
        listen 127.0.0.1:%(port);
        root %(dir)/www;
        %(locations)
    }
}
]]

---@class spec.Nginx
---@field url string without a slash at the end
---@field port integer
---@field dir string
---@field www string the folder that is served
---@field process table of support.spawn_process
---@field start_again fun() stops it, if it still runs, and starts it anew on the same port

---@class spec.nginx.Options
---@field main string? what stands at the top of the configuration
---@field http string? what stands in the http block
---@field workers integer? with a master process; 0, when not given: one process does all
---@field env table<string, string>? of the process

--- Starts it and waits until it answers.
---@param locations string what stands in the server block
---@param opts spec.nginx.Options?
---@return spec.Nginx
function nginx.start(locations, opts)
    opts = opts or {}
    local workers = opts.workers or 0
    local dir, port = support.temp_dir(), support.free_port()
    assert(os.execute("mkdir -p " .. support.quote(dir .. "/www")) == 0)
    local words = {
        dir = dir, port = tostring(port), locations = locations, main = opts.main or "",
        http = opts.http or "", master = workers > 0 and "on" or "off",
        workers = tostring(math.max(workers, 1)),
    }
    local file = assert(io.open(dir .. "/nginx.conf", "w"))
    file:write((CONFIG:gsub("%%%((%w+)%)", words):gsub("%%%((%w+)%)", words)))
    file:close()
    local function spawn()
        return support.spawn_process({
            "nginx", "-e", dir .. "/error.log", "-p", dir, "-c", dir .. "/nginx.conf",
        }, { output = dir .. "/output", env = opts.env })
    end
    local process = spawn()
    support.wait_port(port)
    local server = {
        url = "http://127.0.0.1:" .. port, port = port, dir = dir, www = dir .. "/www",
        process = process,
    }
    function server.start_again()
        server.process:kill()
        server.process = spawn()
    end
    return server
end

return nginx
