-- har.lua - writes down what clients send and get as an HTTP Archive (HAR 1.2), which browsers and
-- others can show. Secrets are left out. It changes nothing of what it watches.

local base64 = require "moonwire.base64"
local backends = require "moonwire.backend"
local core = require "moonwire.core"
local errors = require "moonwire.error"
local http = require "moonwire.http"
local json = require "moonwire.json"
local made = require "moonwire.response.made"
local secrets = require "moonwire.secrets"
local urls = require "moonwire.url"
local version = require "moonwire.version"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

-- lua-cjson takes an empty table for an object: this stands for an empty list until all is text. A
-- whole string of the archive that is the same by chance isn't to be feared.
local EMPTY = "empty list " .. base64.encode(core.random_bytes(12))

local BODY_MOST = 1024 * 1024 -- bytes of one body that are kept
local ENTRIES_MOST = 10000

---@class moonwire.HarOptions
---@field bodies boolean? false: no bodies
---@field max_body integer? bytes; a longer body is left out: 1 MiB
---@field max_entries integer? further exchanges are counted only: 10000
---@field secrets string[]? further names whose values are left out, of headers and of queries

---@class moonwire.HarRecorder
---@field dropped integer exchanges beyond max_entries
---@field private entries table[]
---@field private open table<integer, table> by the exchange's id
---@field private offs (fun())[]
---@field private opts moonwire.HarOptions
---@field private more table<string, boolean>
local methods = {}
local Recorder = { __index = methods, __name = "moonwire.HarRecorder" }

local function date_text(seconds)
    local whole = math.floor(seconds)
    return os.date("!%Y-%m-%dT%H:%M:%S", whole) .. (".%03dZ"):format((seconds - whole) * 1000)
end

local function pair_list(headers, more)
    local list = {}
    for name, value in headers:each() do
        local hidden = more[name:lower()]
        list[#list + 1] = { name = name,
            value = hidden and secrets.REDACTED or secrets.shown(name, value) }
    end
    return #list > 0 and list or EMPTY
end

local function query_list(url)
    local list = {}
    for name, value in (url:match "%?(.*)$" or ""):gmatch "([^&=]+)=?([^&]*)" do
        list[#list + 1] = { name = urls.unescape((name:gsub("+", " "))),
            value = urls.unescape((value:gsub("+", " "))) }
    end
    return #list > 0 and list or EMPTY
end

