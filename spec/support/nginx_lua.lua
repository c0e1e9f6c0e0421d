-- An nginx with its Lua module, for specs: locations whose handlers are Lua code, with moonwire of
-- the tree and the build under test, and a look at what it logged.

local nginx = require "spec.support.nginx"
local support = require "spec.support"

local M = {}

local SIGHUP = 1
local HTTP = [[
    lua_package_path "%(root)/lua/?.lua;%(root)/lua/?/init.lua;%(root)/?.lua;;";
    lua_package_cpath "%(build)/?.so;;";
    lua_code_cache on;
    lua_socket_log_errors off;
    %(more)
]]

local function absolute(path)
    if path:sub(1, 1) == "/" then
        return path
    end
    local pipe = assert(io.popen "pwd")
    local folder = pipe:read "*l"
    pipe:close()
    return folder .. "/" .. path
end

local function exists(path)
    local file = io.open(path)
    return file ~= nil and file:close()
end

-- The lines that load the module; OpenResty has it built in and needs none.
local function load_lines()
    local pipe = assert(io.popen "nginx -V 2>&1")
    local folder = pipe:read "*a":match "%-%-modules%-path=(%S+)" or "/usr/lib/nginx/modules"
    pipe:close()
    local lines = {}
    for _, name in ipairs { "ndk_http_module", "ngx_http_lua_module" } do
        local path = ("%s/%s.so"):format(folder, name)
        if exists(path) then
            lines[#lines + 1] = ("load_module %s;"):format(path)
        end
    end
    return lines
end

-- Workers read what belongs to whoever runs the specs.
local function user_line()
    local pipe = assert(io.popen "id -u")
    local is_root = pipe:read "*l" == "0"
    pipe:close()
    return is_root and "user root root;" or ""
end

-- Under the sanitizers the core needs their library to be there first. What nginx itself leaves
-- behind at its end is no concern of ours.
local function environment(env)
    if not os.getenv "MOONWIRE_SAN" then
        return env
    end
    local pipe = assert(io.popen "gcc -print-file-name=libasan.so")
    local own = {
        LD_PRELOAD = pipe:read "*l",
        ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":detect_leaks=0",
    }
    pipe:close()
    for name, value in pairs(env or {}) do
        own[name] = value
    end
    return own
end

---@class spec.NginxLua: spec.Nginx
local methods = {}
local NginxLua = { __index = methods }

-- What nginx itself says at the level `error` when a peer has gone, though the cosocket's user is
-- given that as a result; nothing in its configuration puts that off.
local PEER_HAS_GONE = "%[error%] [^ ]+ %*%d+ [%a_]+%(%) failed %((%d+): "
local GONE = { ["32"] = "EPIPE", ["104"] = "ECONNRESET", ["111"] = "ECONNREFUSED" }

--- What it logged, from warnings upwards, peers that have gone apart.
---@return string[] lines
function methods:log()
    local lines = {}
    for line in io.lines(self.dir .. "/error.log") do
        if line:find "%[%l+%]" and not line:find "%[notice%]" and not line:find "%[info%]"
            and not GONE[line:match(PEER_HAS_GONE)] then
            lines[#lines + 1] = line
        end
    end
    return lines
end

--- The processes that serve.
---@return integer[] pids
function methods:workers()
    local pipe = assert(io.popen("pgrep -P " .. self.process.pid))
    local pids = {}
    for line in pipe:lines() do
        pids[#pids + 1] = tonumber(line)
    end
    pipe:close()
    return pids
end

--- Has it read its configuration again: workers that are done with their requests go, new ones
--- come. There has to be a master process.
function methods:reload()
    self.process:signal(SIGHUP)
end

--- Stops it.
function methods:stop()
    self.process:kill()
end

--- Starts it and waits until it answers.
---@param locations string what stands in the server block
---@param opts spec.nginx.Options?
---@return spec.NginxLua
function M.start(locations, opts)
    opts = opts or {}
    local main = load_lines()
    main[#main + 1] = user_line()
    for _, name in ipairs { "MOONWIRE_ROOT", "MOONWIRE_BUILD", "MOONWIRE_DEBUG" } do
        main[#main + 1] = ("env %s;"):format(name)
    end
    main[#main + 1] = opts.main
    local words = {
        root = absolute(support.root), build = absolute(support.build), more = opts.http or "",
    }
    return setmetatable(nginx.start(locations, {
        main = table.concat(main, "\n"), http = HTTP:gsub("%%%((%w+)%)", words),
        workers = opts.workers, env = environment(opts.env),
    }), NginxLua)
end

return M
