-- body/multipart.lua - the parts of a multipart/form-data body (RFC 7578): checks them, writes what
-- stands around them as browsers do. It opens nothing.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local headers_of = require "moonwire.headers"
local readers = require "moonwire.body.pieces"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local JOIN_LIMIT = 64 * 1024 -- texts up to here go as one string
local VALUE = "string, number, boolean, part or list of these"
local BOUNDARY = "1 to 70 letters, digits and '+_.-"

local FIELDS = {
    name = true, value = true, file = true, body = true, filename = true, content_type = true,
    headers = true,
}

-- By the ending of a file's name. What isn't here is application/octet-stream.
local TYPES = {
    avif = "image/avif", bmp = "image/bmp", css = "text/css", csv = "text/csv",
    flac = "audio/flac", gif = "image/gif", gz = "application/gzip", htm = "text/html",
    html = "text/html", ico = "image/x-icon", jpeg = "image/jpeg", jpg = "image/jpeg",
    js = "text/javascript", json = "application/json", md = "text/markdown",
    mov = "video/quicktime", mp3 = "audio/mpeg", mp4 = "video/mp4", ogg = "audio/ogg",
    pdf = "application/pdf", png = "image/png", svg = "image/svg+xml",
    tar = "application/x-tar", tif = "image/tiff", tiff = "image/tiff", txt = "text/plain",
    wasm = "application/wasm", wav = "audio/wav", webm = "video/webm", webp = "image/webp",
    xml = "application/xml", zip = "application/zip",
}

--- One part; it has one of value, file and body.
---@class moonwire.body.Part
---@field name string
---@field value string|number|boolean|nil its line ends are sent as CRLF, unless it has a file name
---  or a type
---@field file string|file*|nil a path, or an open file
---@field body any what moonwire.body takes
---@field filename string|false|nil for a path its last part; false: none, so that it is no file to
---  the server
---@field content_type string? for what has a file name, by its ending if none is given
---@field headers table? further fields of the part

local M = {}

-- What is written down -------------------------------------------------------------------------

local ESCAPES = { ["\r"] = "%0D", ["\n"] = "%0A", ["\""] = "%22" }

local function escape(text)
    return (text:gsub("[\r\n\"]", ESCAPES))
end

local function with_crlf(text)
    return (text:gsub("\r\n?", "\n"):gsub("\n", "\r\n"))
end

-- Calls f(...), and names the option in what it raises.
local function checked(label, level, f, ...)
    local ok, result = pcall(f, ...)
    if not ok then
        local problem = tostring(result):gsub("^[^:]*:%d+: ", "")
        local reason = problem:match "^bad argument '[^']*' (%b())$" or "(" .. problem .. ")"
        error(("bad argument '%s' %s"):format(label, reason), level + 1)
    end
    return result
end

local function check_name(value, label, level)
    if type(value) ~= "string" then
        errors.argument(level + 1, label, "string", value)
    elseif value:find("\0", 1, true) then
        error(("bad argument '%s' (it has a NUL byte)"):format(label), level + 1)
    end
end

-- The text of a part, or its body.
local function content_of(part, label, bodies, level)
    local given = (part.value ~= nil and 1 or 0) + (part.file ~= nil and 1 or 0)
        + (part.body ~= nil and 1 or 0)
    if given ~= 1 then
        error(("bad argument '%s' (give one of value, file and body)"):format(label), level + 1)
    elseif part.value ~= nil then
        local text = urls.text(part.value)
        if not text then
            errors.argument(level + 1, label .. ".value", "string, number or boolean", part.value)
        end
        return text
    elseif part.file ~= nil then
        return nil, checked(label .. ".file", level + 1, bodies.file, part.file)
    end
    return nil, checked(label .. ".body", level + 1, bodies.new, part.body)
end

-- The name that the server is given for what a part has, nil where it has none.
local function filename_of(part, label, level)
    local filename = part.filename
    if filename == false then
        return nil
    elseif filename ~= nil then
        check_name(filename, label .. ".filename", level + 1)
        return filename
    elseif type(part.file) == "string" then
        check_name(part.file, label .. ".file", level + 1)
        return part.file:match "[^/]*$"
    elseif part.file ~= nil then
        error(("bad argument '%s.filename' (an open file has no name: give one, or false)"):format(
            label), level + 1)
    end
end

local function type_of(part, body, filename)
    local ending = filename and filename:match "%.(%w+)$"
    return part.content_type or body and body.content_type
        or filename and (ending and TYPES[ending:lower()] or "application/octet-stream")
end

