-- deadline.lua - says of a timeout which limit ended what, after how long and how far it had come.
-- It keeps no clock and ends nothing.

local deadline = {}

--- Seconds as a person writes them: "10", "0.25", "61.2".
---@param seconds number
---@return string
function deadline.seconds(seconds)
    return (("%.3f"):format(seconds):gsub("%.?0+$", ""))
end

local function so_far(err)
    local text = deadline.seconds(err.elapsed) .. " s in all"
    if not err.bytes_sent then
        return text
    end
    return ("%s, %d bytes sent, %d received"):format(text, err.bytes_sent, err.bytes_received)
end

--- Adds to the message of an error how far things had come. It has `elapsed` already, and the bytes
--- where an exchange had begun.
---@param err moonwire.Error
function deadline.tell(err)
    err.message = ("%s (%s)"):format(err.message, so_far(err))
end

--- The same for an error of kind "timeout", with the limit that it is about: "no complete response
--- head after the request (timeout.headers = 60 s; 61.2 s in all, 1204 bytes sent, 0 received)".
---@param err moonwire.Error
---@param option string what sets the limit
---@param limit number seconds
function deadline.explain(err, option, limit)
    err.message = ("%s (%s = %s s; %s)"):format(err.message, option, deadline.seconds(limit),
        so_far(err))
end

return deadline
