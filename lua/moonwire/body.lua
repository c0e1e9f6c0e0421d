-- body.lua - says what a request's body is: its length, its type, how to read it, and whether that
-- goes twice.  It never sends anything.

local errors = require "moonwire.error"
local json = require "moonwire.json"
local multipart = require "moonwire.body.multipart"
local readers = require "moonwire.body.readers"
local urls = require "moonwire.url"

local JOIN_LIMIT = 64 * 1024 -- a list up to here is sent as one string
local EXPECTED = "string, list of strings, function, open file, response or a body"

---@class moonwire.Body
---@field length integer? nil: unknown (sent chunked), or not known before it is opened
---@field rewindable boolean it can be sent more than once
---@field content_type string?
---@field text string? the whole body, where it is known without reading anything
---@field measured boolean? the length is known once it is opened only
---@field boundary string? of a multipart body: its content type says it
---@field private opener fun(self): moonwire.BodyReader?, moonwire.Error?
---@field private used boolean?
local methods = {}
local Body = { __index = methods, __name = "moonwire.Body" }

local function make(fields, opts)
    fields.content_type = opts and opts.content_type or fields.content_type
    return setmetatable(fields, Body)
end

local function failure(message)
    return nil, errors.new { kind = "body", phase = "write", message = message }
end

