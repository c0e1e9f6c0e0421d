-- response/pulling.lua - what a response asks of what stands in for its connection, done by pulling
-- piece after piece. It never looks at them.

local errors = require "moonwire.error"

local pulling = {}

--- Drops the rest of the body.
---@param self table with a method `pull`, as a connection has it
---@param response moonwire.Response
---@return nil, moonwire.Error? err
function pulling.nothing(self, response)
    local chunk, err
    repeat
        chunk, err = self:pull(response)
    until not chunk
    return nil, err
end

--- Writes the rest of the body to a file.
---@param self table
---@param response moonwire.Response
---@param file file*
---@return nil, moonwire.Error? err, string? where "file": it isn't the body that failed
function pulling.to_file(self, response, file)
    while true do
        local chunk, err = self:pull(response)
        if not chunk then
            return nil, err
        end
        local ok, problem = file:write(chunk)
        if not ok then
            return nil, errors.new { kind = "system", phase = "body", message = problem }, "file"
        end
    end
end

return pulling
