-- gunicorn, with an application of the specs' own (spec/io/httpbin_spec.lua has httpbin).

local interop = require "spec.support.interop"
local support = require "spec.support"

local function serve(bodies, keep_alive)
    local dir, port = support.temp_dir(), support.free_port()
    return "http://127.0.0.1:" .. port, interop.start({
        "/usr/bin/python3", "-m", "gunicorn", "--bind", "127.0.0.1:" .. port, "--threads", "4",
        "--keep-alive", keep_alive, "--worker-tmp-dir", dir, "--pythonpath", interop.folder,
        "wsgi_app:app",
    }, dir, { port }, { env = { BODIES = bodies.folder, PYTHONDONTWRITEBYTECODE = "1" } })
end

interop.describe("gunicorn", function(bodies)
    local url, process = serve(bodies, 30)
    local idle_url, idle_process = serve(bodies, 1)
    return {
        url = url, idle_url = idle_url, idle_seconds = 2.5,
        echo = "/echo", files = "/files/", chunked = "/chunked/", empty = "/empty",
        always_chunked = true,
        processes = { process, idle_process },
    }
end)
