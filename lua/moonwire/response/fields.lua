-- response/fields.lua - what a response tells although it isn't one of its own fields: each is made
-- when a script looks at it.  It never reads the body.

local core = require "moonwire.core"
local decoding = require "moonwire.response.decoding"

--- Seconds. Opening the connection isn't a part of total and first_byte: they count from when the
--- request began on it.
---@class moonwire.Timing
---@field total number until the end of the body, or until now
---@field first_byte number until the head was there
---@field queued number before that, until there was a connection: waiting for a place, and for it
---  to be opened; of a call's last request
---@field retries integer how often the request was repeated by policy
---@field redirects integer
---@field connection integer? number of the connection in this Lua state
---@field remote string? the other side: "127.0.0.1:80"
---@field bytes_sent integer? of the exchange, head and framing included; like the next four it is
---  there until another request goes over the connection
---@field bytes_received integer?
---@field body_sent integer? of these
---@field body_received integer? of these, as they came
---@field requests integer? that the connection had served then, with this one
---@field reused boolean the connection had served another request before; then the rest is 0
---@field dns number until there was an address to connect to
---@field connect number from then on until there was a connection
---@field tls number for the TLS handshake

--- What the responses of a connection have in common as long as they answer the same request.
---@class moonwire.response.Facts
---@field data table the request's fields
---@field carrier moonwire.Stream what they came over
---@field reused boolean
---@field max_body integer?
---@field reason string
---@field http_version string
---@field connection moonwire.Connection|moonwire.response.Source
---@field plain moonwire.core.Headers|false a head whose body isn't to be decoded

local fields = {}

local REUSED = { dns = 0, connect = 0 }

function fields.status_code(self)
    return self.status
end

function fields.reason(self)
    return self.facts.reason
end

function fields.http_version(self)
    return self.facts.http_version
end

-- A copy: the head may be that of other responses as well.
function fields.headers(self)
    local headers = decoding.headers(self)
    self.headers = headers
    return headers
end

function fields.raw_headers(self)
    local headers = self.head:copy()
    self.raw_headers = headers
    return headers
end

-- make_response says so where it isn't.
function fields.upload_complete()
    return true
end

function fields.trailers(self)
    if not self.finished then
        return nil
    end
    local trailers = core.headers()
    self.trailers = trailers
    return trailers
end

function fields.retries()
    return 0
end

function fields.history(self)
    local history = {}
    self.history = history
    return history
end

function fields.ok(self)
    return self.status >= 200 and self.status < 300
end

function fields.url(self)
    return self.facts.data.url
end

function fields.request(self)
    return self.facts.data.value
end

function fields.tls(self)
    return self.facts.carrier.tls
end

-- What its connection says of the exchange, as long as that is its last one.
local function add_bytes(timing, self)
    local connection = self.facts.connection
    local h1 = connection.h1
    if not h1 or connection.started ~= self.started then
        return timing
    end
    local received, sent, body_received, body_sent = h1:last_bytes()
    if received > 0 then -- else the host has the connection again
        timing.bytes_sent, timing.bytes_received = sent, received
        timing.body_sent, timing.body_received = body_sent, body_received
        timing.requests = connection.requests
    end
    return timing
end

function fields.timing(self)
    local facts = self.facts
    local opening = not facts.reused and facts.carrier.timing or REUSED
    return add_bytes({
        total = (self.finished or facts.carrier.backend:now()) - self.started,
        first_byte = self.first_byte - self.started,
        queued = self.started - (self.asked or self.started),
        retries = self.retries,
        redirects = #self.history,
        connection = facts.connection.id,
        remote = facts.carrier.label,
        reused = facts.reused,
        dns = opening.dns,
        connect = opening.connect,
        tls = opening.tls or 0,
    }, self)
end

return fields
