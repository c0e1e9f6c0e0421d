-- The servers that are talked to: nginx with a small page and a large file, over TLS as well, and
-- our own for uploads and for requests that wait. All on 127.0.0.1, free ports, in a folder that is
-- removed at the end.

local certs = require "spec.support.certs"
local measure = require "bench.harness.measure"
local moonwire = require "moonwire"
local support = require "spec.support"

local site = {}

local GIB = 1024 * 1024 * 1024
local MIN_SIZE = 1024 * 1024

local CONFIG = [[
daemon off;
master_process off;
worker_processes 1;
pid %(dir)/nginx.pid;
error_log %(dir)/error.log;
events { worker_connections %(connections); use epoll; }
http {
    access_log off;
    client_body_temp_path %(dir)/body;
    proxy_temp_path %(dir)/proxy;
    fastcgi_temp_path %(dir)/fastcgi;
    uwsgi_temp_path %(dir)/uwsgi;
    scgi_temp_path %(dir)/scgi;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    default_type text/plain;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    server {
        listen 127.0.0.1:%(port) backlog=4096;
        listen 127.0.0.1:%(tls_port) ssl backlog=4096;
        ssl_certificate %(dir)/server.pem;
        ssl_certificate_key %(dir)/server.key;
        ssl_protocols TLSv1.3;
        ssl_ciphers HIGH;
        ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
        ssl_buffer_size 16k;
        location = /s {
            add_header ETag '"5f2a-1c8e"';
            add_header Cache-Control 'max-age=60';
            add_header X-Request-Id '0123456789abcdef';
            return 200 "%(page)";
        }
        location = /each {
            add_header ETag '"5f2a-1c8e"';
            add_header Cache-Control 'max-age=60';
            add_header X-Request-Id $request_id;
            return 200 "%(page)";
        }
        location = /big { alias %(big); }
    }
}
]]

---@class bench.Site: bench.Tools
---@field port integer nginx
---@field tls_port integer
---@field url string the small page
---@field tls_url string
---@field big_url string
---@field big string the large file
---@field size integer its bytes
local methods = {}
local Site = { __index = methods }

local function run(command)
    local code, _, problem = support.run(command)
    assert(code == 0, problem)
end

-- Where a large file costs memory and no disk, if there is room for two of them.
local function big_folder(dir, size)
    local code, out = support.run "df -Pk /dev/shm && test -w /dev/shm"
    local free = code == 0 and tonumber(out:match "\n%S+%s+%d+%s+%d+%s+(%d+)")
    if not free or free * 1024 < 3 * size then
        return dir
    end
    return support.temp_dir "/dev/shm"
end

local function write(path, text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
end

--- Waits until a file says a word.
---@return boolean
function site.wait_word(path, word, seconds)
    local ends = moonwire.now() + seconds
    while not measure.read_file(path):find(word, 1, true) do
        if moonwire.now() > ends then
            return false
        end
        moonwire.sleep(0.02)
    end
    return true
end

--- How many connections a process may have.
---@return integer
function site.most_connections()
    local _, out = support.run "ulimit -Hn"
    return (tonumber(out:match "%d+") or 1000000) - 100
end

local function start_nginx(self)
    local words = {
        dir = self.dir, port = self.port, tls_port = self.tls_port, big = self.big,
        page = ("x"):rep(200), connections = math.min(20000, site.most_connections()),
    }
    write(self.dir .. "/nginx.conf", (CONFIG:gsub("%%%((%w+_?%w*)%)", words)))
    measure.spawn(self, measure.server_cpu, {
        "nginx", "-e", self.dir .. "/error.log", "-p", self.dir, "-c", self.dir .. "/nginx.conf",
    })
    support.wait_port(self.port)
end

--- Starts a server of ours: "sink" or "slow".
---@param name string
---@param ... any its arguments behind the port
---@return integer port, table process, string output
function methods:start(name, ...)
    local port = support.free_port()
    local running, output = measure.spawn(self, measure.server_cpu, {
        self.programs .. "/" .. name, port, ...,
    })
    assert(site.wait_word(output, "ready", 10), name .. " did not start")
    return port, running, output
end

--- Makes the large file, once.
function methods:need_big()
    if not self.has_big then
        run(("dd if=/dev/zero of=%s bs=1M count=%d 2>&1"):format(self.big, self.size / MIN_SIZE))
        self.has_big = true
    end
end

--- Starts the server for uploads, once.
---@return integer port
function methods:need_sink()
    self.sink_port = self.sink_port or (self:start "sink")
    return self.sink_port
end

--- Starts nginx and makes what it needs. All of it ends with the Lua state.
---@param programs string the folder of the C programs
---@param scale number of the large file's size, too
---@return bench.Site
function site.start(programs, scale)
    local authority = certs.new()
    authority:root "root"
    authority:issue("server", { by = "root", san = "IP:127.0.0.1,DNS:localhost" })
    local dir = authority.dir
    local size = math.max(MIN_SIZE, math.floor(scale * GIB / MIN_SIZE) * MIN_SIZE)
    local big_dir = big_folder(dir, size)
    local self = setmetatable({
        dir = dir, ca = dir .. "/root.pem", programs = programs, root = support.root,
        build = support.build, moonwire = support.moonwire(), port = support.free_port(),
        tls_port = support.free_port(), size = size, big = big_dir .. "/big",
        saved = big_dir .. "/saved",
    }, Site)
    self.url = ("http://127.0.0.1:%d/s"):format(self.port)
    self.tls_url = ("https://127.0.0.1:%d/s"):format(self.tls_port)
    start_nginx(self)
    return self
end

return site
