-- For specs of auth: what a server asks for, and what it is told.
local assert = require "luassert"
local challenge = require "moonwire.auth.challenge"
local world = require "spec.support.mock_client"

local with_client = world.with_client

local M = { BASIC = "Basic bWU6c2VjcmV0" } -- me:secret

-- A 401 with a challenge.
function M.refuse(asked, more)
    return "HTTP/1.1 401 X\r\nContent-Length: 2\r\n" .. (asked and "WWW-Authenticate: " .. asked
        .. "\r\n" or "") .. (more or "") .. "\r\nno"
end

function M.sent(head)
    return head:match "\r\nAuthorization: ([^\r]*)"
end

function M.params(head)
    local value = M.sent(head)
    return value and challenge.list({ value })[1].params
end

-- Runs f(get, log) where get(opts, url) gives what a request with these options says of itself.
function M.with_sent(client_opts, f, answer)
    with_client(client_opts, function(client, _, log)
        f(function(opts, url)
            local before = #log.heads
            assert(client:get(url or "http://h/", opts))
            assert.equal(before + 1, #log.heads)
            return M.sent(log.heads[#log.heads])
        end, log)
    end, answer)
end

return M
