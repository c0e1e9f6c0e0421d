-- Soaking: very many requests over few connections, after which nothing may have grown. What is
-- looked at: the process's memory, Lua's, open files, and what the loop and the pool count.

local certs = require "spec.support.certs"
local clients = require "moonwire.client"
local load_server = require "spec.support.load_server"
local moonwire = require "moonwire"
local nginx = require "spec.support.nginx"
local support = require "spec.support"

local CONNECTIONS = 50
local LUA_MEMORY = 256 * 1024 -- bytes that may be more at the end
-- Of the process; traces that are compiled anew fragment its memory a little.
local MEMORY = (jit.status() and 8 or 2) * 1024 * 1024
local SHORT = 0.01 -- seconds for what is not answered

local soak = {}

-- What is asked -----------------------------------------------------------------------------------

local function expect(condition, path, err)
    if not condition then
        error(path .. ": " .. tostring(err), 0)
    end
end

local function fetch(client, url, opts)
    local response, err = client:get(url, opts)
    if not response then
        return nil, err
    end
    return response:text()
end

local function fails(kind, url, text, err)
    expect(text == nil and err.kind == kind, url, err or "it was answered")
end

local function succeeds(url, text, err)
    expect(text == "ok", url, err)
end

local TOTAL, IDLE = { timeout = SHORT }, { timeout = { idle = SHORT } }

-- The ways in which a request ends when errors are wanted; between them it is answered.
local endings = {
    function(client, url)
        fails("closed", "/reset", fetch(client, url .. "/reset"))
    end,
    function(client, url)
        fails("timeout", "/silent", fetch(client, url .. "/silent", TOTAL))
    end,
    function(client, url)
        fails("timeout", "/half", fetch(client, url .. "/half", IDLE))
    end,
    function(client, url)
        fails("timeout", "/silent", moonwire.timeout(SHORT, fetch, client, url .. "/silent"))
    end,
    function(client, url)
        local response = assert(client:get(url .. "/half"))
        response:close()
    end,
    function(client)
        fails("connect", "port 1", fetch(client, "http://127.0.0.1:1/"))
    end,
}

local function fast(client, url)
    succeeds("/fast", fetch(client, url .. "/fast"))
end

local function closing(client, url)
    succeeds("/close", fetch(client, url .. "/close"))
end

local function broken(client, url, number)
    local ending = number % 2 == 0 and endings[number / 2 % 10 + 1]
    return (ending or fast)(client, url)
end

-- Who answers -------------------------------------------------------------------------------------

local TLS = [[
}
server {
    listen 127.0.0.1:%(tlsport) ssl;
    ssl_certificate %(dir)/server.pem;
    ssl_certificate_key %(dir)/server.key;
    ssl_session_cache shared:soak:1m;
    keepalive_requests 100000000;
    location = /fast { return 200 "ok"; }
    location = /close { keepalive_timeout 0; return 200 "ok"; }
]]

local function plain_server()
    return load_server.start()
end

local function tls_server()
    local made, port = certs.new(), support.free_port()
    made:root "root"
    made:issue("server", { by = "root", san = "IP:127.0.0.1" })
    local server = nginx.start((TLS:gsub("%%%((%w+)%)", { tlsport = port, dir = made.dir })))
    support.wait_port(port)
    return {
        url = "https://127.0.0.1:" .. port, process = server.process,
        opts = { tls = { ca_file = made:path "root.pem" } },
    }
end

local variants = {
    plain = { fast, plain_server },
    errors = { broken, plain_server },
    new = { closing, plain_server },
    tls = { fast, tls_server },
    ["tls-new"] = { closing, tls_server },
}

-- What is counted ---------------------------------------------------------------------------------

local function resident()
    local file = assert(io.open "/proc/self/statm")
    local pages = file:read "*a":match "^%d+ (%d+)"
    file:close()
    return tonumber(pages) * 4096
end

local function measure(client)
    client:close_idle()
    moonwire.sleep(0.05) -- who was told goes
    jit.flush() -- what the compiler has made is no leak
    collectgarbage()
    collectgarbage()
    local counts, stats = support.counts(), client:stats()
    counts.pool = stats.total + stats.waiting
    return {
        counts = counts, opened = stats.opened, memory = resident(),
        lua = collectgarbage "count" * 1024,
    }
end

local function differences(before, after)
    local list = {}
    for name, count in pairs(before.counts) do
        if after.counts[name] ~= count then
            list[#list + 1] = ("%s: %d before, %d after"):format(name, count, after.counts[name])
        end
    end
    if after.lua - before.lua > LUA_MEMORY then
        list[#list + 1] = "Lua's memory has grown"
    end
    if after.memory - before.memory > MEMORY and not os.getenv "MOONWIRE_SAN" then
        list[#list + 1] = "the process has grown"
    end
    table.sort(list)
    return list
end

local function ask(client, url, request, count)
    local number = 0
    moonwire.scope(function(scope)
        for _ = 1, CONNECTIONS do
            scope:spawn(function()
                while number < count do
                    number = number + 1
                    request(client, url, number)
                end
            end)
        end
    end)
end

local REPORT = "%s: %d requests over %d connections in %.1f s, behind %d others; before and after:"
    .. " memory %.2f and %.2f MiB, Lua's %.0f and %.0f KiB, files %d and %d"

--- Runs one variant: "plain", "errors", "new" (a connection for each request), "tls", "tls-new".
---@param name string
---@param requests integer
---@return boolean flat
---@return string report
function soak.run(name, requests)
    local request, start = unpack(variants[name] or error("no such variant: " .. name, 0))
    local server = start()
    local flat, report
    moonwire.run(function()
        local opts = server.opts or {}
        opts.pool = {
            max_total = CONNECTIONS, max_per_origin = CONNECTIONS, idle_per_origin = CONNECTIONS,
        }
        opts.retry = false
        local client = clients.new(opts)
        local first = math.floor(math.max(requests / 10, math.min(requests / 2, 5000)))
        ask(client, server.url, request, first)
        local before, began = measure(client), moonwire.now()
        ask(client, server.url, request, requests - first)
        local seconds, after = moonwire.now() - began, measure(client)
        client:close()
        local list = differences(before, after)
        flat = #list == 0
        local found = flat and ": flat" or ": " .. table.concat(list, ", ")
        report = REPORT:format(name, requests - first, after.opened - before.opened, seconds, first,
            before.memory / 2 ^ 20, after.memory / 2 ^ 20, before.lua / 1024, after.lua / 1024,
            before.counts.fds, after.counts.fds) .. found
    end)
    server.process:kill()
    return flat, report
end

return soak
