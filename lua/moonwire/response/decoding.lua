-- response/decoding.lua - takes the content codings off a response's body while that is read. It
-- never reads more of the body than its reader asks for.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local failure = require "moonwire.connection.failure"

local PIECE = 32 * 1024 -- as of a body that isn't coded: see connection/receiver.lua
local MOST = 2 -- codings one upon the other
local RATIO = 200 -- bytes that one may stand for, in a body that is kept as a whole
local RATIO_FROM = 1024 * 1024 -- bytes that any body may have

local CODINGS = { gzip = "gzip", ["x-gzip"] = "gzip", deflate = "deflate", br = "br",
    zstd = "zstd" }

---@class moonwire.response.Decoder
---@field coding moonwire.core.Coding
---@field name string what the head says, for messages
---@field ended boolean

local M = {}

-- The codings of all lines together, in the order in which they were put on. Nil where one of them
-- is unknown: then the body stays as it is, which is what its head says.
local function list_codings(head)
    local list, known = {}, true
    for _, line in ipairs(head:get_all "content-encoding") do
        for word in line:gmatch "[^%s,]+" do
            local name = word:lower()
            if name ~= "identity" then
                list[#list + 1] = CODINGS[name] or name
                known = known and CODINGS[name] ~= nil
            end
        end
    end
    if #list > MOST then
        return list
    end
    return known and #list > 0 and list or nil
end

-- A part of a coded body (206) can't be decoded by itself.
local function has_body(response, data)
    local status = response.status
    return data.method ~= "HEAD" and status ~= 204 and status ~= 206 and status ~= 304
end

--- The codings that are to be taken off a response's body: nil for none, and then
--- `facts.plain` is its head, so that the next one with the same head needs no look.
---@param response moonwire.Response
---@return string[]? codings
function M.codings(response)
    local facts, head = response.facts, response.head
    if facts.plain == head then
        return nil
    end
    local list = facts.data.decompress and head:has "content-encoding"
        and has_body(response, facts.data) and list_codings(head)
    if not list then
        facts.plain = head
    end
    return list or nil
end

--- Whether so many bytes are more than `limit`. Coded ones may be some more than those they stand
--- for, which are counted when they are read.
---@param response moonwire.Response
---@param received integer as they came
---@param limit integer
---@return boolean
function M.came_too_much(response, received, limit)
    return received > limit
        and (received > limit + limit / 8 + 1024 or not M.codings(response))
end

--- The head as it is for the reader of the decoded body.
---@param response moonwire.Response
---@return moonwire.core.Headers a copy
function M.headers(response)
    local headers = response.head:copy()
    local codings = M.codings(response)
    if codings and #codings <= MOST then
        headers:remove "content-encoding"
        headers:remove "content-length"
    end
    return headers
end

--- The decoder of a response, made when it is first asked for; nil: its body stays as it is.
---@param response moonwire.Response
---@return moonwire.response.Decoder? decoder
---@return moonwire.Error? err why its body can't be read
function M.decoder(response)
    if response.decoder then
        return response.decoder
    end
    local list = M.codings(response)
    if not list then
        return nil
    elseif #list > MOST then
        return nil, errors.new {
            kind = "limit", phase = "body", code = "ECODING_LIMIT",
            message = ("the body has %d content codings one upon the other, and %d is the most "
                .. "(decompress = false gives it as it is)"):format(#list, MOST),
        }
    end
    local coding, code = core.decoder(unpack(list))
    if not coding then
        return nil, errors.from_code(code, "body", "decoding the body")
    end
    response.decoder = { coding = coding, name = table.concat(list, ", "), ended = false }
    return response.decoder
end

--- No more is to be read through it.
---@param response moonwire.Response
function M.stop(response)
    local decoder = response.facts.plain ~= response.head and response.decoder
    if decoder and not decoder.ended then
        decoder.ended = true
        decoder.coding:close()
    end
end

local MESSAGES = {
    ECODING = "the body isn't valid %s, although its Content-Encoding says so",
    ECODING_TRUNCATED = "the body ends in the middle of its %s data",
    ECODING_LIMIT = "decoding the body's %s would take more than a body may: too large a window, "
        .. "or too much made of too little",
}

local function failure_of(decoder, code)
    local err = errors.from_code(code, "body", "decoding the body")
    local message = MESSAGES[err.code]
    err.message = message and message:format(decoder.name) or err.message
    return err
end

-- Behind the coded bytes: what follows them belongs to nothing.
local function drain(response, next_raw)
    local raw, err
    repeat
        raw, err = next_raw(response)
    until not raw
    return nil, err
end

--- The next decoded bytes, at most `max`.
---@param response moonwire.Response
---@param decoder moonwire.response.Decoder
---@param next_raw fun(response: moonwire.Response): string?, moonwire.Error? the body's bytes as
---  they came
---@param max integer?
---@return string? bytes nil: the end, or failure
---@return moonwire.Error? err
---@return boolean? ours it isn't the exchange that failed
function M.read(response, decoder, next_raw, max)
    local coding, limit = decoder.coding, response.facts.max_body
    if decoder.ended then
        return nil
    end
    while true do
        local event, data = coding:next(max or PIECE)
        if event == "need_data" then
            local raw, err = next_raw(response)
            if decoder.ended then -- by somebody who has closed the response meanwhile
                return nil, response.failure
            elseif raw then
                coding:feed(raw)
            elseif err then
                M.stop(response)
                return nil, err
            else
                coding:feed_eof()
            end
        elseif event == "end" then
            M.stop(response)
            return drain(response, next_raw)
        elseif not event then
            M.stop(response)
            return nil, failure_of(decoder, data), true
        else
            local _, made = coding:bytes()
            if limit and made > limit then
                M.stop(response)
                return nil, failure.too_large(limit), true
            end
            return data
        end
    end
end

--- For readers that keep the whole body: it has become much more than came.
---@param response moonwire.Response
---@return moonwire.Error? err
function M.check_ratio(response)
    local decoder = response.decoder
    if not decoder or decoder.ended then
        return nil
    end
    local came, made = decoder.coding:bytes()
    if made <= RATIO_FROM or made <= came * RATIO then
        return nil
    end
    return errors.new {
        kind = "limit", phase = "body", code = "ECODING_LIMIT",
        message = ("the body's %d bytes of %s have become %d, more than %d for each: read it "
            .. "with read(), chunks(), lines() or save()"):format(came, decoder.name, made, RATIO),
    }
end

return M
