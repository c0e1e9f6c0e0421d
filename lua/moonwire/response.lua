-- response.lua - a response and its body, pulled by the reader and by nothing else.  It never
-- writes to the connection it came from.

local core = require "moonwire.core"
local decoding = require "moonwire.response.decoding"
local errors = require "moonwire.error"
local failure = require "moonwire.connection.failure"
local fields = require "moonwire.response.fields"
local json = require "moonwire.json"
local lines = require "moonwire.response.lines"

local TEXT_LIMIT = 64 * 1024 * 1024 -- bytes that text() and json() take, unless max_body says else
local LINE_LIMIT = 1024 * 1024 -- bytes in one line of lines()

---@class moonwire.Response
---@field status integer
---@field status_code integer the same as status
---@field reason string?
---@field ok boolean status is 200 to 299
---@field http_version string "1.1" or "1.0"
---@field url string of the request that it answers
---@field headers moonwire.core.Headers without Content-Encoding and Content-Length where the body
---  is decoded
---@field raw_headers moonwire.core.Headers as received
---@field trailers moonwire.core.Headers? nil until the body has ended
---@field timing moonwire.Timing made anew at each look
---@field tls moonwire.TlsInfo? what its connection speaks; nil without TLS
---@field history moonwire.Response[] redirects that led here
---@field request moonwire.Request
---@field upload_complete boolean the request's body went out whole
---@field retries integer how often its request was repeated by policy
---@field from_cache "hit"|"revalidated"|"stale"|nil it came out of the client's cache: as it was,
---  after the server had said that it is still right, or although it is too old
---@field package asked number? when its call began, where it had to wait for a connection
---@field package head moonwire.core.Headers as received, for others too: it isn't changed
---@field package facts moonwire.response.Facts
---@field package connection moonwire.Connection? where there is more of the body than came with the
---  head, until that has ended
---@field package held_back boolean? the server answered instead of asking for the body
---@field package stream moonwire.Stream|false|nil for upgrade(); false: it was taken
---@field package buffered string? body bytes that the codec has given out already
---@field package from integer? where in `buffered` the unread bytes begin; nil: at 1
---@field package failure moonwire.Error? what reads give from now on
---@field package body_text string? kept by text()
---@field package decoder moonwire.response.Decoder? of a body with content codings, once it is read
local methods = {}

local Response = {
    __name = "moonwire.Response",
    __index = function(self, key)
        local method = methods[key]
        if method then
            return method
        end
        local make = fields[key]
        return make and make(self)
    end,
    __tostring = function(self)
        return ("moonwire.Response (%d %s)"):format(self.status, self.url)
    end,
}

local M = {}

-- An unread response that is collected closes its connection: tables have no finalizer here, so a
-- userdata that lives as long as the response stands for it.
local watched = setmetatable({}, { __mode = "k" })
local guard = newproxy(true)
getmetatable(guard).__gc = function(proxy)
    local connection = watched[proxy]
    if connection then
        pcall(connection.abandon, connection)
    end
end

-- Those of the response before, mostly. A request's body isn't kept by an idle connection.
local function facts_of(connection, reason, version)
    local facts, data = connection.facts, connection.data
    if facts and facts.data == data and facts.reason == reason and facts.http_version == version
        and facts.reused == connection.reused and facts.max_body == connection.max_body then
        return facts
    end
    facts = { -- with room for 8 fields: see connection.new
        data = data, carrier = false, reused = false, max_body = false, reason = false,
        http_version = "", connection = false, plain = false,
    }
    facts.carrier, facts.reused, facts.max_body = connection.stream, connection.reused,
        connection.max_body
    facts.reason, facts.http_version, facts.connection = reason, version, connection
    connection.facts = not data.body and facts
    return facts
end

