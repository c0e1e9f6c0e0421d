-- For specs of a client with a cache: a server that answers by path, and what was got from where.
local assert = require "luassert"
local caches = require "moonwire.cache"
local world = require "spec.support.mock_client"

local M = {}

-- A response with a length.
function M.reply(text, ...)
    local lines = { "HTTP/1.1 200 OK", ... }
    return table.concat(lines, "\r\n") .. "\r\nContent-Length: " .. #text .. "\r\n\r\n" .. text
end

-- Each test has a client with a cache, and a server that answers by a table of paths: a text, or a
-- function of the request's head and number.
function M.with_cache(answers, f, opts)
    opts = opts or {}
    opts.cache = opts.cache or caches.memory()
    world.with_client(opts, function(client, m, log)
        local function get(path, headers, more)
            more = more or {}
            more.headers = headers
            local res = assert(client:get("http://h" .. path, more))
            return assert(res:text()), res.from_cache, res
        end
        f(get, m, log, client, opts.cache, opts.cookies)
    end, function(head, number)
        local answer = answers[head:match "^%S+ (%S+)"]
        if type(answer) == "function" then
            return answer(head, number)
        end
        return answer or world.OK
    end)
end

function M.two(text, how)
    return { text, how }
end

function M.field(head, name)
    return head:match("\r\n" .. name:gsub("%-", "%%-") .. ": ([^\r\n]*)")
end

return M
