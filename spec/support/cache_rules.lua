-- What the specs of the cache's rules need: entries and header lists out of a few words.

local headers_of = require "moonwire.headers"
local policy = require "moonwire.cache.policy"

local M = {}

--- Sunday, 06 Nov 1994 08:49:37 GMT, RFC 9110's example.
M.THEN = 784111777

--- Headers of lines.
function M.headers(...)
    local list = {}
    for i, line in ipairs { ... } do
        list[i] = { line:match "^([^:]+): ?(.*)$" }
    end
    return headers_of.new(list)
end

--- An entry that was asked for, and came, at THEN.
function M.entry(lines, more)
    local entry = {
        url = "http://h/", status = 200, reason = "OK", http_version = "1.1", body = "body",
        headers = M.headers(unpack(lines)), asked = M.THEN, answered = M.THEN,
    }
    for name, value in pairs(more or {}) do
        entry[name] = value
    end
    return entry
end

--- What a request with these lines wishes.
function M.wishes(...)
    return policy.wishes(M.headers(...))
end

return M
