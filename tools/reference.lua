-- Writes docs/reference.md to standard output:  luajit tools/reference.lua [root]
-- It is made of the annotations of the public modules (lua/moonwire), read as text, and of nothing
-- else: the same sources give the same page. What is private, or says that it is "For" a part of
-- moonwire, is left out.

local annotations = require "tools.annotations"
local markdown = require "tools.reference.markdown"
local world = require "tools.reference.world"

local M = {}

-- The public modules in the order of the page, and what each of them is.
local MODULES = {
    { "moonwire", "Tasks, scopes, time: what a script does beside making requests." },
    { "moonwire.http", "Requests, and the client that makes them." },
    { "moonwire.request", "Requests as values, made once and sent as often as you like." },
    { "moonwire.headers", "Lists of header fields." },
    { "moonwire.body", "Bodies of requests." },
    { "moonwire.progress", "Bars on a terminal." },
    { "moonwire.auth", "Who is asking." },
    { "moonwire.cookies", "Cookie jars." },
    { "moonwire.cache", "A cache for a client." },
    { "moonwire.json", "JSON, through lua-cjson." },
    { "moonwire.error", "What failed at run time." },
    { "moonwire.net", "Byte streams, below HTTP." },
    { "moonwire.connection", "One HTTP/1.1 connection by hand." },
    { "moonwire.pool", "Decides which connection serves whom; clients do that by themselves." },
    { "moonwire.trace", "The transcript, as with `-v`." },
    { "moonwire.har", "HTTP archives." },
    { "moonwire.testing", "Tests without a network." },
    { "moonwire.testing.server", "A loopback server." },
    { "moonwire.testing.mock", "Peers and a clock that are scripted." },
    { "moonwire.resty", "A client in the shape of lua-resty-http." },
}

local HEAD = [[
# Reference

`make reference` makes this page of the annotations in the sources: change those, not this page.

Below a name stand its parameters, then, behind →, what it returns. What has a `?` may be nil
or left out. An `err` is a [`moonwire.Error`](#class-moonwireerror), and what stands before it is
nil then; wrong arguments raise. Times are seconds and sizes bytes, where nothing else is said.
The [guide](guide.md) shows how it goes together.
]]

--- The names of the public modules.
---@return string[]
function M.modules()
    local names = {}
    for i, entry in ipairs(MODULES) do
        names[i] = entry[1]
    end
    return names
end

--- What the page has, before it is written.
---@param root string of the sources
---@return table[] modules {name, says, functions, values, classes}
function M.collect(root)
    local sources = world.new(root, annotations)
    local modules = {}
    for i, entry in ipairs(MODULES) do
        modules[i] = sources:module(entry[1])
        modules[i].says = entry[2]
    end
    sources:add_classes(modules)
    return modules
end

--- The page.
---@param root string
---@return string
function M.page(root)
    return markdown.page(HEAD, M.collect(root))
end

if arg and arg[0] and arg[0]:find "reference%.lua$" then
    io.write(M.page(arg[1] or "."))
end

return M