--- For connection.lua: a response whose head is there.
---@param status integer
---@param reason string
---@param version string
---@param head moonwire.core.Headers
---@param text string? of the body, what is here already
---@param connection moonwire.Connection
---@param now number
---@return moonwire.Response
function M.new(status, reason, version, head, text, connection, now)
    local self = { -- all 8 fields, constants: see connection.new
        status = 0, head = false, facts = false, started = 0, first_byte = 0, buffered = false,
        finished = false, body_text = false,
    }
    self.status, self.head, self.facts = status, head, facts_of(connection, reason, version)
    self.started, self.first_byte, self.buffered = connection.started, now, text
    return setmetatable(self, Response)
end

--- For connection.lua: the body didn't come along with the head.
---@param response moonwire.Response
---@param connection moonwire.Connection
function M.watch(response, connection)
    local proxy = newproxy(guard)
    watched[proxy] = connection
    response.connection, response.guard = connection, proxy
end

local function unwatch(self)
    if self.guard then
        watched[self.guard] = nil
        self.guard = nil
    end
end

--- For connection.lua: the body has ended.
---@package
function methods:finish(trailers, now)
    if trailers then
        self.trailers = trailers
    end
    self.finished = now
    self.connection = nil
    unwatch(self)
end

--- For connection.lua: the stream that speaks another protocol from here on.
---@package
---@param stream moonwire.Stream
function methods:carry(stream)
    self.stream, self.upload_complete = stream, true
end

local function fail(self, err)
    self.failure = err
    self.connection = nil
    self.buffered = nil
    unwatch(self)
    return nil, err
end

local function take_buffered(self, max)
    local text, from = self.buffered, self.from or 1
    if max and #text - from >= max then
        self.from = from + max
        return text:sub(from, from + max - 1)
    end
    self.buffered = nil
    if from > 1 then
        self.from = nil
    end
    return from == 1 and text or text:sub(from)
end

-- The body as it came.
local function next_raw(self, max)
    if self.buffered then
        return take_buffered(self, max)
    elseif self.failure then
        return nil, self.failure
    elseif not self.connection then
        return nil
    end
    local data, err = self.connection:pull(self, max)
    if err then
        return fail(self, err)
    end
    return data
end

-- From now on there is nothing to read but the error.
local function finish_unread(self, err)
    unwatch(self)
    decoding.stop(self)
    self.connection, self.buffered = nil, nil
    if not self.failure then
        err.url = self.url
        self.failure = err
    end
end

-- The body isn't what the script can take: no time is spent on its rest.
local function refuse(self, err)
    local connection = self.connection
    if connection then
        connection:shut "unread_body"
    end
    self.failure = nil
    finish_unread(self, err)
    return nil, err
end

local function next_decoded(self, max)
    if self.failure then
        return nil, self.failure
    end
    local decoder, err = decoding.decoder(self)
    if not decoder then
        if err then
            return refuse(self, err)
        end
        return next_raw(self, max)
    end
    local data, problem, ours = decoding.read(self, decoder, next_raw, max)
    if ours then
        return refuse(self, problem)
    end
    return data, problem
end

-- The next bytes for the script. Most heads are known to name no coding.
local function next_chunk(self, max)
    if self.facts.plain == self.head then
        return next_raw(self, max)
    end
    return next_decoded(self, max)
end

local function check(self, level)
    if getmetatable(self) ~= Response then
        errors.argument(level + 1, "self", "response (response:method())", self)
    end
end

--- The next bytes of the body: as soon as there are any, at most `max`.
---@param max integer?
---@return string? bytes nil: the end, or failure
---@return moonwire.Error? err the same again on every further call
function methods:read(max)
    check(self, 2)
    if max ~= nil and (type(max) ~= "number" or max < 1 or max % 1 ~= 0) then
        errors.argument(2, "max", "whole number from 1", max)
    end
    return next_chunk(self, max)
end

--- How many bytes of the body are still to be read, where that is known.
---@return integer?
function methods:remaining()
    if decoding.codings(self) then
        return self.decoder and self.decoder.ended and 0 or nil
    end
    local here = self.buffered and #self.buffered - (self.from or 1) + 1 or 0
    if not self.connection then
        return here
    end
    local rest = self.connection:remaining()
    return rest and rest + here
