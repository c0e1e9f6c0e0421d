-- resty/link.lua - the one connection of a client at a time: opened, asked, and closed or kept. It
-- knows no parameter of a call.

local backends = require "moonwire.backend"
local keep = require "moonwire.resty.keep"
local opening = require "moonwire.resty.opening"
local say = require "moonwire.resty.say"

local MUST_CLOSE = "connection must be closed"

---@class moonwire.resty.Link
---@field plan moonwire.resty.Plan? how the connection was opened; it stays when that is gone
---@field connection moonwire.Connection?
---@field times integer how often the connection was used before
---@field private backend moonwire.Backend? of the connection
---@field private response moonwire.Response? the last one over the connection
---@field private asked boolean a request was sent over the connection since it was opened
---@field private secured boolean TLS was begun by hand
local methods = {}
local Link = { __index = methods, __name = "moonwire.resty.Link" }

local link = {}

--- Whether a response has come to its end.
---@param response moonwire.Response?
---@return boolean
function link.is_whole(response)
    return response ~= nil and response.trailers ~= nil
end

local function forget(self)
    local connection = self.connection
    self.connection, self.response = nil, nil
    return connection
end

-- What there is to say where there is no connection.
local function no_connection(self)
    return say.refusal(self.plan and "closed" or "not initialized")
end

local function open(self, seconds, fresh)
    local connection, times = opening.open(self.backend, self.plan, seconds, fresh)
    if not connection then
        return say.failure(times)
    end
    self.connection, self.times, self.response = connection, times, nil
    self.asked = false
    return 1
end

--- Opens a connection, or takes one that was kept. The one before is closed.
---@param plan moonwire.resty.Plan
---@param seconds number
---@return integer? ok, string? problem, moonwire.Error? err
function methods:open(plan, seconds)
    local before = forget(self)
    if before then
        before:close()
    end
    self.backend, self.plan, self.secured = backends.current(), plan, false
    return open(self, seconds)
end

--- Goes over to TLS.
---@param context moonwire.TlsContext
---@param seconds number
---@return true? ok, string? problem, moonwire.Error? err
function methods:secure(context, seconds)
    local ok, err = self.connection.stream:start_tls(context, self.backend:now() + seconds)
    if not ok then
        forget(self):close()
        return say.failure(err)
    end
    self.plan.scheme, self.plan.tls, self.secured = "https", context, true
    return true
end

--- Nil and words where there is no connection.
---@return true? is_open, string? problem, moonwire.Error? err
function methods:check()
    if self.connection then
        return true
    end
    return no_connection(self)
end

--- Sends a request. A connection that was kept and turns out to be stale is replaced, where the
--- request can't have been acted on, or may be sent twice.
---@param request moonwire.Request
---@param opts moonwire.connection.RequestOptions
---@param seconds number for another connection
---@return moonwire.Response? response, string? problem, moonwire.Error? err
function methods:ask(request, opts, seconds)
    if not self.connection then
        return no_connection(self)
    end
    local may_be_stale = self.times > 0 and not self.asked
    self.asked = true
    local response, err = self.connection:request(request, opts)
    if not response and may_be_stale and err.safe_to_retry then
        forget(self):close()
        local ok, problem, why = open(self, seconds, true)
        if not ok then
            return nil, problem, why
        end
        self.asked = true
        response, err = self.connection:request(request, opts)
    end
    self.response = response
    if not response then
        return say.failure(err)
    end
    return response
end

--- Closes the connection.
---@return integer? ok, string? problem, moonwire.Error? err
function methods:close()
    local connection = forget(self)
    if not connection then
        return no_connection(self)
    end
    connection:close()
    return 1
end

-- Its last response is complete and it can't be used again; or it was secured by hand: by the name
-- of its pool nobody could tell whom for.
local function must_close(self)
    return self.secured or self.connection:is_closed() and link.is_whole(self.response)
end

--- Keeps the connection for later, if it may be kept; else it is closed. It is gone from here.
---@param seconds number 0: for ever
---@param size integer?
---@return 1|2|nil ok, string? problem, moonwire.Error? err
function methods:keep(seconds, size)
    if not self.connection then
        return no_connection(self)
    end
    local has_to_close = must_close(self)
    local connection = forget(self)
    if has_to_close then
        connection:close()
        return 2, MUST_CLOSE
    elseif connection:is_closed() then
        return say.refusal "closed"
    elseif connection.state == "active" then
        connection:close()
        return say.refusal("connection in dubious state: its response was not read to the end "
            .. "(read_body(), or body_reader() until it gives nil), so it was closed")
    end
    local ok, err = keep.give(self.backend, self.plan.name, connection, self.times, seconds,
        size or self.plan.pool_size)
    if not ok then
        return say.failure(err)
    end
    return 1
end

--- Makes one without a connection.
---@return moonwire.resty.Link
function link.new()
    return setmetatable({ times = 0, asked = false, secured = false }, Link)
end

return link
