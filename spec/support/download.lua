-- For specs of downloads: a folder of their own, and a server on the mock that has one thing, in
-- versions, and answers as its behaviours say: one for each request, the last one for the rest.

local assert = require "luassert"
local support = require "spec.support"
local world = require "spec.support.mock_client"

local M = {}

local STATUS = { [200] = "OK", [206] = "Partial Content", [416] = "Range Not Satisfiable" }
local DATE = "Date: Sun, 29 Nov 2026 12:00:00 GMT\r\n"

--- Bytes that are nowhere the same.
---@param size integer
---@param seed integer? another one gives others
---@return string
function M.text(size, seed)
    local out = {}
    for i = 1, size / 8 + 1 do
        out[i] = ("%07x "):format((i + (seed or 0) * 65536) % 0x10000000)
    end
    return table.concat(out):sub(1, size)
end

---@class spec.download.Thing
---@field text string
---@field tag string? its ETag; '"v1"' if none is given, false: none
---@field more string? further header lines

---@class spec.download.Behaviour what is not as it should be
---@field thing spec.download.Thing? from now on
---@field cut integer? so many bytes of the body, and then it closes
---@field stall boolean? after those it says nothing
---@field status integer? this one, with an empty body
---@field more string? further header lines, in place of the thing's
---@field range string? Content-Range's value; false: none
---@field ignores_if_range boolean?
---@field ignores_range boolean?
---@field body string? in place of the right one
---@field raw string? the whole answer

local function head_of(status, length, more)
    return ("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n%s%s\r\n"):format(status,
        STATUS[status] or "X", length, DATE, more)
end

local function tag_line(thing)
    return thing.tag ~= false and ("ETag: %s\r\n"):format(thing.tag or '"v1"') or ""
end

-- What a right server says, but for what the behaviour says.
local function answer(thing, head, how)
    local from = tonumber(head:match "\r\nRange: bytes=(%d+)%-\r\n")
    local condition = head:match "\r\nIf%-Range: ([^\r]*)"
    local changed = head:match "" and (thing.more or ""):match "Last%-Modified: ([^\r]*)"
    local more = tag_line(thing) .. (how.more or thing.more or "")
    if how.ignores_range or condition and not how.ignores_if_range
        and condition ~= (thing.tag or thing.tag == nil and '"v1"' or changed) then
        from = nil
    end
    if not from then
        local body = how.body or thing.text
        return head_of(200, #body, more), body
    elseif from >= #thing.text then
        return head_of(416, 0, ("Content-Range: bytes */%d\r\n"):format(#thing.text)), ""
    end
    local body = how.body or thing.text:sub(from + 1)
    local range = how.range
    if range == nil then
        range = ("bytes %d-%d/%d"):format(from, #thing.text - 1, #thing.text)
    end
    return head_of(206, #body, more .. (range and ("Content-Range: %s\r\n"):format(range) or "")),
        body
end

--- What a server does that has a thing.
---@param thing spec.download.Thing
---@param behaviours spec.download.Behaviour[]
---@return function answer for mock_client
function M.serve(thing, behaviours)
    return function(head, number, peer)
        local how = behaviours[math.min(number, #behaviours)] or {}
        thing = how.thing or thing
        if how.raw then
            return how.raw
        elseif how.status then
            return head_of(how.status, 0, how.more or "")
        end
        local reply, body = answer(thing, head, how)
        if not how.cut then
            return reply .. body
        end
        peer:send(reply .. body:sub(1, how.cut))
        if not how.stall then
            peer:close()
        end
    end
end

local folder -- of the spec that runs

--- A path in a folder that is empty when a spec begins.
---@param name string?
---@return string
function M.path(name)
    return folder .. "/" .. (name or "file")
end

function M.read(name)
    local file = io.open(M.path(name), "rb")
    local text = file and file:read "*a"
    if file then
        file:close()
    end
    return text
end

function M.write(name, text)
    local file = assert(io.open(M.path(name), "wb"))
    assert(file:write(text))
    file:close()
end

--- Nothing may be in the folder but these files.
function M.only(...)
    local list = assert(io.popen("cd " .. support.quote(folder) .. " && ls -A | LC_ALL=C sort"))
    local names = list:read "*a"
    list:close()
    assert.equal(table.concat({ ... }, " "), (names:gsub("\n$", ""):gsub("\n", " ")))
end

--- Runs f(client, m, log) beside such a server, in a new folder.
---@param thing spec.download.Thing
---@param behaviours spec.download.Behaviour[]
---@param f function
---@param opts table? of the client
function M.against(thing, behaviours, f, opts)
    folder = support.temp_dir()
    world.with_client(opts, f, M.serve(thing, behaviours))
end

return M
