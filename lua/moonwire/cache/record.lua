-- cache/record.lua - what a store keeps, to bytes and back: a response, or the page of a URL, which
-- says what its responses differ by. It opens no file, and takes no byte on trust.

local core = require "moonwire.core"

local record = {}

local MAGIC = "moonwire cache 1\n"
local HASH = 64 -- hexadecimal digits of SHA-256
local FIELDS_MOST = 1024 -- of one record

--- The page of a URL.
---@class moonwire.cache.Page
---@field url string
---@field names string[] of the request's fields that its responses differ by
---@field mark string of all its responses; another one makes them strangers

---@alias moonwire.cache.Record moonwire.cache.Page|moonwire.cache.Entry

local function hash(text)
    return assert(core.digest("SHA-256", text)):finish()
end

local function add(list, text)
    list[#list + 1] = #text .. ":"
    list[#list + 1] = text
end

local function fields_of(value)
    if value.mark then
        return { "page", value.url, value.mark, unpack(value.names) }
    end
    local list = {
        "response", value.url, tostring(value.status), value.reason, value.http_version,
        ("%.6f"):format(value.asked), ("%.6f"):format(value.answered),
    }
    for name, text in value.headers:each() do
        list[#list + 1] = name
        list[#list + 1] = text
    end
    return list
end

--- The bytes that stand for a record.
---@param value moonwire.cache.Record
---@return string
function record.encode(value)
    local fields, list = fields_of(value), {}
    add(list, tostring(#fields))
    for _, text in ipairs(fields) do
        add(list, text)
    end
    list[#list + 1] = value.body or ""
    local text = table.concat(list)
    return MAGIC .. hash(text) .. "\n" .. text
end

-- The text that begins there with its length; nil where none does.
local function take(text, at)
    local digits, from = text:match("^(%d+):()", at)
    local length = digits and #digits < 10 and tonumber(digits)
    if not length or from + length - 1 > #text then
        return nil
    end
    return text:sub(from, from + length - 1), from + length
end

local function page_of(fields)
    local page = { url = fields[2], mark = fields[3], names = {} }
    for i = 4, #fields do
        page.names[i - 3] = fields[i]
    end
    return page.url and page.mark and page
end

local function entry_of(fields, body)
    local status, asked, answered = tonumber(fields[3]), tonumber(fields[6]), tonumber(fields[7])
    if #fields % 2 == 0 or not (status and asked and answered) or status < 200 or status > 599
        or status % 1 ~= 0 then
        return nil
    end
    local headers = core.headers()
    for i = 8, #fields, 2 do
        if not pcall(headers.add, headers, fields[i], fields[i + 1]) then
            return nil
        end
    end
    return {
        url = fields[2], status = status, reason = fields[4], http_version = fields[5],
        headers = headers, body = body, asked = asked, answered = answered,
    }
end

--- The record that bytes stand for.
---@param text string
---@return moonwire.cache.Record? value nil: these are no such bytes, or not all of them
function record.decode(text)
    local start = #MAGIC + HASH + 1
    if text:sub(1, #MAGIC) ~= MAGIC or text:sub(start, start) ~= "\n" then
        return nil
    end
    local rest = text:sub(start + 1)
    if hash(rest) ~= text:sub(#MAGIC + 1, start - 1) then
        return nil
    end
    local count, at = take(rest, 1)
    count = count and tonumber(count)
    if not count or count > FIELDS_MOST then
        return nil
    end
    local fields = {}
    for i = 1, count do
        fields[i], at = take(rest, at)
        if not at then
            return nil
        end
    end
    if fields[1] == "page" then
        return page_of(fields) or nil
    elseif fields[1] == "response" then
        return entry_of(fields, rest:sub(at))
    end
    return nil
end

--- About how many bytes a record takes in memory.
---@param value moonwire.cache.Record
---@return integer
function record.size(value)
    local size = 512 + #value.url + #(value.body or "")
    if value.headers then
        for name, text in value.headers:each() do
            size = size + #name + #text + 32
        end
    end
    return size
end

return record
