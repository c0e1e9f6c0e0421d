-- testing/server/multipart.lua - takes a multipart/form-data body apart, strictly: what isn't
-- framed as RFC 7578 says is refused, so that a wrong body shows. It reads nothing by itself.

local M = {}

local ESCAPES = { ["%0D"] = "\r", ["%0A"] = "\n", ["%22"] = "\"" }

local function unescape(text)
    return (text:gsub("%%%x%x", ESCAPES))
end

local function add(to, name, value)
    local before = to[name]
    if type(before) == "table" then
        before[#before + 1] = value
    else
        to[name] = before and { before, value } or value
    end
end

-- Name and file name of a part, or nil.
local function names_of(head)
    local value = ("\r\n" .. head):match "\r\nContent%-Disposition: form%-data; ([^\r\n]*)"
    local name, rest = (value or ""):match '^name="([^"]*)"(.*)$'
    local filename = rest and rest:match '^; filename="([^"]*)"$'
    if not name or rest ~= "" and not filename then
        return nil
    end
    return unescape(name), filename and unescape(filename)
end

--- Takes a body apart.
---@param text string
---@param content_type string
---@return table<string, string|string[]>? form what has no file name, nil: it isn't such a body
---@return table<string, string|string[]> files what has one
function M.parse(text, content_type)
    local boundary = content_type:match "^multipart/form%-data; boundary=([%w'+_.-]+)$"
    local form, files = {}, {}
    if not boundary then
        return nil, files
    end
    local line = "--" .. boundary
    local at = 1
    while text:sub(at, at + #line + 1) == line .. "\r\n" do
        local from, to = text:find("\r\n\r\n", at + #line, true)
        local stop = to and text:find("\r\n" .. line, to + 1, true)
        if not stop then
            return nil, files
        end
        local name, filename = names_of(text:sub(at + #line + 2, from - 1))
        if not name then
            return nil, files
        end
        add(filename and files or form, name, text:sub(to + 1, stop - 1))
        at = stop + 2
    end
    if text:sub(at) ~= line .. "--\r\n" then
        return nil, files
    end
    return form, files
end

return M
