-- wrapped.lua - cores for specs, whose calls of some functions go through spec/wrap/*.c: where they
-- are, and runs of other specs on them.

local support = require "spec.support"

local M = {}

--- The folder of one of them, laid out like a build.
---@param name string that of the C file
---@return string
function M.build(name)
    local build = support.build .. "/" .. name
    local file = io.open(build .. "/moonwire/core.so")
    if not file then
        error("there is no " .. build .. "/moonwire/core.so: run `make wrapped`", 2)
    end
    file:close()
    return build
end

--- Every spec of the codec.
---@return string[] files
function M.codec_specs()
    local files = {}
    local folder = support.quote(support.root .. "/spec/core")
    local list = assert(io.popen("ls " .. folder .. "/h1*_spec.lua"))
    for path in list:lines() do
        files[#files + 1] = path
    end
    list:close()
    return files
end

--- Runs specs in processes of their own, on such a core.
---@param name string
---@param files string[]
---@return integer status
---@return string output
function M.run_specs(name, files)
    return support.run({ support.root .. "/tools/spec", unpack(files) }, {
        env = { MOONWIRE_BUILD = M.build(name), MOONWIRE_LUAJIT = support.luajit() },
        timeout = 280,
    })
end

--- Runs a piece of Lua in a process of its own, on such a core.
---@param name string
---@param code string
---@param env table<string, string>?
---@return integer status
---@return string output
---@return string errors
function M.run_code(name, code, env)
    local own = { LUA_CPATH = M.build(name) .. "/?.so;;" }
    for key, value in pairs(env or {}) do
        own[key] = value
    end
    return support.run({ support.luajit(), "-" }, { stdin = code, env = own })
end

return M
