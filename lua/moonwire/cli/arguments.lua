-- cli/arguments.lua - how the options of a subcommand are written: "-c 50", "-c50", "--rate=10",
-- "-ik". What they mean is their owner's; it opens nothing.

local arguments = {}

--- An option: the field that it sets, and how its word is read; no reader: it takes no word. A
--- reader gets the word and the options so far, and gives the field's value, or nil and what it
--- expects, or nil, nil and the whole problem.
---@class moonwire.cli.Option
---@field [1] string
---@field [2] (fun(word: string, options: table): any, string?, string?)?

-- Sets a field out of a word: true, or nil and what is wrong.
local function set(options, name, option, word)
    local result, expected, problem = option[2](word, options)
    if result == nil then
        return nil, problem or ("%s needs %s, not '%s'"):format(name, expected, word)
    end
    options[option[1]] = result
    return true
end

-- "-ikofile": letters that take no word, and one at most that does.
local function take_letters(args, i, options, known, short)
    local word = args[i]
    for at = 2, #word do
        local name = short[word:sub(at, at)]
        local option = known[name]
        if not option then
            return nil, "there is no option " .. word
        elseif option[2] then
            local value = word:sub(at + 1)
            if value == "" then
                i = i + 1
                value = args[i]
            end
            if not value then
                return nil, word .. " needs a value"
            end
            local ok, problem = set(options, name, option, value)
            return ok and i + 1, problem
        end
        options[option[1]] = true
    end
    return i + 1
end

local function take_long(args, i, options, known)
    local word = args[i]
    local name, value = word:match "^(%-%-[^=]+)=(.*)$"
    name = name or word
    local option = known[name]
    if not option then
        return nil, "there is no option " .. word
    elseif not option[2] then
        if value then
            return nil, ("%s takes no value, but here is '%s'"):format(name, word)
        end
        options[option[1]] = true
        return i + 1
    elseif not value then
        i = i + 1
        value = args[i]
    end
    if not value then
        return nil, word .. " needs a value"
    end
    local ok, problem = set(options, name, option, value)
    return ok and i + 1, problem
end

--- Reads the option at args[i].
---@param args string[]
---@param i integer
---@param options table takes what it says
---@param known table<string, moonwire.cli.Option> by long name, with its dashes
---@param short table<string, string> letter -> long name
---@return integer|false|nil after where to go on, nil or false: the second value says why not
---@return string? message
function arguments.take(args, i, options, known, short)
    if args[i]:find "^%-%-" then
        return take_long(args, i, options, known)
    end
    return take_letters(args, i, options, known, short)
end

local UNITS = { ms = 0.001, s = 1, m = 60, h = 3600 }

--- Seconds of "500ms", "10s", "1.5m", "1h".
---@param text string
---@return number?
function arguments.seconds(text)
    local number, unit = text:match "^(%d+%.?%d*)(%l+)$"
    local factor = UNITS[unit]
    return factor and tonumber(number) * factor
end

--- A reader of times.
---@param least number seconds
---@return fun(text: string): number?, string?
function arguments.time(least)
    return function(text)
        local seconds = arguments.seconds(text)
        if not seconds or seconds < least then
            return nil, "a time such as 500ms, 10s, 2m or 1h"
        end
        return seconds
    end
end

--- A reader of whole numbers.
---@param most number may be math.huge
---@return fun(text: string): integer?, string?
function arguments.count(most)
    return function(text)
        local number = text:match "^%d+$" and tonumber(text)
        if not number or number < 1 or number > most then
            return nil, ("a whole number from 1%s"):format(
                most < math.huge and (" to %d"):format(most) or "")
        end
        return number
    end
end

--- Reads any word.
---@param text string
---@return string
function arguments.text(text)
    return text
end

--- Reads a path.
---@param text string
---@return string? path, string? expected
function arguments.path(text)
    if text == "" then
        return nil, "the name of a file"
    end
    return text
end

--- Reads a header field into the list that is there already.
---@param text string "Name: value"
---@param options {headers: string[][]?}
---@return string[][]? headers, string? expected
function arguments.header(text, options)
    local name, value = text:match "^([^:%s]+):%s*(.-)%s*$"
    if not name then
        return nil, "'Name: value'"
    end
    local list = options.headers or {}
    list[#list + 1] = { name, value }
    return list
end

return arguments
