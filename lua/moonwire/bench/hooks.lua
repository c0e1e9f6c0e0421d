-- bench/hooks.lua - a script's hooks: init, request, response, done. It sends nothing.
local requests = require "moonwire.request"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local NAMES = { "init", "request", "response", "done" }
local FIELDS = {
    method = true, url = true, headers = true, query = true, body = true, json = true, form = true,
    close = true,
}

---@class moonwire.bench.Hooks
---@field init fun(args: string[])|false
---@field request (fun(): moonwire.Request|table|nil)|false
---@field response fun(response: moonwire.Response, request: moonwire.Request)|false
---@field done fun(summary: table, latency: moonwire.bench.Histogram)|false

local M = {}

--- What there is without a script.
---@return moonwire.bench.Hooks
function M.none()
    return { init = false, request = false, response = false, done = false }
end

--- Runs a script and takes its hooks: of the table that it returns, else its globals. What it sets
--- as globals stays its own.
---@param path string
---@param args string[]
---@return moonwire.bench.Hooks? hooks, string? message why it can't be used
function M.load(path, args)
    local chunk, message = loadfile(path)
    if not chunk then
        return nil, message
    end
    local arg = { [0] = path, unpack(args) }
    local env = setmetatable({ arg = arg }, { __index = getfenv(0) })
    local result = setfenv(chunk, env)(unpack(args))
    local from = type(result) == "table" and result or env
    local hooks, some = M.none(), false
    for _, name in ipairs(NAMES) do
        local hook = rawget(from, name)
        if hook ~= nil and type(hook) ~= "function" then
            return nil, ("%s: its %s is a %s, not a function"):format(path, name, type(hook))
        elseif hook then
            hooks[name], some = hook, true
        end
    end
    if not some then
        return nil, path .. ": it defines none of init, request, response and done"
    end
    return hooks
end

local function check_fields(value)
    for name in each(value) do
        if not FIELDS[name] then
            error(("request() gave a table with '%s' (known: body close form headers json method "
                .. "query url)"):format(tostring(name)), 0)
        end
    end
end

-- A request out of a table; what it doesn't say is as the command line says.
local function make_request(value, content, base)
    check_fields(value)
    local url = content.url
    if value.url ~= nil then
        if type(value.url) ~= "string" then
            error("request() gave a url that is a " .. type(value.url), 0)
        end
        local problem
        url, problem = urls.resolve(base.href, value.url)
        if not url then
            error(("request() gave the url '%s': %s"):format(value.url, problem), 0)
        end
    end
    local body = value.body
    if body == nil and value.json == nil and value.form == nil and value.method == nil then
        body = content.body
    end
    local close = value.close
    if close == nil then
        close = content.close
    end
    return requests.new {
        url = url, query = value.query, headers = value.headers or content.headers, close = close,
        method = value.method or content.method, body = body, json = value.json, form = value.form,
    }
end

--- The request that the script wants next.
---@param hooks moonwire.bench.Hooks
---@param options moonwire.bench.Options
---@return table? data of moonwire.request; nil: this connection sends nothing more
function M.next_request(hooks, options)
    local value = hooks.request()
    if value == nil then
        return nil
    end
    local data = requests.data(value)
    if not data then
        if type(value) ~= "table" then
            error("request() gave a " .. type(value) .. ", neither a request nor a table", 0)
        end
        data = requests.data(make_request(value, options.content, options.url))
    end
    if data.origin ~= options.url.origin then
        error(("request() gave a request to %s: all go to %s"):format(data.origin or data.url,
            options.url.origin), 0)
    end
    return data
end

return M
