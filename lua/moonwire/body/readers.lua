-- body/readers.lua - what a request body is pulled out of: list, function, file, other response.
-- A reader gives chunks of at least one byte, nil at the end, or nil and an error of kind "body".

local errors = require "moonwire.error"

local FILE_CHUNK = 128 * 1024 -- large enough that a chunk costs more than the call for it

---@class moonwire.BodyReader
---@field immediate boolean reading never waits for anybody: the first chunk may go with the head
---@field length integer? what it will give altogether, where that is known
---@field read fun(self): string?, moonwire.Error?
---@field close fun(self) may be called twice

local M = {}

local function failure(message, cause)
    return nil, errors.new { kind = "body", phase = "write", message = message, cause = cause }
end

local function wrong_type(what, chunk)
    return failure(("%s gave a %s, not a string"):format(what, type(chunk)))
end

-- A list of strings -------------------------------------------------------------------------------

local list_methods = { immediate = true }
local List = { __index = list_methods, __name = "moonwire.ListReader" }

function list_methods:read()
    local index, list = self.index, self.list
    repeat
        index = index + 1
    until list[index] ~= ""
    self.index = index
    return list[index]
end

function list_methods:close()
    self.list = {}
end

---@param list string[]
---@param length integer
---@return moonwire.BodyReader
function M.list(list, length)
    return setmetatable({ list = list, index = 0, length = length }, List)
end

-- A function --------------------------------------------------------------------------------------

local generator_methods = { immediate = false }
local Generator = { __index = generator_methods, __name = "moonwire.GeneratorReader" }

function generator_methods:read()
    while self.call do
        local ok, chunk, problem = xpcall(self.call, errors.handler)
        if not ok then
            self.call = nil
            return failure("the body's function failed: " .. tostring(chunk), chunk)
        elseif type(chunk) == "string" then
            if chunk ~= "" then
                return chunk
            end
        elseif chunk ~= nil then
            self.call = nil
            return wrong_type("the body's function", chunk)
        elseif problem ~= nil then
            self.call = nil
            return failure("the body's function gave up: " .. tostring(problem), problem)
        else
            self.call = nil
        end
    end
    return nil
end

function generator_methods:close()
    self.call = nil
end

---@param call fun(): string?, any
---@param length integer?
---@return moonwire.BodyReader
function M.generator(call, length)
    return setmetatable({ call = call, length = length }, Generator)
end

-- An open file ------------------------------------------------------------------------------------

local file_methods = { immediate = true }
local File = { __index = file_methods, __name = "moonwire.FileReader" }

function file_methods:read()
    local left = self.left
    if not self.file or left == 0 then
        return nil
    end
    if io.type(self.file) ~= "file" then
        return failure "the body's file was closed while it was sent"
    end
    local chunk, problem = self.file:read(left and math.min(left, FILE_CHUNK) or FILE_CHUNK)
    if not chunk then
        if problem then
            return failure("the body's file can't be read: " .. problem)
        end
        return nil
    end
    self.left = left and left - #chunk
    return chunk
end

function file_methods:close()
    local file, on_close = self.file, self.on_close
    self.file, self.on_close = nil, nil
    if file and on_close then
        on_close(file)
    end
end

--- Reads at most `length` bytes (nil: to the end) from where the file stands.
---@param file file*
---@param length integer?
---@param on_close fun(file: file*)
---@return moonwire.BodyReader
function M.file(file, length, on_close)
    local self = { file = file, left = length, length = length, on_close = on_close }
    return setmetatable(self, File)
end

--- How much there is from here to the end of a file. Files that say 0 and give bytes (/proc, /dev)
--- count as unknown.
---@param file file*
---@return integer? length nil: unknown
---@return integer? offset nil: it can't be read twice
---@return string? problem it can't be read at all
function M.measure(file)
    local offset = file:seek "cur"
    if not offset then
        return nil, nil
    end
    local probe, problem = file:read(1)
    if not probe and problem then
        return nil, nil, problem
    end
    local stop = file:seek "end"
    file:seek("set", offset)
    if stop and stop > offset then
        return stop - offset, offset
    end
    return not probe and 0 or nil, offset
end

-- Another response --------------------------------------------------------------------------------

local pipe_methods = { immediate = false }
local Pipe = { __index = pipe_methods, __name = "moonwire.PipeReader" }

function pipe_methods:read()
    local chunk, problem = self.response:read()
    if chunk then
        return chunk
    end
    self.over = true
    if problem then
        return failure("the response that is sent on failed: " .. tostring(problem), problem)
    end
    return nil
end

function pipe_methods:close()
    if not self.over then
        self.over = true
        self.response:close()
    end
end

---@param response moonwire.Response
---@param length integer?
---@return moonwire.BodyReader
function M.pipe(response, length)
    return setmetatable({ response = response, length = length, over = false }, Pipe)
end

return M
