-- The scripts that a page of documentation shows, and what they say they print.

local assert = require "luassert"
local support = require "spec.support"

local M = {}

--- The text of a file.
---@param path string from the root
---@return string
function M.read(path)
    local file = assert(io.open(support.root .. "/" .. path))
    local text = file:read "*a"
    file:close()
    return text
end

--- The blocks of a language.
---@return {text: string, line: integer}[] blocks with the number of the first line
function M.blocks(text, language)
    local found, number, block = {}, 0, nil
    for line in text:gmatch "([^\n]*)\n" do
        number = number + 1
        if block and line == "```" then
            found[#found + 1], block = block, nil
        elseif block then
            block.text = block.text .. line .. "\n"
        elseif line == "```" .. language then
            block = { text = "", line = number + 1 }
        end
    end
    return found
end

--- Runs a script by the command; gives the lines that it says it prints, and those that it printed.
--- A line that begins as the script says is taken for it: a message may go on where the page stops.
---@param script string
---@param env table<string, string>
---@return string[] expected, string[] printed, integer code, string problem
function M.run(script, env)
    local code, out, problem = support.run({ support.moonwire(), "-" },
        { stdin = script, env = env })
    local expected, printed = {}, {}
    for value in script:gmatch "%-%-> ([^\n]*)" do
        expected[#expected + 1] = value
    end
    for line in out:gmatch "[^\n]+" do
        local value = expected[#printed + 1] or ""
        printed[#printed + 1] = line:sub(1, #value) == value and value ~= "" and value or line
    end
    return expected, printed, code, problem
end

--- Declares a spec for each script: it ends well and prints what it says.
---@param it function busted's
---@param scripts {text: string, line: integer}[] of blocks()
---@param environment fun(): table<string, string>
function M.declare(it, scripts, environment)
    for _, block in ipairs(scripts) do
        it("has a script in line " .. block.line .. " that prints what it says", function()
            local expected, printed, code, problem = M.run(block.text, environment())
            assert.equal("", problem)
            assert.equal(0, code)
            assert.is_true(#expected > 0)
            assert.same(expected, printed)
        end)
    end
end

return M
