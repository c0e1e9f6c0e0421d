-- verb/json_text.lua - reads JSON token by token, as it comes, and writes it with line breaks and
-- colours: order, numbers and escapes stay as they are. What is no JSON comes out as it went in.

local clean = require "moonwire.verb.clean"

local LONGEST = 1024 * 1024 -- bytes of one string or number that are waited for
local DEEPEST = 1000
local DEEPEST_INDENT = 64

---@class moonwire.verb.JsonPrinter
---@field private rest string the beginning of a token
---@field private want string what may come: "value" "first" "key" "first_key" "colon" "next" "done"
---@field private ends string[] of what is open: "}" or "]"
---@field private cleaner table? from where on it is no JSON
---@field private many boolean whether a second value may follow
---@field private paint fun(kind: string, text: string): string
local methods = {}
local Printer = { __index = methods, __name = "moonwire.verb.JsonPrinter" }

local function new_line(self)
    return "\n" .. ("  "):rep(math.min(#self.ends, DEEPEST_INDENT))
end

-- What stands before a value or a key; nil where there may be none.
local function before(self, is_key)
    local want = self.want
    if is_key then
        return want == "first_key" and new_line(self) or want == "key" and "" or nil
    elseif want == "first" then
        return new_line(self)
    elseif want == "done" then
        return self.many and "\n" or nil
    end
    return want == "value" and "" or nil
end

local function after_value(self)
    self.want = #self.ends > 0 and "next" or "done"
end

local function open(self, char)
    local lead = before(self)
    if not lead or #self.ends >= DEEPEST then
        return nil
    end
    self.ends[#self.ends + 1] = char == "{" and "}" or "]"
    self.want = char == "{" and "first_key" or "first"
    return lead .. char
end

local function close(self, char)
    local ends = self.ends
    if ends[#ends] ~= char then
        return nil
    end
    local is_empty = self.want == (char == "}" and "first_key" or "first")
    if not is_empty and self.want ~= "next" then
        return nil
    end
    ends[#ends] = nil
    local lead = is_empty and "" or new_line(self)
    after_value(self)
    return lead .. char
end

local function comma(self)
    if self.want ~= "next" then
        return nil
    end
    self.want = self.ends[#self.ends] == "}" and "key" or "value"
    return "," .. new_line(self)
end

local function colon(self)
    if self.want ~= "colon" then
        return nil
    end
    self.want = "value"
    return ": "
end

local MARKS = {
    ["{"] = open, ["["] = open, ["}"] = close, ["]"] = close, [","] = comma, [":"] = colon,
}

-- The quote that ends the string whose own is at `from`.
local function string_end(text, from)
    local at = from + 1
    while true do
        at = text:find('["\\]', at)
        if not at or text:byte(at) == 34 then
            return at
        end
        at = at + 2
    end
end

local function is_string(token)
    local bare = token:sub(2, -2)
    if bare:find "[%z\1-\31]" then
        return false
    elseif bare:find("\\", 1, true) then
        bare = bare:gsub('\\["\\/bfnrt]', ""):gsub("\\u%x%x%x%x", "")
    end
    return not bare:find("\\", 1, true)
end

local function put_string(self, token)
    local is_key = self.want == "key" or self.want == "first_key"
    local lead = before(self, is_key)
    if not lead or not is_string(token) then
        return nil
    end
    if is_key then
        self.want = "colon"
    else
        after_value(self)
    end
    return lead .. self.paint(is_key and "key" or "string", clean.text(token))
end

local LITERALS = { ["true"] = true, ["false"] = true, ["null"] = true }

local function is_number(token)
    local rest = token:match "^%-?0(.*)$" or token:match "^%-?[1-9]%d*(.*)$"
    rest = rest and (rest:match "^%.%d+(.*)$" or rest)
    return rest == "" or rest ~= nil and rest:find "^[eE][+-]?%d+$" ~= nil
end

local function put_word(self, token)
    local kind = LITERALS[token] and "literal" or is_number(token) and "number"
    local lead = kind and before(self)
    if not lead then
        return nil
    end
    after_value(self)
    return lead .. self.paint(kind, token)
end

-- The token at `at`: where it ends and what is written for it. No end: more must come. An end
-- without words: it is no JSON.
local function take(self, text, at, is_last)
    local char = text:sub(at, at)
    local mark = MARKS[char]
    if mark then
        return at, mark(self, char)
    end
    local stop
    if char == '"' then
        stop = string_end(text, at)
        if stop then
            return stop, put_string(self, text:sub(at, stop))
        end
    else
        stop = (text:find('[%s{}%[%],:"]', at) or #text + 1) - 1
        if stop < #text or is_last then
            return stop, put_word(self, text:sub(at, stop))
        end
    end
    if is_last or #text - at > LONGEST then
        return at, nil
    end
end

local function run(self, text, is_last)
    local out, at = {}, 1
    while true do
        at = text:find("[^ \t\r\n]", at)
        if not at then
            self.rest = ""
            break
        end
        local stop, words = take(self, text, at, is_last)
        if not stop then
            self.rest = text:sub(at)
            break
        elseif not words then
            self.cleaner, self.rest = clean.new(), ""
            out[#out + 1] = self.cleaner:feed(text:sub(at))
            break
        end
        out[#out + 1] = words
        at = stop + 1
    end
    return table.concat(out)
end

--- The next piece of the text.
---@param piece string
---@return string shown
function methods:feed(piece)
    if self.cleaner then
        return self.cleaner:feed(piece)
    end
    return run(self, self.rest .. piece, false)
end

--- There is no more.
---@return string shown what was held back
---@return boolean whole it was JSON from beginning to end
function methods:finish()
    local shown = self.cleaner and "" or run(self, self.rest, true)
    if self.cleaner then
        return shown .. self.cleaner:finish(), false
    end
    return shown, self.want == "done"
end

local json_text = {}

local function plain(_, text)
    return text
end

--- For JSON that comes in pieces.
---@param paint? fun(kind: "key"|"string"|"number"|"literal", text: string): string
---@param many boolean? more than one value may come, one behind the other
---@return moonwire.verb.JsonPrinter
function json_text.printer(paint, many)
    return setmetatable({
        rest = "", want = "value", ends = {}, cleaner = nil, many = many or false,
        paint = paint or plain,
    }, Printer)
end

--- Whether a text is one JSON value, by RFC 8259 to the letter.
---@param text string
---@return boolean
function json_text.is_json(text)
    local printer = json_text.printer()
    printer:feed(text)
    local _, whole = printer:finish()
    return whole
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
    ["\r"] = "\\r", ["\t"] = "\\t" }

--- Writes a text as a JSON string.
---@param text string UTF-8
---@return string
function json_text.quote(text)
    return '"' .. text:gsub('[%z\1-\31"\\]', function(char)
        return ESCAPES[char] or ("\\u%04x"):format(char:byte())
    end) .. '"'
end

return json_text
