-- verb/items.lua - what "name=value" means in --json, --form and --query. It opens nothing but the
-- files that are to stand inside of JSON.

local bodies = require "moonwire.body"
local json = require "moonwire.json"
local json_text = require "moonwire.verb.json_text"

local items = {}

-- The path in "@path"; nil for a text, which may begin with "\@" to say that it is one.
local function path_of(value)
    return value:match "^@(.*)$"
end

local function text_of(value)
    return value:find "^\\+@" and value:sub(2) or value
end

items.path_of, items.text_of = path_of, text_of

--- The whole of a file.
---@param path string
---@return string? text, string? message
function items.read_file(path)
    local file, problem = io.open(path, "rb")
    local text
    if file then
        text, problem = file:read "*a" -- nil for a folder
        file:close()
    end
    if not text then
        return nil, ("can't read %s"):format(problem:find(path, 1, true) and problem
            or path .. ": " .. problem)
    end
    return text
end

-- "name=value" -> name, value, and whether it was "name:=value".
local function split(word)
    local name, value = word:match "^([^=]*)=(.*)$"
    if not name or name == "" or name == ":" then
        return nil
    elseif name:byte(-1) == 58 then
        return name:sub(1, -2), value, true
    end
    return name, value, false
end

-- JSON ------------------------------------------------------------------------------------------

-- "a[b][]" -> { "a", "b", "" }; nil where the brackets don't fit.
local function split_name(name)
    local first, rest = name:match "^([^%[%]]+)(.*)$"
    if not first then
        return nil
    end
    local path = { first }
    while rest ~= "" do
        local key, more = rest:match "^%[([^%[%]]*)%](.*)$"
        if not key then
            return nil
        end
        path[#path + 1], rest = key, more
    end
    return path
end

local function new_node(is_list)
    return { is_list = is_list, names = {}, values = {} }
end

-- Puts a value (JSON text, or a node) below a name; nil where it doesn't fit.
local function put(node, key, value)
    if node.is_list ~= (key == "") or node.values[key] ~= nil then
        return nil
    end
    local at = node.is_list and #node.names + 1 or key
    node.names[#node.names + 1] = at
    node.values[at] = value
    return true
end

local function put_at(root, path, text)
    local node = root
    for i = 1, #path - 1 do
        local key, wants_list = path[i], path[i + 1] == ""
        local inner = key ~= "" and node.values[key] or nil
        if inner == nil then
            inner = new_node(wants_list)
            if not put(node, key, inner) then
                return nil
            end
        elseif type(inner) == "string" then
            return nil
        end
        node = inner
    end
    return put(node, path[#path], text)
end

local function write(node, out)
    if type(node) == "string" then
        out[#out + 1] = node
        return out
    end
    out[#out + 1] = node.is_list and "[" or "{"
    for i, name in ipairs(node.names) do
        out[#out + 1] = i > 1 and "," or ""
        if not node.is_list then
            out[#out + 1] = json_text.quote(name) .. ":"
        end
        write(node.values[name], out)
    end
    out[#out + 1] = node.is_list and "]" or "}"
    return out
end

-- The JSON text of one item's value.
local function value_text(word, value, is_raw)
    local path = path_of(value)
    local text = text_of(value)
    if path then
        local content, problem = items.read_file(path)
        if not content then
            return nil, problem
        end
        text = content
    end
    if is_raw then
        if not json_text.is_json(text) then
            return nil, ("--json %s: %s is no JSON"):format(word, path or "the value")
        end
        return text
    elseif not json.is_text((text:gsub("%c", ""))) then
        return nil, ("--json %s: %s is no UTF-8"):format(word, path or "the value")
    end
    return json_text.quote(text)
end

local function add_json(root, word)
    local name, value, is_raw = split(word)
    local path = name and split_name(name)
    if not path then
        return nil, ("--json needs name=text, name:=JSON, name=@file or a whole document, not '%s'")
            :format(word)
    elseif not json.is_text(name) then
        return nil, "--json: a name is UTF-8 without control characters"
    end
    local text, problem = value_text(word, value, is_raw)
    if not text then
        return nil, problem
    elseif not put_at(root, path, text) then
        return nil, ("--json %s: %s has a value, or is something else, already"):format(word, name)
    end
    return true
end

-- A document as a whole: "{...}", "[...]", "@file", "@-". nil: it is none.
local function document(word, stdin)
    local path = path_of(word)
    if path == "-" then
        return bodies.generator(stdin, { content_type = "application/json" })
    elseif path then
        return bodies.file(path, { content_type = "application/json" })
    elseif word:find "^%s*[%[{]" then
        if not json_text.is_json(word) then
            return nil, ("--json: '%s' is no JSON"):format(word)
        end
        return bodies.new(word, { content_type = "application/json" })
    end
end

--- The body that all of --json makes.
---@param words string[]
---@param stdin fun(): string?, any gives the pieces of standard input
---@return moonwire.Body? body, string? message
function items.json(words, stdin)
    local root = new_node(false)
    for _, word in ipairs(words) do
        local body, problem = document(word, stdin)
        if problem then
            return nil, problem
        elseif body and #words > 1 then
            return nil, "--json takes one whole document, or name=value as often as you like"
        elseif body then
            return body
        end
        local ok
        ok, problem = add_json(root, word)
        if not ok then
            return nil, problem
        end
    end
    return bodies.new(table.concat(write(root, {})), { content_type = "application/json" })
end

-- Forms and queries -------------------------------------------------------------------------------

--- The pairs that all of --query makes.
---@param words string[]
---@return string[][]? pairs, string? message
function items.query(words)
    local list = {}
    for i, word in ipairs(words) do
        local name, value = word:match "^([^=]+)=(.*)$"
        if not name then
            return nil, ("--query needs name=value, not '%s'"):format(word)
        end
        list[i] = { name, value }
    end
    return list
end

--- What all of --form makes: a form, or one with files.
---@param words string[]
---@return "form"|"multipart"|nil kind, table|string result a list for that option, or what is wrong
function items.form(words)
    local list, parts, has_files = {}, {}, false
    for i, word in ipairs(words) do
        local name, value = word:match "^([^=]+)=(.*)$"
        if not name then
            return nil, ("--form needs name=value or name=@file, not '%s'"):format(word)
        end
        local path, text = path_of(value), text_of(value)
        if path == "" or path == "-" then
            return nil, ("--form %s: the path of a file is needed behind '@'"):format(word)
        end
        has_files = has_files or path ~= nil
        list[i] = { name, text }
        parts[i] = path and { name = name, file = path } or { name = name, value = text }
    end
    if has_files then
        return "multipart", parts
    end
    return "form", list
end

return items