end

local function too_large(self, limit)
    return refuse(self, failure.too_large(limit))
end

local function read_all(self, limit)
    local length = self:remaining()
    if length and length > limit then
        return too_large(self, limit)
    end
    local first, err = next_chunk(self)
    if not first then
        if err then
            return nil, err
        end
        return ""
    end
    local chunks, count, size = nil, 1, #first
    while true do
        local chunk
        chunk, err = next_chunk(self)
        if not chunk then
            break
        end
        chunks, count = chunks or { first }, count + 1
        chunks[count], size = chunk, size + #chunk
        if size > limit then
            return too_large(self, limit)
        end
        local bomb = self.facts.plain ~= self.head and decoding.check_ratio(self)
        if bomb then
            return refuse(self, bomb)
        end
    end
    if err then
        return nil, err
    end
    return chunks and table.concat(chunks) or first
end

--- The whole body, or what is left of it; the same string again on further calls.
---@return string? text, moonwire.Error? err kind "limit" above max_body (64 MiB if none was given)
function methods:text()
    check(self, 2)
    local text = self.body_text
    if text then
        return text
    end
    local limit = self.facts.max_body or TEXT_LIMIT
    text = self.buffered
    if text and self.finished and not self.from and #text <= limit
        and (self.facts.plain == self.head or not decoding.codings(self)) then
        self.buffered = nil
    else
        local err
        text, err = read_all(self, limit)
        if not text then
            return nil, err
        end
    end
    self.body_text = text
    return text -- and no nil behind it, which print and io.write would take for a value
end

--- The body as a value; JSON's null is require("moonwire.json").null.
---@return any value, moonwire.Error? err kind "protocol" when it isn't JSON
function methods:json()
    check(self, 2)
    local text, err = self:text()
    if not text then
        return nil, err
    end
    local value
    value, err = json.decode(text)
    if err then
        err.phase, err.url = "body", self.url
        return nil, err
    end
    return value
end

local function file_failure(self, path, problem)
    return errors.new {
        kind = "system", phase = "body", url = self.url,
        message = ("the body can't be saved as %s: %s"):format(path, problem),
    }
end

local function write_chunks(self, file, path)
    while true do
        local chunk, err = next_chunk(self)
        if not chunk then
            return not err or nil, err
        end
        local ok, problem = file:write(chunk)
        if not ok then
            return nil, file_failure(self, path, problem)
        end
    end
end

-- Writes what is left of the body to an open file.
local function write_body(self, file, path)
    if decoding.codings(self) then
        return write_chunks(self, file, path)
    elseif self.buffered then
        local ok, problem = file:write(take_buffered(self))
        if not ok then
            return nil, file_failure(self, path, problem)
        end
    end
    if self.failure then
        return nil, self.failure
    elseif not self.connection then
        return true
    end
    local _, err, where = self.connection:pull_to_file(self, file)
    if where == "file" then
        return nil, file_failure(self, path, err.message)
    elseif err then
        return fail(self, err)
    end
    return true
end

local unique = 0

-- A name beside the path that nobody has.
local function open_beside(path)
    local file, problem, name
    for _ = 1, 100 do
        unique = unique + 1
        name = ("%s.%d-%d.part"):format(path, os.time() % 100000, unique)
        file, problem = io.open(name, "wbx")
        if file or not problem:find "exists" then
            return file, problem, name
        end
    end
    return nil, problem
end

-- Into a device, a pipe with a name, or what a link leads to (/dev/stdout is one): nothing may take
-- the place of these.
local function write_through(self, path)
    local file, problem = io.open(path, "wb")
    if not file then
        return nil, file_failure(self, path, problem)
    end
    file:setvbuf "no"
    local ran, done, err = pcall(write_chunks, self, file, path)
    file:close()
    if not ran then -- what the script's progress has raised
        error(done, 0)
    elseif not done and not self.failure and not self.finished then
        refuse(self, err)
    end
    return done, err
end

