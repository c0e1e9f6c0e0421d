-- trace.lua - reads and replays the golden traces of spec/data/h1: bytes in, events out.  Their
-- README.md tells the format.

local core = require "moonwire.core"
local support = require "spec.support"

local M = {}

local LONG_BODY = 60 -- a longer one is shown as its size
local MANY_FIELDS = 20

local ESCAPES = { r = "\r", n = "\n", t = "\t", ["0"] = "\0", ["\\"] = "\\", s = " " }

--- "\r", "\n", "\t", "\0", "\s" (a space at a line's end), "\\" and "\xNN".
function M.unescape(text)
    return (text:gsub("\\(.)(%x?%x?)", function(letter, rest)
        if letter == "x" then
            return string.char(tonumber(rest, 16))
        end
        return (ESCAPES[letter] or "\\" .. letter) .. rest
    end))
end

--- The opposite, for what the codec gave.
function M.escape(text)
    text = text:gsub("\\", "\\\\"):gsub("\r", "\\r"):gsub("\n", "\\n"):gsub("\t", "\\t")
    return (text:gsub("[%z\1-\31\127-\255]", function(byte)
        return ("\\x%02X"):format(byte:byte())
    end))
end

local readers = {}

function readers.role(trace, rest)
    trace.role = rest
end

function readers.limits(trace, rest)
    for name, value in rest:gmatch "([%w_]+)=(%d+)" do
        trace.limits[name] = tonumber(value)
    end
end

function readers.compat(trace, rest)
    for name in rest:gmatch "[%w_]+" do
        trace.compat[name] = true
    end
end

local function read_message(list)
    return function(trace, rest)
        local words = {}
        for word in rest:gmatch "%S+" do
            words[#words + 1] = word
        end
        table.insert(trace[list], words)
    end
end

readers.request = read_message "requests"
readers.respond = read_message "responses"

readers["in"] = function(trace, rest)
    local times, text = rest:match "^(%d+)x (.*)$"
    local bytes = M.unescape(text or rest)
    local segment = trace.segments[#trace.segments]
    segment[#segment + 1] = times and bytes:rep(tonumber(times)) or bytes
end

-- What follows is sent only once the next request is out.
readers["then"] = function(trace)
    trace.segments[#trace.segments + 1] = {}
end

function readers.eof(trace)
    trace.eof = true
end

function readers.out(trace, rest)
    trace.expected[#trace.expected + 1] = rest
end

--- Every trace there is.
---@return string[] paths
function M.files()
    local folder, files = support.root .. "/spec/data/h1/", {}
    local list = assert(io.popen("ls " .. support.quote(folder)))
    for name in list:lines() do
        if name:match "%.txt$" then
            files[#files + 1] = folder .. name
        end
    end
    list:close()
    return files
end

--- Reads one trace file.
function M.read(path)
    local trace = {
        name = nil, role = nil, limits = {}, compat = {}, requests = {}, responses = {},
        segments = { {} }, expected = {},
    }
    local number = 0
    for line in io.lines(path) do
        number = number + 1
        local comment = line:match "^# ?(.*)$"
        local word, rest = line:match "^(%l+) ?(.*)$"
        if comment then
            trace.name = trace.name or comment
        elseif word and readers[word] then
            readers[word](trace, rest)
        elseif line ~= "" then
            error(("%s:%d: not understood: %s"):format(path, number, line))
        end
    end
    assert(trace.role and #trace.expected > 0, path)
    for i, segment in ipairs(trace.segments) do
        trace.segments[i] = table.concat(segment)
    end
    return trace
end

-- METHOD TARGET [framing] [upgrade=PROTOCOLS] [close]
local function send_request(h1, words)
    local headers = core.headers()
    headers:add("Host", "h")
    local framing, opts = nil, {}
    for i = 3, #words do
        local upgrade = words[i]:match "^upgrade=(.*)$"
        if upgrade then
            opts.upgrade = upgrade
        elseif words[i] == "close" then
            opts.close = true
        else
            framing = words[i]
        end
    end
    local head = core.request_head(words[1], words[2], headers, tonumber(framing) or framing, opts)
    assert(h1:send_request(head))
    if framing == nil or framing == "0" then
        h1:send_end()
    end
    h1:output_sent(#h1:output(math.huge))
end

-- STATUS [framing] [close]
local function respond(h1, words)
    local framing = words[2]
    if framing == "close" then
        framing = nil
    end
    local opts = { close = words[#words] == "close" }
    framing = tonumber(framing) or framing
    local ok, code = h1:send_response(tonumber(words[1]), "", nil, framing, opts)
    if not ok then
        error("send_response: " .. core.error_name(code))
    end
    h1:send_end()
    h1:output_sent(#h1:output(math.huge))
end

local function add_fields(out, headers)
    if headers:count() > MANY_FIELDS then
        out[#out + 1] = ("fields %d"):format(headers:count())
        return
    end
    for name, value in headers:each() do
        out[#out + 1] = ("field %s: %s"):format(name, M.escape(value))
    end
end

local function add_head(out, event, head)
    if head.status then
        local reason = head.reason ~= "" and " " .. M.escape(head.reason) or ""
        out[#out + 1] = ("%s %d%s"):format(event, head.status, reason)
    else
        out[#out + 1] = ("%s %s %s"):format(event, head.method, M.escape(head.target))
    end
    if head.http_version ~= "1.1" then
        out[#out] = out[#out] .. " (" .. head.http_version .. ")"
    end
    add_fields(out, head.headers)
end

local function add_reuse(out, h1)
    local reusable, reason = h1:reusable()
    out[#out + 1] = "reuse " .. (reusable and "yes" or reason)
end

local Replay = {}
Replay.__index = Replay

function Replay:flush_body()
    local body = table.concat(self.body)
    self.body = {}
    if #body > LONG_BODY then
        table.insert(self.out, ("body %d bytes"):format(#body))
    elseif #body > 0 then
        table.insert(self.out, "body " .. M.escape(body))
    end
end

-- A server answers and goes on, as long as the trace has answers.
function Replay:answer()
    self.at = self.at + 1
    local words = self.trace.responses[self.at]
    if not words then
        return false
    end
    respond(self.h1, words)
    local reusable, reason = self.h1:reusable()
    if not reusable then
        return reason == "upgraded"
    end
    self:restart()
    return true
end

-- What came along with a head: its body's bytes, then the event behind them.
function Replay:next_behind()
    local text, event, detail = unpack(self.behind, 1, 3)
    self.behind = nil
    table.insert(self.body, text)
    self.in_body = event == "need_data"
    if event == "end" then
        assert((detail == nil) == (self.h1:trailers() == nil), "other trailers than trailers()")
    end
    return event, detail
end

-- The next event by the call that takes several steps at once.
function Replay:next_joined()
    local h1 = self.h1
    if self.behind then
        return self:next_behind()
    elseif self.in_body then
        local event, data = h1:next(self.max)
        self.in_body = event == "body" or event == "need_data"
        return event, data
    end
    local event, first, second, version, headers, text, behind, detail = h1:next_answer()
    if headers then
        local head = h1:head()
        assert(first == (head.status or head.method) and second == (head.reason or head.target)
            and version == head.http_version and tostring(headers) == tostring(head.headers),
            "another head than head()")
    end
    if event == "head" then
        self.behind = { text, behind, detail }
    end
    return event, first
end

function Replay:next()
    if self.joined then
        return self:next_joined()
    end
    return self.h1:next(self.max)
end

function Replay:restart()
    if not self.joined then
        return assert(self.h1:restart())
    end
    local timeout, max = self.h1:keep_alive()
    local got = { self.h1:finish() }
    assert(got[1] and got[2] == timeout and got[3] == max, "finish gives something else")
end

-- Takes all events that the bytes so far give.  Returns false when nothing more can come.
function Replay:drain()
    local h1 = self.h1
    while true do
        local event, data = self:next()
        if event == "body" then
            table.insert(self.body, data)
        elseif event == "need_data" then
            return true
        else
            self:flush_body()
            if event == "head" or event == "informational" then
                add_head(self.out, event, h1:head())
            elseif event == "end" then
                table.insert(self.out, "end")
                local trailers = h1:trailers()
                if trailers then
                    add_fields(self.out, trailers)
                end
                if self.trace.role == "server" and not self:answer() then
                    return false
                end
            elseif event == "upgraded" then
                table.insert(self.out, "upgraded")
                self.is_upgraded = true
                return false
            else
                table.insert(self.out, "error " .. core.error_name(data))
                assert(select(2, h1:next()) == data, "an error is not sticky")
                assert(h1:error_detail(), "an error without words")
                return false
            end
        end
    end
end

-- Takes what may of a piece past the codec; gives the rest.
function Replay:pass(piece)
    local h1 = self.h1
    local n = math.min(h1:past(), #piece, self.past)
    if n > 0 then
        h1:received_past(n)
        table.insert(self.body, piece:sub(1, n))
    end
    return piece:sub(n + 1)
end

function Replay:feed_piece(piece)
    while #piece > 0 do
        local rest = self:pass(piece)
        if rest == piece then
            self.h1:feed(piece)
            return self:drain()
        elseif not self:drain() then
            return false
        end
        piece = rest
    end
    return true
end

-- Feeds the segments, each in its pieces; returns the bytes that an upgrade has left unread.
function Replay:feed(segments)
    local h1, rest, goes_on = self.h1, {}, true
    for i, pieces in ipairs(segments) do
        if i > 1 and goes_on then
            self:restart()
            send_request(h1, self.trace.requests[i])
        end
        for _, piece in ipairs(pieces) do
            if goes_on then
                goes_on = self:feed_piece(piece)
            else
                rest[#rest + 1] = piece
            end
        end
    end
    if goes_on and self.trace.eof then
        h1:feed_eof()
        self:drain()
    end
    return h1:leftover() .. table.concat(rest)
end

--- Replays a trace whose segments come in these pieces.
---@param segments string[][]
---@param max? integer body bytes taken at once
---@param joined? boolean by the calls that take several steps at once
---@param past? integer so many bytes of a body at once go past the codec, where they may
---@param h1? moonwire.core.H1 the codec; a new one if none is given
---@return string[] events
---@return moonwire.core.H1
function M.replay(trace, segments, max, joined, past, h1)
    h1 = h1 or core.h1(trace.role, trace.limits, trace.compat)
    local self = setmetatable({
        trace = trace, h1 = h1, out = {}, body = {}, at = 0, max = max, joined = joined,
        past = past or 0,
    }, Replay)
    if trace.role == "client" and trace.requests[1] then
        send_request(h1, trace.requests[1])
    end
    local rest = self:feed(segments)
    self:flush_body()
    if self.is_upgraded then
        table.insert(self.out, "leftover " .. M.escape(rest))
    end
    add_reuse(self.out, h1)
    return self.out, h1
end

local function bytes_of(text)
    local bytes = {}
    for i = 1, #text do
        bytes[i] = text:sub(i, i)
    end
    return bytes
end

local function cut_one(trace, number, cut)
    local segments = {}
    for i, segment in ipairs(trace.segments) do
        segments[i] = i == number and { segment:sub(1, cut), segment:sub(cut + 1) } or { segment }
    end
    return segments
end

--- All the ways in which a trace is cut: whole, byte by byte, and in two at every place (where it
--- is long: every place near the ends, and some between).
---@return fun(): string?, string[][]?
function M.cuts(trace)
    return coroutine.wrap(function()
        local whole, bytes = {}, {}
        for i, segment in ipairs(trace.segments) do
            whole[i], bytes[i] = { segment }, bytes_of(segment)
        end
        coroutine.yield("whole", whole)
        coroutine.yield("byte by byte", bytes)
        for number, segment in ipairs(trace.segments) do
            local step = math.max(1, math.floor(#segment / 200))
            for cut = 1, #segment - 1 do
                if cut <= 300 or cut > #segment - 300 or cut % step == 0 then
                    coroutine.yield("cut at byte " .. cut, cut_one(trace, number, cut))
                end
            end
        end
    end)
end

return M
