-- A temporary folder for a spec that tries the project's tools on it: write files, run commands.

---@class spec.Tree
---@field path string
local methods = {}
local Tree = { __index = methods, __name = "spec.Tree" }

local tree = {}

--- The folder of the project that is tested.
tree.root = os.getenv("MOONWIRE_ROOT") or io.popen("pwd"):read("*l")

--- One word for a shell.
---@param word string
---@return string
function tree.quote(word)
    return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Runs a command line with the shell; both outputs come back together.
---@return integer status
---@return string output
function tree.run(command)
    local pipe = assert(io.popen("{ " .. command .. "\n} 2>&1; echo \"=$?\""))
    local output = pipe:read("*a")
    pipe:close()
    local text, status = output:match("^(.*)=(%d+)\n$")
    return tonumber(status), text
end

---@return spec.Tree
function tree.new()
    local pipe = assert(io.popen("mktemp -d"))
    local path = pipe:read("*l")
    pipe:close()
    return setmetatable({ path = path }, Tree)
end

--- Writes a file, and the folders on the way to it.
function methods:write(name, text)
    local full = self.path .. "/" .. name
    os.execute("mkdir -p " .. tree.quote(full:match("^(.*)/")))
    local file = assert(io.open(full, "w"))
    file:write(text)
    file:close()
end

--- Copies files or folders of the project to the same place in this folder.
function methods:copy(...)
    for _, name in ipairs({ ... }) do
        local to = self.path .. "/" .. name
        os.execute(("mkdir -p %s && cp -R %s %s"):format(tree.quote(to:match("^(.*)/")),
            tree.quote(tree.root .. "/" .. name), tree.quote(to)))
    end
end

--- Runs a command line in this folder.
---@return integer status
---@return string output
function methods:run(command)
    return tree.run("cd " .. tree.quote(self.path) .. " && " .. command)
end

function methods:remove()
    os.execute("rm -rf " .. tree.quote(self.path))
end

return tree
