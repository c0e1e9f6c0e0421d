-- Runs one spec file with busted:  luajit tools/spec_run.lua RESULT FILE [busted's options]
-- It writes "<passed> <failed>" into the file RESULT and exits 1 when something failed.  The Lua
-- state is closed at the end, so every finalizer runs.

local result, file = arg[1], arg[2]
local options = {
    [0] = "busted", "--ignore-lua", "--output=tools/spec_output.lua",
    "-Xoutput", result, "-Xoutput", file,
}
for i = 3, #arg do
    options[#options + 1] = arg[i]
end
options[#options + 1] = file
_G.arg = options

-- busted leaves by error() where it takes the Lua for a plain 5.1; the counts tell what happened
local ok, message = pcall(require "busted.runner", { standalone = false })
if not ok and message ~= nil then
    io.stdout:write(tostring(message), "\n")
end
io.stdout:flush()

local counts = io.open(result)
local _, failed = string.match(counts and counts:read("*a") or "", "(%d+) (%d+)")
if counts then
    counts:close()
end
os.exit(failed == "0" and 0 or 1, true)