local function post_data(request, opts)
    local body = request.body
    if not body then
        return nil
    end
    local data = { mimeType = request.headers:get "content-type" or "", text = "" }
    local text = body.text
    if opts.bodies == false or not text then
        data.comment = "the body isn't recorded"
    elseif #text > opts.max_body then
        data.comment = ("%d bytes, not recorded"):format(#text)
    elseif not json.is_text(text) then
        data.text, data.comment = base64.encode(text), "base64"
    else
        data.text = text
    end
    return data
end

local function add(self, event)
    if #self.entries >= self.opts.max_entries then
        self.dropped = self.dropped + 1
        return
    end
    local request = event.request
    local url = secrets.url(request.url, self.more)
    local entry = {
        startedDateTime = date_text(backends.current():wall()), time = 0,
        request = {
            method = request.method, url = url, httpVersion = "HTTP/1.1",
            cookies = EMPTY, headers = pair_list(request.headers, self.more),
            queryString = query_list(url), headersSize = #request.head:bytes(),
            bodySize = request.body and request.body.length or request.body and -1 or 0,
            postData = post_data(request, self.opts),
        },
        response = {
            status = 0, statusText = "", httpVersion = "", cookies = EMPTY,
            headers = EMPTY, redirectURL = "", headersSize = -1, bodySize = -1,
            content = { size = 0, mimeType = "" },
        },
        cache = {},
        timings = {
            blocked = -1, dns = -1, connect = -1, ssl = -1, send = 0, wait = 0, receive = 0,
        },
    }
    self.entries[#self.entries + 1] = entry
    self.open[event.id] = { entry = entry, pieces = {}, size = 0 }
end

local function set_timings(entry, response)
    local timing, timings = response.timing, entry.timings
    timings.blocked = timing.queued * 1000
    if not timing.reused then
        timings.dns, timings.ssl = timing.dns * 1000, timing.tls > 0 and timing.tls * 1000 or -1
        timings.connect = (timing.connect + timing.tls) * 1000 -- in HAR ssl is a part of connect
        timings.blocked = math.max(0, timings.blocked - timings.dns - timings.connect)
    end
    timings.wait = timing.first_byte * 1000
end

local function set_response(self, event)
    local open, response = self.open[event.id], event.response
    if not open then
        return
    end
    local entry = open.entry
    local headers = response.head
    entry.response = {
        status = response.status, statusText = response.reason or "",
        httpVersion = "HTTP/" .. response.http_version, cookies = EMPTY,
        headers = pair_list(headers, self.more),
        redirectURL = secrets.url(headers:get "location" or "", self.more), headersSize = -1,
        bodySize = -1, content = { size = 0, mimeType = headers:get "content-type" or "" },
    }
    entry.connection = response.timing.connection and tostring(response.timing.connection) or nil
    entry.serverIPAddress = (response.timing.remote or ""):match "^%[?([%x.:]+)%]?:%d+$"
    set_timings(entry, response)
end

local function take_piece(self, event)
    local open = self.open[event.id]
    if open and self.opts.bodies ~= false and open.size <= self.opts.max_body then
        open.pieces[#open.pieces + 1] = event.bytes
        open.size = open.size + #event.bytes
    end
end

-- The body as its readers get it: without content codings.
local function decoded(response, raw, most)
    if not response.head:has "content-encoding" then
        return raw
    end
    local text = made.new(backends.current(), {
        request = response.request, status = response.status, headers = response.head:copy(),
        body = raw, max_body = most,
    }):text()
    return text
end

local function set_content(self, open, event)
    local content = open.entry.response.content
    content.size = event.bytes
    if self.opts.bodies == false or event.bytes == 0 then
        return
    elseif open.size > self.opts.max_body then
        content.comment = "longer than max_body: not recorded"
        return
    end
    local text = decoded(event.response, table.concat(open.pieces), self.opts.max_body)
    if not text then
        content.comment = "coded in a way that can't be undone: not recorded"
        return
    end
    content.size = #text
    content.compression = #text ~= event.bytes and #text - event.bytes or nil
    if json.is_text(text) then
        content.text = text
    else
        content.text, content.encoding = base64.encode(text), "base64"
    end
end

local function sum_up(entry)
    local timings = entry.timings
    entry.time = 0
    for _, name in ipairs { "blocked", "dns", "connect", "send", "wait", "receive" } do
        entry.time = entry.time + math.max(0, timings[name])
    end
end

local function finish(self, event)
    local open = self.open[event.id]
    if not open then
        return
    end
    self.open[event.id] = nil
    local entry = open.entry
    entry.response.bodySize = event.bytes
    set_content(self, open, event)
    entry.timings.receive = math.max(0, event.response.timing.total * 1000 - entry.timings.wait)
    if event.err then
        entry.response._error = tostring(event.err)
    elseif not event.complete then
        entry.response.comment = "the body was not read to its end"
    end
    sum_up(entry)
end

local function fail(self, event)
    local open = self.open[event.id]
    if open then
        self.open[event.id] = nil
        open.entry.response._error = tostring(event.err)
        open.entry.timings.wait = event.seconds * 1000
        sum_up(open.entry)
    end
end

-- An exchange under way is in it as far as it has come.
local function archive(self)
    return {
        log = {
            version = "1.2", creator = { name = "moonwire", version = version },
            entries = #self.entries > 0 and self.entries or EMPTY,
            comment = self.dropped > 0 and ("%d more exchanges are not in it"):format(self.dropped)
                or nil,
        },
    }
end

--- The archive as it is now, as JSON.
---@return string? text, moonwire.Error? err
function methods:text()
    local text, err = json.encode(archive(self))
    if not text then
        return nil, err
    end
    return (text:gsub('"' .. EMPTY:gsub("%p", "%%%0"):gsub("/", "\\/") .. '"', "[]"))
end

-- Into a device or a pipe, or where a link leads to (/dev/stdout is one).
local function write_through(path, text)
    local file, problem = io.open(path, "wb")
    local done = file
    if file then
        done, problem = file:write(text)
        local closed, late = file:close()
        done, problem = done and closed, problem or late
    end
    if not done then
        return nil, errors.new {
            kind = "system", message = ("the archive can't be written: %s"):format(problem),
        }
    end
    return true
end

--- Writes the archive, whole or not at all; its mode is 0600. Only what isn't a regular file (a
--- device, a pipe, a link) is written to as it is.
---@param path string
---@return true? ok, moonwire.Error? err
function methods:save(path)
    errors.check(2, "path", "string", path)
    local text, err = self:text()
    if not text then
        return nil, err
    end
    local kind = core.path_kind(path)
    if kind == "other" or kind == "link" then
        return write_through(path, text .. "\n")
    end
    local done, code = core.replace_file(path, text .. "\n")
    if not done then
        return nil, errors.from_code(code, nil, ("the archive can't be written: %s"):format(path))
    end
    return true
end

--- Records nothing more. Twice is harmless.
function methods:stop()
    for _, off in ipairs(self.offs) do
        off()
    end
    self.offs = {}
end

local har = {}

local KNOWN = { bodies = "boolean", max_body = "number", max_entries = "number", secrets = "table" }

--- Records from now on, until stop().
---@param client moonwire.Client? nil: all clients of this Lua state
---@param opts moonwire.HarOptions?
---@return moonwire.HarRecorder
function har.recorder(client, opts)
    opts = opts or {}
    errors.check(2, "opts", "table", opts)
    local more = {}
    for name, value in each(opts) do
        if not KNOWN[name] then
            error(("unknown option '%s' (known: bodies max_body max_entries secrets)"):format(
                tostring(name)), 2)
        end
        errors.check(2, name, KNOWN[name], value)
    end
    for _, name in ipairs(opts.secrets or {}) do
        more[name:lower()] = true
    end
    local self = setmetatable({
        entries = {}, open = {}, offs = {}, dropped = 0, more = more,
        opts = {
            bodies = opts.bodies, max_body = opts.max_body or BODY_MOST,
            max_entries = opts.max_entries or ENTRIES_MOST,
        },
    }, Recorder)
    for name, listener in each {
        request = add, response = set_response, data = take_piece, finish = finish, error = fail,
    } do
        local function listen(event)
            listener(self, event)
        end
        self.offs[#self.offs + 1] = client and client:on(name, listen) or http.on(name, listen)
    end
    return self
end

return har