--- Saves the body: into a new file beside `path`, which takes its name once it is complete. On
--- failure what was at `path` stays as it was. Only what isn't a regular file (a device, a pipe
--- with a name, a link) is written to as it is.
---@param path string
---@return true? ok, moonwire.Error? err
function methods:save(path)
    check(self, 2)
    if type(path) ~= "string" then
        errors.argument(2, "path", "string", path)
    elseif self.failure then
        return nil, self.failure
    end
    local kind = core.path_kind(path)
    if kind == "other" or kind == "link" then
        return write_through(self, path)
    end
    local file, problem, name = open_beside(path)
    if not file then
        return nil, file_failure(self, path, problem)
    end
    local ran, done, err = pcall(write_body, self, file, path)
    local closed
    closed, problem = file:close()
    if not ran then -- what the script's progress has raised
        os.remove(name)
        error(done, 0)
    end
    if done and not closed then
        done, err = nil, file_failure(self, path, problem)
    end
    if done then
        done, problem = os.rename(name, path)
        err = not done and file_failure(self, path, problem) or nil
    end
    if not done then
        os.remove(name)
        if not self.failure and not self.finished then
            refuse(self, err)
        end
        return nil, err
    end
    return true
end

--- Reads the body to its end and keeps nothing of it; so it isn't decoded either.
---@return true? ok, moonwire.Error? err
function methods:discard()
    check(self, 2)
    self.buffered = nil
    decoding.stop(self)
    if self.failure then
        return nil, self.failure
    elseif self.connection then
        local _, err = self.connection:pull_nothing(self)
        if err then
            return fail(self, err)
        end
    end
    return true
end

--- Gives the body up and returns at once. A rest of 64 KiB at most that comes within 50 ms is
--- dropped in the background and the connection kept; otherwise the connection is closed. Twice is
--- harmless.
function methods:close()
    check(self, 2)
    local connection = self.connection
    self.buffered = nil
    if connection then
        connection:leave(self)
    elseif self.stream then
        self.stream:close()
        self.stream = false
    end
    finish_unread(self, failure.closed("the response was closed", "body"))
end

--- After 101, or a 2xx to CONNECT: the stream, which speaks the other protocol from now on. Bytes
--- that have come behind the head are read from it first. It is the caller's, who closes it; a
--- second call raises.
---@return moonwire.Stream? stream
---@return moonwire.Error? err kind "protocol": the server answered otherwise, see status
function methods:upgrade()
    check(self, 2)
    local stream = self.stream
    if stream then
        self.stream = false
        return stream
    elseif stream == false then
        error("the stream of this response was taken, or closed, before", 2)
    end
    return nil, errors.new {
        kind = "protocol", phase = "headers", url = self.url,
        message = ("the server did not switch protocols: it answered %d %s"):format(self.status,
            self.reason or ""),
    }
end

--- for chunk in response:chunks() do: the body as it comes; raises when it breaks off.
---@param max integer? bytes in one chunk
---@return fun(): string?
function methods:chunks(max)
    check(self, 2)
    if max ~= nil and (type(max) ~= "number" or max < 1 or max % 1 ~= 0) then
        errors.argument(2, "max", "whole number from 1", max)
    end
    return function()
        local chunk, err = next_chunk(self, max)
        if err then
            error(err, 0)
        end
        return chunk
    end
end

--- for line in response:lines() do: the body line by line, without "\n" or "\r\n"; a last line
--- without an end counts. Raises when the body breaks off or a line has more than `limit` bytes.
---@param limit integer? 1 MiB if none is given
---@return fun(): string?
function methods:lines(limit)
    check(self, 2)
    if limit ~= nil and (type(limit) ~= "number" or limit < 1) then
        errors.argument(2, "limit", "number from 1", limit)
    end
    local function next_piece()
        return next_chunk(self)
    end
    local function give_up(err)
        local _, problem = refuse(self, err)
        return problem
    end
    return lines.iterator(next_piece, give_up, limit or LINE_LIMIT)
end

return M