-- The fields that stand before what a part has.
local function head_of(part, body, filename, label, level)
    local given = checked(label .. ".headers", level + 1, headers_of.new, part.headers)
    local lines = core.headers()
    local says_type = given:has "content-type"
    if given:has "content-disposition" then
        error(("bad argument '%s.headers' (Content-Disposition comes from name and filename)")
            :format(label), level + 1)
    elseif says_type and part.content_type ~= nil then
        error(("bad argument '%s.content_type' (the headers have one as well)"):format(label),
            level + 1)
    end
    local disposition = ("Content-Disposition: form-data; name=\"%s\""):format(
        escape(with_crlf(part.name)))
    if filename then
        disposition = ("%s; filename=\"%s\""):format(disposition, escape(filename))
    end
    local kind = not says_type and type_of(part, body, filename)
    if kind then
        checked(label .. ".content_type", level + 1, lines.add, lines, "Content-Type", kind)
    end
    for name, value in given:each() do
        lines:add(name, value)
    end
    local out = { disposition }
    for name, value in lines:each() do
        out[#out + 1] = name .. ": " .. value
    end
    return table.concat(out, "\r\n") .. "\r\n\r\n"
end

local function add_part(list, part, label, bodies, level)
    for field in each(part) do
        if not FIELDS[field] then
            error(("bad argument '%s' (unknown field '%s')"):format(label, tostring(field)),
                level + 1)
        end
    end
    check_name(part.name, label .. ".name", level + 1)
    if part.content_type ~= nil and type(part.content_type) ~= "string" then
        errors.argument(level + 1, label .. ".content_type", "string", part.content_type)
    end
    local text, body = content_of(part, label, bodies, level + 1)
    local filename = filename_of(part, label, level + 1)
    local head = head_of(part, body, filename, label, level + 1)
    if text and not filename and part.content_type == nil then
        text = with_crlf(text)
    end
    list[#list + 1] = { name = escape(part.name), head = head, text = text, body = body }
end

local function is_part(value)
    return value.value ~= nil or value.file ~= nil or value.body ~= nil
end

-- What stands behind a name: a value, a part without its name, or a list of those.
local function add_named(list, name, value, label, bodies, level)
    if type(value) ~= "table" then
        if not urls.text(value) then
            errors.argument(level + 1, label, VALUE, value)
        end
        add_part(list, { name = name, value = value }, label, bodies, level + 1)
    elseif is_part(value) then
        local part = { name = name }
        for field, one in each(value) do
            if field == "name" then
                error(("bad argument '%s' (it has a name already)"):format(label), level + 1)
            end
            part[field] = one
        end
        add_part(list, part, label, bodies, level + 1)
    elseif getmetatable(value) or next(value) ~= nil and value[1] == nil then
        errors.argument(level + 1, label, VALUE, value) -- a body, say
    else
        for i, one in ipairs(value) do
            local called = label .. "[" .. i .. "]"
            if type(one) == "table" and not is_part(one) then
                errors.argument(level + 1, called, "string, number, boolean or part", one)
            end
            add_named(list, name, one, called, bodies, level + 1)
        end
    end
end

local function in_order(parts, bodies, level)
    local list = {}
    for key in each(parts) do
        if type(key) ~= "number" or key % 1 ~= 0 or key < 1 or key > #parts then
            error(("bad argument 'multipart' (a list of parts has no place for %q)"):format(
                tostring(key)), level + 1)
        end
    end
    for i, part in ipairs(parts) do
        local label = "multipart[" .. i .. "]"
        if type(part) ~= "table" or getmetatable(part) then
            errors.argument(level + 1, label, "part, a table with a name", part)
        end
        add_part(list, part, label, bodies, level + 1)
    end
    return list
end

local function by_name(parts, bodies, level)
    local list, names = {}, {}
    for name in each(parts) do
        if type(name) ~= "string" then
            errors.argument(level + 1, "multipart", "string as name", name)
        end
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        add_named(list, name, parts[name], ("multipart[%q]"):format(name), bodies, level + 1)
    end
    return list
end

-- The strings and bodies that go one after the other; a string is between any two bodies, and
-- nothing is joined that is long.
local function pieces_of(list, boundary)
    local pieces, waiting, size = {}, {}, 0
    local function flush()
        pieces[#pieces + 1] = table.concat(waiting)
        waiting, size = {}, 0
    end
    local function add(text)
        if size + #text > JOIN_LIMIT then
            flush()
        end
        waiting[#waiting + 1], size = text, size + #text
    end
    for _, part in ipairs(list) do
        local text = part.text or part.body.text
        add("--" .. boundary .. "\r\n" .. part.head)
        if text then
            add(text)
        else
            flush()
            pieces[#pieces + 1] = { body = part.body, name = part.name }
        end
        add "\r\n"
    end
    add("--" .. boundary .. "--\r\n")
    flush()
    return pieces
end

-- The body ------------------------------------------------------------------------------------

local function boundary_of(opts, level)
    if opts ~= nil and type(opts) ~= "table" then
        errors.argument(level + 1, "opts", "table", opts)
    end
    local boundary = opts and opts.boundary
    if boundary == nil then
        return "moonwire-" .. core.random_bytes(16):gsub(".", function(byte)
            return ("%02x"):format(byte:byte())
        end)
    elseif type(boundary) ~= "string" or #boundary > 70 or not boundary:find "^[%w'+_.-]+$" then
        errors.argument(level + 1, "boundary", BOUNDARY, boundary)
    end
    return boundary
end

--- For body.lua: what such a body is.
---@param parts table
---@param opts? {boundary: string?}
---@param bodies table the module that makes bodies of what parts have
---@param level integer whose fault a wrong argument is
---@return table fields of moonwire.Body
function M.new(parts, opts, bodies, level)
    local boundary = boundary_of(opts, level + 1)
    if type(parts) ~= "table" or getmetatable(parts) then
        errors.argument(level + 1, "multipart", "table of names, or a list of parts", parts)
    end
    local list = (parts[1] ~= nil and in_order or by_name)(parts, bodies, level + 1)
    local pieces = pieces_of(list, boundary)
    local length, rewindable, measured = 0, true, false
    for _, piece in ipairs(pieces) do
        local body = type(piece) == "table" and piece.body
        local size = body and (body.measured and 0 or body.length) or not body and #piece
        length = length and size and length + size
        if body then
            rewindable = rewindable and body.rewindable
            measured = measured or body.measured or false
        end
    end
    return {
        content_type = "multipart/form-data; boundary=" .. boundary,
        boundary = boundary,
        text = #pieces == 1 and pieces[1] or nil,
        length = not measured and length or nil,
        measured = length and measured or nil,
        rewindable = rewindable,
        opener = function()
            return readers.open(pieces)
        end,
    }
end

return M
