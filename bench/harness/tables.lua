-- Tables as Markdown, the same in a terminal and in a file: columns are as wide as they need be.

local tables = {}

-- Characters, not bytes.
local function width(text)
    return #text:gsub("[\128-\191]", "")
end

local function pad(text, to)
    return text .. (" "):rep(to - width(text))
end

--- One table.
---@param head string[]
---@param rows string[][]
---@return string
function tables.format(head, rows)
    local widths = {}
    for _, row in ipairs { head, unpack(rows) } do
        for i, cell in ipairs(row) do
            widths[i] = math.max(widths[i] or 3, width(cell))
        end
    end
    local function line(cells)
        local padded = {}
        for i, cell in ipairs(cells) do
            padded[i] = pad(cell, widths[i])
        end
        return "| " .. table.concat(padded, " | ") .. " |"
    end
    local rule = {}
    for i = 1, #head do
        rule[i] = ("-"):rep(widths[i])
    end
    local lines = { line(head), line(rule) }
    for _, row in ipairs(rows) do
        lines[#lines + 1] = line(row)
    end
    return table.concat(lines, "\n") .. "\n"
end

--- The table of targets.
---@param verdicts table[] of compare.judge
---@return string
function tables.verdicts(verdicts)
    local rows = {}
    for i, verdict in ipairs(verdicts) do
        rows[i] = { verdict.work, verdict.target, verdict.measured, verdict.range, verdict.met }
    end
    return tables.format({ "work", "target", "median", "range", "met" }, rows)
end

return tables
