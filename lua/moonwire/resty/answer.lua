-- resty/answer.lua - a response in the shape that callers of the API know: a table of headers, a
-- reader, strings as errors. The body is pulled by the reader and by nothing else.

local errors = require "moonwire.error"
local say = require "moonwire.resty.say"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local answer = {}

-- Headers -----------------------------------------------------------------------------------------

local function folded(name)
    return type(name) == "string" and name:lower():gsub("_", "-") or name
end

-- A table whose names may be written in any case, and with "_" for "-". What pairs() finds is as
-- it was received; a name that came more than once has the list of its values.
local function new_headers()
    local written = {} -- folded -> as it stands in the table
    return setmetatable({}, {
        __index = function(self, name)
            local key = written[folded(name)]
            return key and rawget(self, key)
        end,
        __newindex = function(self, name, value)
            local fold = folded(name)
            local key = written[fold]
            if key and rawget(self, key) ~= nil then
                rawset(self, key, value)
            else
                written[fold] = name
                rawset(self, name, value)
            end
        end,
    })
end

local function add(headers, name, value)
    local present = headers[name]
    if present == nil then
        headers[name] = value
    elseif type(present) == "table" then
        present[#present + 1] = value
    else
        headers[name] = { present, value }
    end
end

--- Makes such a table of a list of headers.
---@param list moonwire.core.Headers?
---@return table<string, string|string[]>
function answer.headers(list)
    local headers = new_headers()
    if list then
        for name, value in list:each() do
            add(headers, name, value)
        end
    end
    return headers
end

-- The body ----------------------------------------------------------------------------------------

-- Without a size: what has come, or, where the length is known, all of it.
local function reader_of(response)
    local is_over = false
    return function(size)
        if size ~= nil and (type(size) ~= "number" or size < 1 or size % 1 ~= 0) then
            errors.argument(2, "size", "whole number from 1", size)
        elseif is_over then
            return nil
        end
        local takes_all = not size and response:remaining()
        local data, err
        if takes_all then
            data, err = response:text()
        else
            data, err = response:read(size)
        end
        if err then
            return say.failure(err)
        end
        is_over = takes_all or not data
        return data ~= "" and data or nil
    end
end

---@class moonwire.resty.Answer
---@field status integer
---@field reason string
---@field headers table<string, string|string[]>
---@field has_body boolean there is something to read
---@field body_reader fun(size: integer?): string?, string?, moonwire.Error?
---@field body string? the whole body, of request_uri
---@field package response moonwire.Response
local methods = {}
local Answer = { __index = methods, __name = "moonwire.resty.Answer" }

--- The rest of the body as one string.
---@return string? body, string? problem, moonwire.Error? err
function methods:read_body()
    local text, err = self.response:text()
    if not text then
        return say.failure(err)
    end
    return text
end

--- Adds the fields that came behind the body to `headers`; one that is there already stays.
---@return true? ok, string? problem, moonwire.Error? err
function methods:read_trailers()
    local trailers = self.response.trailers
    if not trailers then
        return say.refusal "the trailers come behind the body: read that to its end first"
    end
    for name, value in each(answer.headers(trailers)) do
        if self.headers[name] == nil then
            self.headers[name] = value
        end
    end
    return true
end

--- Makes one of a response, in a table that may be there already.
---@param response moonwire.Response
---@param self table?
---@return moonwire.resty.Answer
function answer.new(response, self)
    self = self or {}
    self.status, self.reason = response.status, response.reason
    self.headers = answer.headers(response.headers)
    self.has_body = response:remaining() ~= 0
    self.body_reader, self.response = reader_of(response), response
    return setmetatable(self, Answer)
end

return answer
