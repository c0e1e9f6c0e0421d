-- The rows of small requests: many connections, one, TLS, and a connection for each request.

local function script(site, name, ...)
    return { site.moonwire, site.root .. "/bench/clients/" .. name .. ".lua", ... }
end

-- `moonwire bench` itself, and a script that says what the harness reads.
local function bench(site, url, connections, count)
    return { site.moonwire, "bench", url, "-k", "-q", "-c", connections, "-n", count,
        site.root .. "/bench/clients/bench.lua" }
end

local function peer(site, name, ...)
    return { "luajit", site.root .. "/bench/peers/" .. name .. ".lua", ... }
end

local function undici(site, ...)
    return { "node", site.root .. "/bench/peers/undici.mjs", ... }
end

local function wrk(url, connections, options, seconds, header)
    local command = {
        "wrk", "-t1", "-c" .. connections, ("-d%ds"):format(math.max(1, seconds * options.scale)),
        url,
    }
    if header then
        command[#command + 1] = "-H"
        command[#command + 1] = header
    end
    return command
end

-- How many requests: a share of what is right for a scale of 1.
local function share(options, count)
    return math.max(200, math.floor(count * options.scale))
end

local US = { word = "µs/request", factor = 1e6 }

local many = {
    name = "small_get",
    title = "small GET, 50 connections",
    unit = US,
    targets = {
        {
            work = "small GET, 50 connections: connection:request(prepared)",
            case = "moonwire connection", against = "wrk", at_most = 1.00,
        },
        {
            work = "small GET, 50 connections: client:get(url)",
            case = "moonwire client", against = "wrk", at_most = 1.25,
        },
    },
}

function many.cases(site, options)
    local port, n = site.port, share(options, 200000)
    return {
        { name = "floor", command = { site.programs .. "/floor", port, "/s", 50, n } },
        { name = "wrk", command = wrk(site.url, 50, options, 3) },
        { name = "moonwire connection",
            command = script(site, "get", "connection", site.url, 50, n) },
        { name = "moonwire client", command = script(site, "get", "client", site.url, 50, n) },
        { name = "moonwire bench", command = bench(site, site.url, 50, n) },
        { name = "connection, new heads", optional = true,
            command = script(site, "get", "connection", site.url:gsub("/s$", "/each"), 50, n) },
        { name = "luv, by hand", optional = true, command = peer(site, "luv", port, 50, n) },
        { name = "copas, by hand", optional = true,
            command = peer(site, "copas", port, 50, share(options, 60000)) },
        { name = "undici", optional = true,
            command = undici(site, "get", port, 50, share(options, 60000)) },
        { name = "lua-http", optional = true,
            command = peer(site, "lua_http", "get", port, 50, share(options, 30000)) },
    }
end

local one = {
    name = "sequence",
    title = "small GET in sequence over one connection",
    unit = US,
    targets = {
        {
            work = "small GET in sequence, one connection: connection:request(prepared)",
            case = "moonwire connection", against = "wrk", at_most = 1.00,
        },
        {
            work = "small GET in sequence, one connection: client:get(url)",
            case = "moonwire client", against = "wrk",
        },
    },
}

function one.cases(site, options)
    local port, n = site.port, share(options, 50000)
    return {
        { name = "floor", command = { site.programs .. "/floor", port, "/s", 1, n } },
        { name = "wrk", command = wrk(site.url, 1, options, 2) },
        { name = "moonwire connection",
            command = script(site, "get", "connection", site.url, 1, n) },
        { name = "moonwire client", command = script(site, "get", "client", site.url, 1, n) },
        { name = "LuaSocket, by hand", optional = true,
            command = peer(site, "luasocket", "get", port, n) },
        { name = "lua-curl easy", optional = true,
            command = peer(site, "lua_curl", port, share(options, 30000)) },
        { name = "undici", optional = true,
            command = undici(site, "get", port, 1, share(options, 30000)) },
        { name = "lua-http", optional = true,
            command = peer(site, "lua_http", "get", port, 1, share(options, 15000)) },
    }
end

local secure = {
    name = "https_small_get",
    title = "HTTPS small GET, 50 connections",
    unit = US,
    targets = {
        {
            work = "HTTPS small GET, 50 connections: connection:request(prepared)",
            case = "moonwire connection", against = "wrk", at_most = 1.05,
        },
        {
            work = "HTTPS small GET, 50 connections: client:get(url)",
            case = "moonwire client", against = "wrk",
        },
    },
}

function secure.cases(site, options)
    local port, n = site.tls_port, share(options, 100000)
    return {
        { name = "wrk", command = wrk(site.tls_url, 50, options, 3) },
        { name = "moonwire connection",
            command = script(site, "get", "connection", site.tls_url, 50, n) },
        { name = "moonwire client", command = script(site, "get", "client", site.tls_url, 50, n) },
        { name = "moonwire bench", command = bench(site, site.tls_url, 50, n) },
        { name = "undici", optional = true,
            command = undici(site, "tls", port, 50, share(options, 40000)) },
        { name = "lua-http", optional = true,
            command = peer(site, "lua_http", "tls", port, 50, share(options, 20000)) },
    }
end

local fresh = {
    name = "new_connection",
    title = "small GET, a new connection for each, 50 at a time",
    unit = US,
    targets = {
        {
            work = "a new connection for each request, 50 at a time",
            case = "moonwire", against = "wrk", at_most = 1.10,
        },
    },
}

function fresh.cases(site, options)
    local port, n = site.port, share(options, 10000)
    return {
        { name = "floor", command = { site.programs .. "/floor", port, "/s", 50, n, "close" } },
        { name = "wrk",
            command = wrk(site.url, 50, options, 2, "Connection: close") },
        { name = "moonwire", command = script(site, "get", "close", site.url, 50, n) },
        { name = "undici", optional = true, command = undici(site, "close", port, 50, n) },
        { name = "LuaSocket http", optional = true,
            command = peer(site, "luasocket", "close", port, n) },
        { name = "lua-http", optional = true,
            command = peer(site, "lua_http", "close", port, 50, n) },
    }
end

return { many, one, secure, fresh }
