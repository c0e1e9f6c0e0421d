-- Streams, the part for large bodies: bytes that the socket drops, saves or sends out of a file by
-- itself. Where it can't they are read as any others.
local core = require "moonwire.core"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local EAGAIN, EOF, ETIMEOUT = core.EAGAIN, core.EOF, core.ETIMEOUT
local huge, min = math.huge, math.min
local PATIENCE = 0.1 -- seconds that a few bytes of a large body may lie about

local own -- what stream.lua has for all of its methods
---@class moonwire.Stream
local methods = {}

-- Reads once by a step of the socket's that may take bytes of a body past the codec.
local function pass(self, h1, deadline, step, ...)
    if not step or self.buffer ~= "" then
        return self:fill(h1, deadline)
    end
    own.check_reader(self)
    local socket = self.core
    while true do
        local n, code, why = step(socket, h1, ...)
        if n then
            return n
        elseif code == EOF then
            h1:feed_eof()
            return nil
        elseif why == "file" then
            return nil, code, why
        elseif code == EAGAIN and why == "patient" then
            code = own.wait_to_read(self, min(deadline or huge, self.backend:now() + PATIENCE))
            if code == ETIMEOUT then
                socket:look()
                code = 0
            end
        elseif code == EAGAIN then
            code = own.wait_to_read(self, deadline)
        end
        if code < 0 then
            return own.read_error(self, code)
        end
    end
end

--- For connections: reads as fill does, but what comes of a body may be dropped: the codec only
--- counts it.
---@param h1 moonwire.core.H1 it must have said "need_data"
---@param deadline number?
---@return integer? n
---@return moonwire.Error? err
function methods:skip(h1, deadline)
    return pass(self, h1, deadline, self.core.skip)
end

--- For connections: reads as fill does, but what comes of a body may be written to a file at once.
---@param h1 moonwire.core.H1 it must have said "need_data"
---@param deadline number?
---@param file file*
---@return integer? n
---@return moonwire.Error|integer|nil err
---@return string? where "file": it can't be written to, and err is a code
function methods:save(h1, deadline, file)
    return pass(self, h1, deadline, self.core.save, file)
end

--- For connections: whether flush_file can be called.
---@return boolean
function methods:sends_files()
    return self.core.send_file ~= nil
end

--- For connections: as flush, where the codec has been told of bytes that come out of a file
--- (h1:send_past).
---@param h1 moonwire.core.H1
---@param source {file: file*, offset: integer} its offset moves on
---@param deadline number?
---@param idle number? seconds that the peer may take nothing
---@param on_wait fun()? is called before each wait
---@return true? ok
---@return moonwire.Error|integer|nil err
---@return string? where "file": it is to blame, and err is a code; EOF: it has no more bytes
function methods:flush_file(h1, source, deadline, idle, on_wait)
    own.check_writer(self)
    deadline = deadline or huge
    while true do
        local ok, code, offset, where = self.core:send_file(h1, source.file, source.offset)
        source.offset = offset
        if ok then
            return true
        elseif where then
            return nil, code, where
        elseif code ~= EAGAIN then
            return own.write_error(self, code)
        end
        if on_wait then
            on_wait()
        end
        local limit = idle and min(deadline, self.backend:now() + idle) or deadline
        code = own.wait_to_write(self, limit)
        if code < 0 then
            return own.write_error(self, code)
        end
    end
end

local bulk = {}

--- For stream.lua: adds the methods to those of a stream.
---@param to table
---@param functions table<string, function>
function bulk.add(to, functions)
    own = functions
    for name, method in each(methods) do
        to[name] = method
    end
end

return bulk
