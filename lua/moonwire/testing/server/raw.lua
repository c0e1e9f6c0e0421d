-- Answers of the loopback server that the codec has no say in: scripted bytes, right or wrong, and
-- the refusal of what is no HTTP.
local ffi = require "ffi"

local errors = require "moonwire.error"
local exchange = require "moonwire.testing.server.exchange"

local EXPECTED = "a string or a list of {send=}, {delay=}, {close=true}, {reset=true}"

ffi.cdef [[
int setsockopt(int fd, int level, int option, const void *value, uint32_t length);
]]
local SOL_SOCKET = jit.os == "Linux" and 1 or 0xffff
local SO_LINGER = jit.os == "Linux" and 13 or 0x80

-- A close without lingering is an RST. Nobody but a test peer wants that, so the streams don't
-- offer it.
local function reset(stream)
    local linger = ffi.new("int[2]", 1, 0) -- on, for no time
    ffi.C.setsockopt(stream.core:fd(), SOL_SOCKET, SO_LINGER, linger, ffi.sizeof(linger))
    stream:close()
end

local M = {}

--- Checks the steps of a script; raises with the place.
---@param answer string|table[]
---@param level integer as for error()
---@return table[] steps
function M.check(answer, level)
    if type(answer) == "string" then
        return { { send = answer } }
    elseif type(answer) ~= "table" then
        errors.argument(level, "answer", EXPECTED, answer)
    end
    for index, step in ipairs(answer) do
        local good = type(step) == "table" and (type(step.send) == "string"
            or type(step.delay) == "number" or step.close == true or step.reset == true)
        if not good then
            errors.argument(level, "answer[" .. index .. "]", EXPECTED, step)
        end
    end
    return answer
end

--- Plays a script to the client and leaves the connection to be closed.
---@param server moonwire.testing.Server
---@param request moonwire.testing.Request
---@param respond moonwire.testing.Respond
---@param steps table[]
function M.play(server, request, respond, steps)
    while request:read() do
        -- to its end: what comes back then answers the whole request
    end
    local stream = respond:take_over()
    for _, step in ipairs(steps) do
        if step.send then
            if not stream:write(step.send, math.huge) then
                return
            end
        elseif step.delay then
            server:sleep(step.delay)
        elseif step.reset then
            reset(stream)
            return
        else
            return
        end
    end
end

--- Says what is wrong with a request that the codec could not read.
---@param stream moonwire.Stream
---@param status integer
---@param message string
function M.refuse(stream, status, message)
    local text = message:gsub("%c", " ") .. "\n"
    stream:write({
        ("HTTP/1.1 %d %s\r\n"):format(status, exchange.reason(status)),
        "Content-Type: text/plain\r\nConnection: close\r\n",
        ("Content-Length: %d\r\n\r\n"):format(#text),
        text,
    }, math.huge)
end

return M
