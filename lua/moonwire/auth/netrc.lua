-- auth/netrc.lua - takes the text of a .netrc apart. It opens no file.

local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local ESCAPES = { n = "\n", r = "\r", t = "\t" }
local VALUES = { login = true, password = true, account = true }

---@class moonwire.auth.NetrcEntry
---@field login string?
---@field password string?
---@field account string?
---@field line integer

local netrc = {}

-- The quoted word that begins at `at`, and what comes behind it.
local function quoted_word(text, at)
    local pieces, from = {}, at + 1
    while true do
        local stop = text:find('["\\\n]', from)
        local char = stop and text:sub(stop, stop)
        if not stop or char == "\n" then
            return nil
        end
        pieces[#pieces + 1] = text:sub(from, stop - 1)
        if char == '"' then
            return table.concat(pieces), stop + 1
        end
        local escaped = text:sub(stop + 1, stop + 1)
        pieces[#pieces + 1] = ESCAPES[escaped] or escaped
        from = stop + 2
    end
end

---@class moonwire.auth.NetrcWords
---@field text string
---@field at integer
---@field line integer of `at`
local words_methods = {}
local Words = { __index = words_methods }

local function skip(self, to)
    self.line = self.line + select(2, self.text:sub(self.at, to - 1):gsub("\n", ""))
    self.at = to
end

-- The next word: nil at the end; nil and what is wrong.
function words_methods:next(with_comments)
    while true do
        local at = self.text:find("%S", self.at)
        if not at then
            return nil
        end
        skip(self, at)
        local char = self.text:sub(at, at)
        if char == "#" and with_comments then
            skip(self, self.text:find("\n", at, true) or #self.text + 1)
        elseif char == '"' then
            local word, behind = quoted_word(self.text, at)
            if not word then
                return nil, "a quotation mark without its partner"
            end
            self.at = behind
            return word
        else
            local word = self.text:match("^%S+", at)
            self.at = at + #word
            return word
        end
    end
end

-- A macro goes on to the first empty line.
function words_methods:skip_macro()
    local stop = select(2, self.text:find("\n[ \t\r]*\n", self.at))
    skip(self, (stop or #self.text) + 1)
end

local function check(entry)
    for name in each(VALUES) do
        local value = entry[name]
        if value and value:find "[%z\1-\31\127]" then
            return "control characters in a " .. name
        end
    end
    if entry.login and entry.login:find(":", 1, true) then
        return "a login with a colon in it, which HTTP can't say"
    end
end

-- Reads one keyword and what belongs to it. Returns the entry that later words belong to.
local function read_word(found, words, word, entry)
    local value, problem
    if word == "machine" or VALUES[word] then
        value, problem = words:next(false)
        if not value then
            return nil, problem or ("nothing behind %q"):format(word)
        end
    end
    if word == "machine" or word == "default" then
        entry = { line = words.line }
        if not value then
            found.default = found.default or entry
        elseif not found.default then -- what stands behind it is never reached
            found.machines[value:lower()] = found.machines[value:lower()] or entry
        end
        return entry
    elseif not value then
        return nil, "neither machine, default, login, password, account nor macdef"
    elseif not entry then
        return nil, ("%q before any machine"):format(word)
    end
    entry[word] = value
    problem = check(entry)
    if problem then
        return nil, problem
    end
    return entry
end

--- The entries of a .netrc.
---@param text string
---@return {machines: table<string, moonwire.auth.NetrcEntry>, default: moonwire.auth.NetrcEntry?}?
---  found the first of each name, in lower case
---@return string? problem with the number of its line; no word of the file is in it
function netrc.parse(text)
    local found = { machines = {}, default = nil }
    local words, entry = setmetatable({ text = text, at = 1, line = 1 }, Words), nil
    while true do
        local word, problem = words:next(true)
        if word == "macdef" then
            words:skip_macro()
        elseif word then
            entry, problem = read_word(found, words, word, entry)
        end
        if problem then
            return nil, ("line %d: %s"):format(words.line, problem)
        elseif not word then
            return found
        end
    end
end

return netrc
