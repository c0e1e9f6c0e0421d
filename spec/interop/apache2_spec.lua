-- Apache's httpd.

local interop = require "spec.support.interop"
local support = require "spec.support"

local CONFIG = [[
ServerRoot %(dir)
ServerName 127.0.0.1
PidFile %(dir)/pid
DefaultRuntimeDir %(dir)
ErrorLog %(dir)/error.log
User www-data
Group www-data
Mutex file:%(dir)
ScriptSock %(dir)/cgi.sock
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule cgid_module /usr/lib/apache2/modules/mod_cgid.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
TypesConfig /dev/null
StartServers 1
ThreadsPerChild 8
ServerLimit 1
MaxRequestWorkers 8
MinSpareThreads 1
MaxSpareThreads 8
KeepAlive On
KeepAliveTimeout 30
MaxKeepAliveRequests 0
Listen 127.0.0.1:%(port)
Listen 127.0.0.1:%(idleport)
<VirtualHost *:%(idleport)>
    KeepAliveTimeout 300ms
</VirtualHost>
<Directory />
    Require all granted
    Options +ExecCGI
</Directory>
ScriptAlias /cgi %(cgi)
Alias /files %(bodies)
]]

interop.describe("apache2", function(bodies)
    local dir, port, idle_port = support.temp_dir(), support.free_port(), support.free_port()
    local path = interop.configure(dir .. "/httpd.conf", CONFIG, {
        dir = dir, port = port, idleport = idle_port, bodies = bodies.folder,
        cgi = interop.install_cgi(bodies, dir),
    })
    local process = interop.start({ "/usr/sbin/apache2", "-D", "FOREGROUND", "-f", path }, dir,
        { port, idle_port })
    return {
        url = "http://127.0.0.1:" .. port, idle_url = "http://127.0.0.1:" .. idle_port,
        idle_seconds = 0.6,
        echo = "/cgi/echo", files = "/files/", chunked = "/cgi/chunked/", empty = "/cgi/empty",
        processes = { process },
    }
end)
