-- send_trace.lua - reads and replays the traces of spec/data/h1/send: what is to be sent, and the
-- bytes or the refusal that comes of it. Their README.md tells the format.

local assert = require "luassert"

local core = require "moonwire.core"
local support = require "spec.support"
local trace_of = require "spec.support.trace"

local M = {}

local FOLDER = "/spec/data/h1/send/"

--- Every trace there is.
---@return string[] paths
function M.files()
    local folder, files = support.root .. FOLDER, {}
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
    local trace = { name = nil, lines = {} }
    for line in io.lines(path) do
        local comment = line:match "^# ?(.*)$"
        local word, rest = line:match "^(%l+) ?(.*)$"
        if comment then
            trace.name = trace.name or comment
        elseif word then
            table.insert(trace.lines, { word, trace_of.unescape(rest) })
        elseif line ~= "" then
            error(path .. ": not understood: " .. line)
        end
    end
    return trace
end

-- A run: the codec, and what the next head is made of.
local Run = {}
Run.__index = Run

-- Takes what is to be sent, at most `step` bytes at once.
function Run:take()
    while self.h1:has_output() do
        local past = math.min(self.h1:output_past(), self.step)
        if past > 0 then
            self.h1:output_sent(past)
            table.insert(self.sent, self.past:sub(1, past))
            self.past = self.past:sub(past + 1)
        end
        local bytes = self.h1:output(self.step)
        self.h1:output_sent(#bytes)
        table.insert(self.sent, bytes)
    end
end

-- The outcome of a call, as a trace words it.
local function outcome(ok, result, code)
    if not ok then
        return "raises " .. tostring(result):gsub("^[^:]+:%d+: ", "")
    elseif code then
        return "error " .. core.error_name(code)
    end
end

function Run:call(f, ...)
    self.said = outcome(pcall(f, ...))
    self:take()
end

local words = {}

-- METHOD TARGET; both may have any bytes but a space.
function words:request(rest)
    self.method, self.target = rest:match "^(%S*) ?(.*)$"
end

function words:method(rest)
    self.method = rest
end

function words:target(rest)
    self.target = rest
end

-- Not in bytes of headers(), which knows only what is right.
function words:field(rest)
    local name, value = rest:match "^([^:]*): ?(.*)$"
    self:call(self.headers.add, self.headers, name, value)
end

-- Field names that hold a colon.
function words:name(rest)
    self:call(self.headers.add, self.headers, rest, "x")
end

function words:framing(rest)
    self.framing = tonumber(rest) or rest
end

function words:option(rest)
    local name, value = rest:match "^(%l+) ?(.*)$"
    self.options[name] = value == "" or value
end

-- What has been said so far becomes a head and is sent.
function words:send(rest)
    if rest == "" then
        self:call(function()
            local head = core.request_head(self.method, self.target, self.headers, self.framing,
                self.options)
            return self.h1:send_request(head)
        end)
    else
        local status, reason = rest:match "^(%d+) ?(.*)$"
        self:call(self.h1.send_response, self.h1, tonumber(status), reason, self.headers,
            self.framing, self.options)
    end
    self.headers = core.headers()
end

-- A server's codec reads a request.
function words:reads(rest)
    self.h1 = core.h1 "server"
    self.h1:feed(rest)
    assert(self.h1:next())
end

function words:body(rest)
    self:call(self.h1.send_body, self.h1, rest)
end

-- The same for bytes that the codec doesn't see.
function words:past(rest)
    self.past = rest
    self:call(self.h1.send_past, self.h1, #rest)
end

words["end"] = function(self)
    self:call(self.h1.send_end, self.h1, self.headers:count() > 0 and self.headers or nil)
    self.headers = core.headers()
end

function words:abort()
    self:call(self.h1.send_abort, self.h1)
end

function words:reuse()
    local reusable, why = self.h1:reusable()
    self.said = reusable and "yes" or why
end

-- What the last call said: "ok", "error CODE" or "raises" and a part of the message.
function words:says(rest)
    local said = self.said or "ok"
    if rest:match "^raises " then
        assert(said:find(rest, 1, true), ("%s\nexpected: %s"):format(said, rest))
    else
        assert.equal(rest, said)
    end
    self.said = nil
end

-- All bytes since the last time.
function words:sent(rest)
    assert.equal(trace_of.escape(rest), trace_of.escape(table.concat(self.sent)))
    self.sent = {}
end

--- Replays a trace; raises where it isn't kept. A failure that it does not mention is one too.
---@param trace table
---@param step integer how many bytes are sent at once
function M.replay(trace, step)
    local self = setmetatable({
        h1 = core.h1 "client", headers = core.headers(), options = {}, sent = {}, step = step,
    }, Run)
    for _, line in ipairs(trace.lines) do
        local word, rest = line[1], line[2]
        if word ~= "says" and self.said then
            error(("before %s %s: %s"):format(word, rest, self.said))
        end
        assert(words[word], word)(self, rest)
    end
    assert(not self.said, self.said)
end

return M
