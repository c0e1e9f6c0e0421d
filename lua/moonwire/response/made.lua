-- response/made.lua - a response that came over no connection: out of a cache, a recording, a
-- test's own words. It reads like any other. It never opens anything.

local decoding = require "moonwire.response.decoding"
local errors = require "moonwire.error"
local failure = require "moonwire.connection.failure"
local pulling = require "moonwire.response.pulling"
local requests = require "moonwire.request"
local responses = require "moonwire.response"

-- What such a response has in place of its connection.
---@class moonwire.response.Source
---@field private read fun(max: integer?): string?, any
---@field private seen integer bytes so far
---@field private left integer? bytes that are still to come, where that is known
---@field private on_close fun()?
local methods = {}
local Source = { __index = methods, __name = "moonwire.response.Source" }

local function close(self)
    local on_close = self.on_close
    self.on_close = nil
    if on_close then
        on_close()
    end
end

-- The error for what `read` gives as one.
local function problem_of(self, problem)
    if errors.is(problem) then
        return problem
    end
    return errors.new {
        kind = "body", phase = "body", url = self.data.url, message = tostring(problem),
        cause = problem,
    }
end

function methods:pull(response, max)
    local chunk, problem
    repeat
        chunk, problem = self.read(max)
    until chunk ~= ""
    if not chunk then
        close(self)
        if problem == nil and (self.left or 0) > 0 then
            problem = failure.closed("its body ends before its length", "body")
        elseif problem == nil then
            response:finish(self.trailers, self.stream.backend:now())
            return nil
        end
        return nil, problem_of(self, problem)
    end
    self.left = self.left and self.left - #chunk
    self.seen = self.seen + #chunk
    if self.max_body and decoding.came_too_much(response, self.seen, self.max_body) then
        close(self)
        return nil, problem_of(self, failure.too_large(self.max_body))
    end
    return chunk
end

methods.pull_nothing = pulling.nothing
methods.pull_to_file = pulling.to_file

function methods:remaining()
    return self.left
end

function methods:leave()
    close(self)
end

function methods:shut()
    close(self)
end

function methods:abandon()
    close(self)
end

local made = {}

---@class moonwire.response.Parts
---@field request moonwire.Request that it answers
---@field status integer
---@field reason string? "" if none is given
---@field http_version string? "1.1"
---@field headers moonwire.core.Headers it belongs to the response from now on
---@field trailers moonwire.core.Headers?
---@field body string|nil|fun(max: integer?): string?, any  the whole body, or what gives the next
---  piece of it, nil at the end, or nil and what is wrong
---@field length integer? of a body that a function gives, where it is known
---@field on_close fun()? nobody reads on: the function isn't called again
---@field max_body integer?
---@field timing table? of opening a connection: {dns =, connect =, tls =}

--- Makes a response. Its body is as it came: a Content-Encoding is undone by its readers.
---@param backend moonwire.Backend whose clock it is timed by
---@param parts moonwire.response.Parts
---@return moonwire.Response
function made.new(backend, parts)
    local now, body = backend:now(), parts.body
    local source = setmetatable({
        data = requests.data(parts.request), reused = false, max_body = parts.max_body,
        started = now, facts = false, trailers = parts.trailers, on_close = parts.on_close,
        stream = { backend = backend, timing = parts.timing or { dns = 0, connect = 0, tls = 0 } },
        left = parts.length, read = body, seen = 0,
    }, Source)
    local text = type(body) == "string" and body ~= "" and body or nil
    local response = responses.new(parts.status, parts.reason or "", parts.http_version or "1.1",
        parts.headers, text, source, now)
    if type(body) == "function" then
        responses.watch(response, source)
    else
        response:finish(parts.trailers, now)
    end
    return response
end

return made