--- For connections: starts to read the body.
---@return moonwire.BodyReader? reader, moonwire.Error? err
function methods:open()
    if self.text then
        return readers.list({ self.text }, #self.text)
    end
    if not self.rewindable then
        if self.used then
            return failure "the body was read by an earlier request and can't be sent again"
        end
        self.used = true
    end
    return self:opener()
end

--- The whole body where it is known without reading anything.
---@return string?
function methods:string()
    return self.text
end

--- For body/coding.lua: the same body in other bytes.
---@package
---@param text string? all of them
---@param opener? fun(): moonwire.BodyReader?, moonwire.Error? what gives them
---@return moonwire.Body
function methods:recoded(text, opener)
    return make({ text = text, length = text and #text, rewindable = self.rewindable,
        content_type = self.content_type, boundary = self.boundary, opener = opener })
end

local M = {}

--- Tells whether a value is a body made by this module.
---@param value any
---@return boolean
function M.is(value)
    return getmetatable(value) == Body
end

local function check_bytes(opts, name, level)
    local count = opts and opts[name]
    if count ~= nil and (type(count) ~= "number" or not (count >= 0 and count < 2 ^ 53)
        or count % 1 ~= 0) then
        errors.argument(level + 1, name, "whole number of bytes", count)
    end
    return count
end

local function check_opts(opts, level)
    if opts ~= nil and type(opts) ~= "table" then
        errors.argument(level + 1, "opts", "table", opts)
    end
    local content_type = opts and opts.content_type
    if content_type ~= nil and type(content_type) ~= "string" then
        errors.argument(level + 1, "content_type", "string", content_type)
    end
end

--- A body that is one string.
---@param text string
---@param opts? {content_type: string?}
---@return moonwire.Body
function M.string(text, opts)
    if type(text) ~= "string" then
        errors.argument(2, "text", "string", text)
    end
    check_opts(opts, 2)
    return make({ text = text, length = #text, rewindable = true }, opts)
end

local function from_list(list, opts, level)
    local length, copy = 0, {}
    for index, chunk in ipairs(list) do
        if type(chunk) ~= "string" then
            errors.argument(level + 1, "body[" .. index .. "]", "string", chunk)
        end
        length, copy[index] = length + #chunk, chunk
    end
    local key = next(list, #copy > 0 and #copy or nil)
    if key ~= nil then -- names, or a hole: not what the caller thinks it is
        errors.argument(level + 1, "body", EXPECTED .. " (json = ... and form = ... take tables)",
            list)
    end
    local fields = { length = length, rewindable = true }
    if length <= JOIN_LIMIT then
        fields.text = table.concat(copy)
    end
    fields.opener = function()
        return readers.list(copy, length)
    end
    return make(fields, opts)
end

local function from_function(call, opts, level)
    local length = check_bytes(opts, "length", level + 1)
    return make({
        length = length,
        rewindable = false,
        opener = function()
            return readers.generator(call, length)
        end,
    }, opts)
end

-- What of a file is sent, and how: offset, length, whether chunked.
local function check_range(opts, level)
    local chunked = opts and opts.chunked
    if chunked ~= nil and type(chunked) ~= "boolean" then
        errors.argument(level + 1, "chunked", "boolean", chunked)
    end
    local offset = check_bytes(opts, "offset", level + 1)
    local length = check_bytes(opts, "length", level + 1)
    if chunked and length then
        error("bad argument 'length' (a file that is sent chunked goes up to where it ends)",
            level + 1)
    end
    return offset, length, chunked or false
end

local function from_file(file, opts, level)
    if io.type(file) ~= "file" then
        errors.argument(level + 1, "body", "open file, not a closed one", file)
    end
    local from, wanted, chunked = check_range(opts, level + 1)
    local stood = file:seek "cur"
    local offset = from or stood
    local length, place, rewindable, problem = readers.find(file, from, wanted)
    if from and stood then
        file:seek("set", stood)
    end
    if problem then
        error("bad argument 'body' (the file can't be read: " .. problem .. ")", level + 1)
    elseif chunked then
        length = nil
    end
    local function opener(self)
        if self.busy then
            return failure "the body's file is being sent by another request"
        elseif io.type(file) ~= "file" then
            return failure "the body's file is closed"
        elseif rewindable and not file:seek("set", offset) then
            return failure "the body's file can't be rewound"
        end
        self.busy = true
        return readers.file(file, length, function()
            self.busy = false
        end, place)
    end
    return make({ length = length, rewindable = rewindable, opener = opener }, opts)
end

local function from_response(response, opts)
    local length = response:remaining()
    return make({
        length = length,
        rewindable = false,
        opener = function()
            return readers.pipe(response, length)
        end,
    }, opts)
end

--- A body that a function gives: chunk after chunk, nil at the end, or nil and an error to give up.
---@param call fun(): string?, any
---@param opts? {length: integer?, content_type: string?} length: known beforehand, so not chunked
---@return moonwire.Body
function M.generator(call, opts)
    if type(call) ~= "function" then
        errors.argument(2, "call", "function", call)
    end
    check_opts(opts, 2)
    return (from_function(call, opts, 2))
end

local function open_path(path, offset, wanted, chunked)
    local file, problem = io.open(path, "rb")
    if not file then
        return failure("the body's file can't be opened: " .. problem)
    end
    local length, place, _, unreadable = readers.find(file, offset, wanted)
    if unreadable then
        file:close()
        return failure(("the body's file can't be read: %s: %s"):format(path, unreadable))
    end
    return readers.file(file, not chunked and length or nil, file.close, place)
end

--- A body that is a file, or a part of one: a path, opened each time it is sent, or an open file,
--- sent from where it stands. `offset`: from this byte on, the first is 0. `length`: so many bytes;
--- where the file has less, that is an error, for a path once it is opened. `chunked`: it may still
--- grow; it is sent in chunks, up to where it ends by then.
---@param file string|file*
---@param opts? {content_type: string?, offset: integer?, length: integer?, chunked: boolean?}
---@return moonwire.Body
function M.file(file, opts)
    check_opts(opts, 2)
    if io.type(file) then
        return (from_file(file, opts, 2))
    elseif type(file) ~= "string" then
        errors.argument(2, "file", "path or open file", file)
    end
    local offset, length, chunked = check_range(opts, 2)
    return make({
        rewindable = true,
        measured = not chunked,
        opener = function()
            return open_path(file, offset, length, chunked)
        end,
    }, opts)
end

--- A body like an HTML form's: `{name = value | {values}}`, or a list `{{name, value}, ...}`.
---@param fields table
---@param level integer? whose fault a wrong argument is: 1 the caller (default), 2 its caller ...
---@return moonwire.Body
function M.form(fields, level)
    level = (level or 1) + 1
    if type(fields) ~= "table" then
        errors.argument(level, "form", "table", fields)
    end
    local ok, text = pcall(urls.query, fields)
    if not ok then
        error("bad argument 'form' (" .. text:gsub("^[^:]*:%d+: ", "") .. ")", level)
    end
    return make { text = text, length = #text, rewindable = true,
        content_type = "application/x-www-form-urlencoded" }
end

--- A body that is a value as JSON. Raises on what JSON can't say.
---@param value any
---@param level integer? as for form
---@return moonwire.Body
function M.json(value, level)
    local text, err = json.encode(value)
    if not text then
        error("bad argument 'json' (" .. tostring(err) .. ")", (level or 1) + 1)
    end
    return make { text = text, length = #text, rewindable = true,
        content_type = "application/json" }
end

--- Makes a body out of whatever a script may give as one; nil stays nil.
---@param value any string, list of strings, function, open file, response, or a body
---@param opts? {length: integer?, content_type: string?}
---@param level? integer whose fault a wrong argument is: 1 the caller (default), 2 its caller ...
---@return moonwire.Body?
function M.new(value, opts, level)
    level = (level or 1) + 1
    local kind = type(value)
    check_opts(opts, level)
    if value == nil or getmetatable(value) == Body then
        return value
    elseif kind == "string" then
        return make({ text = value, length = #value, rewindable = true }, opts)
    elseif kind == "function" then
        return (from_function(value, opts, level)) -- no tail call: it counts levels
    elseif io.type(value) then
        return (from_file(value, opts, level))
    elseif kind ~= "table" then
        errors.argument(level, "body", EXPECTED, value)
    end
    local metatable = getmetatable(value)
    if metatable and metatable.__name == "moonwire.Response" then
        return from_response(value, opts)
    end
    return (from_list(value, opts, level))
end

--- A body like that of an HTML form with files, multipart/form-data (RFC 7578): `{name = value}`,
--- in the order of the names, or a list of parts `{{name =, value =}, {name =, file =}, ...}`. A
--- value is a string, a number, a boolean, a part without its name, or a list of those. Files are
--- read while they are sent; where all lengths are known Content-Length is sent, else it goes
--- chunked.
---@param parts table<string, any>|moonwire.body.Part[]
---@param opts? {boundary: string?} what stands between the parts; one that can't be foretold if
---  none is given
---@param level? integer whose fault a wrong argument is: 1 the caller (default), 2 its caller ...
---@return moonwire.Body
function M.multipart(parts, opts, level)
    level = (level or 1) + 1
    return make(multipart.new(parts, opts, M, level))
end

return M
