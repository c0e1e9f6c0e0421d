-- body/readers.lua - what a request body is pulled out of: list, function, file, other response.
-- A reader gives chunks of at least one byte, nil at the end, or nil and an error of kind "body".

local core = require "moonwire.core"
local errors = require "moonwire.error"

local FILE_CHUNK = 128 * 1024 -- large enough that a chunk costs more than the call for it
local FILE_CLAIM = 1024 * 1024 -- of a file without a length: one chunk on the wire
local LARGEST_CLAIM = 1024 * 1024 * 1024 -- what a codec takes at once
local LEAST_CLAIM = 64 * 1024 -- from here on it pays not to read the bytes

local EOF = core.EOF

---@class moonwire.BodyReader
---@field immediate boolean reading never waits for anybody: the first chunk may go with the head
---@field length integer? what it will give altogether, where that is known
---@field read fun(self): string?, moonwire.Error?
---@field close fun(self) may be called twice
---@field claim (fun(self): integer?, {file: file*, offset: integer}?)? of a file: how many bytes,
---  from the source's offset on, the caller takes out of its file itself, moving the offset; nil:
---  read() goes on
---@field explain (fun(self, code: integer): nil, moonwire.Error)? why those can't be taken

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

local CLOSED = "the body's file was closed while it was sent"

-- How many bytes there are now from the file's offset on.
local function measure_rest(self)
    local stop = io.type(self.file) == "file" and self.file:seek "end"
    self.claimed = true
    return stop and stop - self.offset or 0
end

function file_methods:claim()
    local left = self.left
    if not self.offset or not self.file then
        return nil
    end
    local size = math.min(left or measure_rest(self), left and LARGEST_CLAIM or FILE_CLAIM)
    if size < LEAST_CLAIM then
        return nil
    end
    self.left = left and left - size
    self.claimed = true
    return size, self
end

function file_methods:explain(code)
    if code == EOF then
        return nil, errors.from_code(core.codes.EBODY_SHORT, "write", "the request's body")
    elseif io.type(self.file) ~= "file" then
        return failure(CLOSED)
    end
    return failure("the body's file can't be read: " .. core.error_text(code))
end

-- What was taken out of the file past its stream doesn't show in where that stands.
local function catch_up(self)
    if self.claimed then
        self.claimed = false
        self.file:seek("set", self.offset)
    end
end

function file_methods:read()
    local left = self.left
    if not self.file or left == 0 then
        return nil
    end
    if io.type(self.file) ~= "file" then
        return failure(CLOSED)
    end
    catch_up(self)
    local chunk, problem = self.file:read(left and math.min(left, FILE_CHUNK) or FILE_CHUNK)
    if not chunk then
        if problem then
            return failure("the body's file can't be read: " .. problem)
        end
        return nil
    end
    self.left = left and left - #chunk
    self.offset = self.offset and self.offset + #chunk
    return chunk
end

function file_methods:close()
    local file, on_close = self.file, self.on_close
    if io.type(file) == "file" then
        catch_up(self)
    end
    self.file, self.on_close = nil, nil
    if file and on_close then
        on_close(file)
    end
end

--- Reads at most `length` bytes (nil: to the end) from where the file stands.
---@param file file*
---@param length integer?
---@param on_close fun(file: file*)
---@param offset integer? where it stands, of a file that is known to have bytes from there on
---@return moonwire.BodyReader
function M.file(file, length, on_close, offset)
    local self = {
        file = file, left = length, length = length, on_close = on_close, offset = offset,
        claimed = false,
    }
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

--- Goes to a place in a file and measures what there is from there on.
---@param file file*
---@param offset integer? nil: where it stands
---@param length integer? so much is wanted; nil: all
---@return integer? length nil: unknown
---@return integer? place where it stands, in a file that has bytes from there on
---@return boolean? rewindable
---@return string? problem why it can't be sent
function M.find(file, offset, length)
    if offset and not file:seek("set", offset) then
        return nil, nil, nil, "it has no places, so offset can't be used"
    end
    local rest, place, problem = M.measure(file)
    if problem then
        return nil, nil, nil, problem
    elseif offset and rest == 0 then
        local size = file:seek "end"
        file:seek("set", offset)
        if size < offset then
            return nil, nil, nil, ("it has %d bytes, and the offset is %d"):format(size, offset)
        end
    end
    if length and rest and rest < length then
        return nil, nil, nil, ("it has %d bytes%s, and the length is %d"):format(rest,
            offset and " from the offset on" or "", length)
    end
    return length or rest, rest and place, place ~= nil, nil
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
