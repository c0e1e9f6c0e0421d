-- auth/challenge.lua - takes WWW-Authenticate and Authentication-Info apart (RFC 9110 sections 11.6
-- and 11.2). It decides nothing.

local MOST = 32 -- challenges that are looked at, of one response

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+"
local TOKEN68 = "^([%w._~+/-]+=*)[ \t]*()"

local challenge = {}

---@class moonwire.auth.Challenge
---@field scheme string in lower case
---@field token68 string? what stands in place of parameters
---@field params table<string, string> by names in lower case; quotes and escapes are undone

-- The text of a quoted string that begins at `at`, and what comes behind it; nil: it has no end.
local function quoted(text, at)
    local pieces, from = {}, at + 1
    while true do
        local stop = text:find('["\\]', from)
        if not stop or stop == #text and text:sub(stop, stop) == "\\" then
            return nil
        end
        pieces[#pieces + 1] = text:sub(from, stop - 1)
        if text:sub(stop, stop) == '"' then
            return table.concat(pieces), stop + 1
        end
        pieces[#pieces + 1] = text:sub(stop + 1, stop + 1)
        from = stop + 2
    end
end

-- The value of a parameter whose name ends before `at`, and what comes behind it. nil: no "=" is
-- there; false: one is, without a value.
local function value_at(text, at)
    local stop = select(2, text:find("^[ \t]*=[ \t]*", at))
    if not stop then
        return nil
    elseif text:sub(stop + 1, stop + 1) == '"' then
        local value, next_at = quoted(text, stop + 1)
        return value or false, next_at
    end
    local from, to = text:find(TOKEN, stop + 1)
    if not from then
        return false
    end
    return text:sub(from, to), to + 1
end

-- Sets a parameter. One that is there twice makes the challenge void: which would the server mean?
local function set(one, name, value)
    name = name:lower()
    if one.params[name] then
        one.void = true
    end
    one.params[name] = value
end

-- Adds the challenges of one line. A line that can't be read counts up to the challenge before the
-- one in which it goes wrong.
local function add_line(found, text)
    local at, one = 1, nil
    while #found < MOST do
        at = text:find("[^ \t,]", at)
        local from, to = text:find(TOKEN, at or #text + 1)
        if not from then
            if at and one then
                one.void = true
            end
            return
        end
        local word = text:sub(from, to)
        local value, next_at = value_at(text, to + 1)
        if value and one and not one.token68 then
            set(one, word, value)
            at = next_at
        elseif value ~= nil then
            if one then
                one.void = true
            end
            return
        else
            one = { scheme = word:lower(), params = {}, void = false }
            found[#found + 1] = one
            at = to + 1
            local token68, behind = text:match("^[ \t]+" .. TOKEN68:sub(2), at)
            if token68 and (behind > #text or text:sub(behind, behind) == ",") then
                one.token68, at = token68, behind
            end
        end
    end
end

--- The challenges of a response, in its order.
---@param values string[] of all WWW-Authenticate lines
---@return moonwire.auth.Challenge[]
function challenge.list(values)
    local found = {}
    for _, text in ipairs(values) do
        add_line(found, text)
    end
    local list = {}
    for _, one in ipairs(found) do
        if not one.void then
            list[#list + 1] = { scheme = one.scheme, token68 = one.token68, params = one.params }
        end
    end
    return list
end

--- The parameters of an Authentication-Info.
---@param text string
---@return table<string, string> params by names in lower case; empty where it can't be read
function challenge.params(text)
    local found = {}
    add_line(found, "info " .. text)
    return #found == 1 and not found[1].void and found[1].params or {}
end

return challenge
