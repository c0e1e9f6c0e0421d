-- For specs of nginx as a host: an nginx whose locations are Lua handlers, a loopback server that
-- they talk to, and what the handlers answer.

local http = require "moonwire.http"
local nginx_lua = require "spec.support.nginx_lua"
local serve = require "spec.support.serve"
local support = require "spec.support"

local handlers = {}

-- What handlers have at hand: `http`, `moonwire`, `upstream` (a URL), and say(...), which prints
-- one line, its values apart by a bar.
local PRELUDE = [[
    local http, moonwire = require "moonwire.http", require "moonwire"
    local upstream = "%(upstream)"
    local function say(...)
        local texts = {}
        for i = 1, select("#", ...) do
            texts[i] = tostring((select(i, ...)))
        end
        ngx.say(table.concat(texts, " | "))
    end
]]

---@class spec.Handlers: spec.NginxLua
---@field upstream string
local methods = {}

--- What a handler answers.
---@param name string of the location, perhaps with a query
---@return string text, moonwire.Response response
function methods:ask(name)
    return support.in_loop(function()
        local client = http.client()
        local response = assert(client:get(self.url .. "/" .. name, { timeout = 30 }))
        local text = assert(response:text())
        client:close()
        return text, response
    end)
end

--- Stops both; fails when nginx has warned of anything.
---@param allowed string? pattern of lines that may be there
function methods:finish(allowed)
    local problems = {}
    for _, line in ipairs(self:log()) do
        if not allowed or not line:find(allowed) then
            problems[#problems + 1] = line
        end
    end
    self:stop()
    self.server:kill()
    assert(#problems == 0, table.concat(problems, "\n"))
end

--- Starts nginx with locations by name: a string is Lua code, a table lines of a configuration.
---@param locations table<string, string|string[]>
---@param opts spec.nginx.Options?
---@return spec.Handlers
function handlers.start(locations, opts)
    local server, upstream = serve.start()
    local prelude = PRELUDE:gsub("%%%((%w+)%)", { upstream = upstream })
    local parts = {}
    for name, what in pairs(locations) do
        local inner = type(what) == "table" and table.concat(what, "\n")
            or ("content_by_lua_block {\n%s\n%s\n}"):format(prelude, what)
        parts[#parts + 1] = ("location /%s {\n%s\n}"):format(name, inner)
    end
    local self = nginx_lua.start(table.concat(parts, "\n"), opts)
    self.upstream, self.server = upstream, server
    for name, method in pairs(methods) do
        self[name] = method
    end
    return self
end

return handlers
