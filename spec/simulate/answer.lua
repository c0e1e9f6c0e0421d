-- spec/simulate/answer.lua - what the simulated server says to one request: the bytes, what a right
-- client makes of them, and the faults that happen on the way. It sends nothing.

local random = require "spec.simulate.random"

local answer = {}

local STATUSES = { 200, 200, 200, 200, 201, 206, 204, 304, 404, 413, 500, 302 }
local INFORMATIONAL = { 100, 102, 103, 104, 199 }
local CUTS = { "eof", "close", "reset", "discard", "stall" }
local SIZES = { 0, 1, 5, 40, 300, 300, 2000 }
-- What happens on a connection that the server would keep.
local AFTER = {
    "nothing", "nothing", "nothing", "nothing", "nothing", "nothing", "nothing", "blank", "poison",
    "late_poison", "hidden_poison", "eof", "close", "reset", "timeout_408",
}

local function body_size(chance, large)
    if large and chance:chance(0.3) then
        return chance:int(60000, 140000)
    end
    return chance:int(0, chance:pick(SIZES))
end

local function encode_chunked(chance, body, trailer)
    local out = {}
    for _, piece in ipairs(body == "" and {} or chance:cut(body, chance:int(1, 6))) do
        local extension = chance:chance(0.1) and ";a=1;b=\"c\"" or ""
        out[#out + 1] = ("%x%s\r\n%s\r\n"):format(#piece, extension, piece)
    end
    out[#out + 1] = "0\r\n" .. (trailer and "X-End: " .. trailer .. "\r\n" or "") .. "\r\n"
    return table.concat(out)
end

-- The lines that say how long the body is, and the bytes of it.
local function frame(a, chance)
    if a.framing == "length" then
        return ("Content-Length: %d\r\n"):format(#a.body), a.body
    elseif a.framing == "chunked" then
        a.trailer = chance:chance(0.3) and a.tag or nil
        return "Transfer-Encoding: chunked\r\n", encode_chunked(chance, a.body, a.trailer)
    end
    return "", a.body
end

-- Says whether the connection is kept.
local function persistence(a, chance)
    if a.version == "1.0" then
        a.keeps = a.framing ~= "close" and chance:chance(0.5)
        return a.keeps and "Connection: keep-alive\r\n" or ""
    elseif a.framing == "close" or chance:chance(0.12) then
        a.keeps = false
        return (a.framing ~= "close" or chance:chance(0.5)) and "Connection: close\r\n" or ""
    elseif chance:chance(0.15) then
        local seconds, max = chance:int(0, 6), chance:int(1, 4)
        a.keeps = seconds > 1 and max > 1
        return ("Keep-Alive: timeout=%d, max=%d\r\n"):format(seconds, max)
    end
    a.keeps = true
    return ""
end

local function head(a, chance, framing_lines)
    local lines = {
        ("HTTP/%s %d Simulated\r\n"):format(a.version, a.status), "X-Tag: ", a.tag, "\r\n",
        framing_lines, persistence(a, chance),
    }
    if chance:chance(0.1) then
        lines[#lines + 1] = "X-Filler: " .. ("f"):rep(chance:int(1, 400)) .. "\r\n"
    end
    lines[#lines + 1] = "\r\n"
    return table.concat(lines)
end

local function informational(a, chance)
    local out = {}
    a.informational = {}
    while #out < 4 and chance:chance(0.15) do
        local status = chance:pick(INFORMATIONAL)
        a.informational[#out + 1] = status
        out[#out + 1] = ("HTTP/1.1 %d Wait\r\nX-Tag: %s\r\n\r\n"):format(status, a.tag)
    end
    return table.concat(out)
end

-- A response that nobody asked for.
local function poison(tag)
    return "HTTP/1.1 200 Poison\r\nX-Tag: poison." .. tag .. "\r\nContent-Length: 6\r\n\r\npoison"
end

local function choose_cut(a, chance)
    if not chance:chance(0.12) then
        return
    end
    local how = chance:pick(CUTS)
    local at = chance:chance(0.35) and 0 or chance:int(0, #a.wire - 1)
    if a.framing == "close" and (how == "eof" or how == "close") then
        at = chance:int(0, a.head_bytes - 1) -- behind the head it would be the body's end
    end
    a.cut = { how = how, at = at }
end

-- What a server does that is asked before the body is sent.
local function choose_word(a, chance)
    local word = chance:pick { "continue", "continue", "continue", "silent", "final", "unknown" }
    if word == "continue" then
        a.word = ("HTTP/1.1 100 Continue\r\nX-Tag: %s\r\n\r\n"):format(a.tag)
        a.word_delay = chance:seconds(chance:pick { 0.2, 2 })
    elseif word == "final" or word == "unknown" then
        a.at = 0
        a.status = word == "unknown" and 417 or a.status
    end
end

-- When the server begins: with the head, in the middle of the body, or behind the request.
local function choose_moment(a, chance, body_length)
    a.delay = chance:chance(0.4) and chance:seconds(chance:pick { 0.1, 1, 2, 7 }) or 0
    a.at = math.huge
    if body_length > 0 and chance:chance(0.35) then
        a.at = chance:chance(0.5) and 0 or chance:int(1, body_length)
        if chance:chance(0.5) then
            a.status = chance:pick { 200, 413, 400, 503 }
        end
        a.reading = chance:pick { "on", "on", "block", "close" }
    end
end

local function shape(a, chance, request, large)
    a.version = chance:chance(0.1) and "1.0" or "1.1"
    a.framing = chance:pick { "length", "length", "length", "chunked", "chunked", "close" }
    if a.version == "1.0" and a.framing == "chunked" then
        a.framing = "length"
    end
    a.body = random.text(a.tag, body_size(chance, large))
    local lines, bytes = frame(a, chance)
    if request.method == "HEAD" or a.status == 204 or a.status == 304 then
        a.body, bytes, a.trailer = "", "", nil
        lines = a.status == 204 and "" or lines
        a.framing = "none" -- it ends with its head, whatever that says
    end
    return lines, bytes
end

--- The answer to a request that the server has the head of.
---@param chance table of random.new
---@param request table of plan.lua
---@param attempt integer
---@param opts {large: boolean, expects: boolean} bodies may be large; it asks before its body
function answer.new(chance, request, attempt, opts)
    local a = { tag = request.id .. "." .. attempt, status = chance:pick(STATUSES) }
    choose_moment(a, chance, #request.body_text)
    if opts.expects then
        choose_word(a, chance)
    end
    local lines, bytes = shape(a, chance, request, opts.large)
    local first = informational(a, chance)
    if a.word then
        table.insert(a.informational, 1, 100)
    end
    local own = head(a, chance, lines)
    a.head_bytes = #first + #own
    a.wire = first .. own .. bytes
    choose_cut(a, chance)
    a.after = a.keeps and chance:pick(AFTER) or chance:pick { "eof", "eof", "close", "nothing" }
    a.after_delay = chance:chance(0.5) and 0 or chance:seconds(4)
    if a.after:find "poison" then
        a.extra = chance:chance(0.3) and "x" or poison(a.tag)
    elseif a.after == "timeout_408" then
        a.extra = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    elseif a.after == "blank" then
        a.extra = chance:pick { "\r\n", "\r\n\r\n" }
    end
    return a
end

--- How the bytes are cut on their way: a list of pieces, and of seconds to wait.
function answer.pieces(chance, bytes)
    local how = chance:pick { "whole", "whole", "cut", "cut", "bytes" }
    if how == "whole" or #bytes < 2 then
        return { bytes }
    end
    local list = {}
    local most = how == "bytes" and #bytes <= 200 and #bytes * 2 or chance:int(2, 8)
    for _, piece in ipairs(chance:cut(bytes, most)) do
        if most <= 8 and chance:chance(0.25) then
            list[#list + 1] = chance:seconds(chance:pick { 0.01, 0.1, 1, 3 })
        end
        list[#list + 1] = piece
    end
    return list
end

return answer
