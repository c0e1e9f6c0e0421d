-- resty/say.lua - says an error in the words that callers of the API know. It decides nothing.

local errors = require "moonwire.error"

local say = {}

-- What callers compare with; all else is the whole sentence.
local WORDS = {
    ECONNREFUSED = "connection refused",
    ECONNRESET = "connection reset by peer",
    EPIPE = "broken pipe",
}

local function word_for(err)
    if err.kind == "timeout" then
        return "timeout"
    end
    return WORDS[err.code] or err.kind == "closed" and "closed" or tostring(err)
end

--- What a call that has failed gives.
---@param err moonwire.Error
---@return nil, string word "timeout", "closed", "connection refused", ... or a sentence
---@return moonwire.Error err the whole of it, for who wants to know more
function say.failure(err)
    return nil, word_for(err), err
end

--- The same for what can't be asked for, or not now.
---@param message string
---@return nil, string message, moonwire.Error err
function say.refusal(message)
    return nil, message, errors.new { kind = "system", message = message }
end

return say
