-- cache.lua - a private cache for a client's responses: in memory, or in a folder. It keeps what it
-- is given and finds it again; what may be kept, and used, client/cache.lua decides.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local fields = require "moonwire.cache.fields"
local store_folder = require "moonwire.cache.store_folder"
local store_memory = require "moonwire.cache.store_memory"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local MIB = 1024 * 1024
local MEMORY_MOST, FOLDER_MOST = 32 * MIB, 256 * MIB -- bytes
local ENTRY_PART = 8 -- one response has that part of all at most ...
local ENTRY_MOST = 16 * MIB -- ... and so many bytes, which are in memory while they come

-- One reader's responses are nobody else's, whatever the server says.
local ALWAYS = { "authorization", "cookie" }

---@class moonwire.Cache
---@field max_entry integer
---@field private store moonwire.cache.Store
---@field private open table<moonwire.cache.Ticket, true> of exchanges under way
---@field private numbers table<string, integer>
local methods = {}
local Cache = { __index = methods, __name = "moonwire.Cache" }

--- Of an exchange whose response may be kept: void once its URL was changed meanwhile.
---@class moonwire.cache.Ticket
---@field url string
---@field void boolean

local M = {}

local function hash(...)
    local parts = { ... }
    for i, part in ipairs(parts) do
        parts[i] = #part .. ":" .. part
    end
    return assert(core.digest("SHA-256", table.concat(parts))):finish()
end

local function page_id(url)
    return hash("page", url)
end

local function page_of(self, url)
    local page = self.store:get(page_id(url))
    return page and page.mark and page.url == url and page or nil
end

-- The name of what answers a request: its URL, and what it says in the fields that count.
local function entry_id(page, headers)
    local parts = {}
    for _, names in ipairs { ALWAYS, page.names } do
        for _, name in ipairs(names) do
            local said = fields.said(headers, name)
            parts[#parts + 1] = name
            parts[#parts + 1] = said and "=" .. said or ""
        end
    end
    return hash("response", page.url, page.mark, unpack(parts))
end

--- What is kept for a request; it isn't changed by anybody.
---@package
---@param url string
---@param headers moonwire.core.Headers of the request
---@return moonwire.cache.Entry?
function methods:find(url, headers)
    local page = page_of(self, url)
    local entry = page and self.store:get(entry_id(page, headers))
    return entry and entry.headers and entry.url == url and entry or nil
end

-- What the responses of a URL differ by. Who doesn't ask for codings gets none, also where the
-- server has forgotten to say Vary.
local function names_of(headers)
    local names = fields.vary(headers)
    if names and headers:has "content-encoding" then
        for _, name in ipairs(names) do
            if name == "accept-encoding" then
                return names
            end
        end
        names[#names + 1] = "accept-encoding"
    end
    return names
end

--- Keeps what answers a request, of max_entry bytes at most, if there is room for it.
---@package
---@param entry moonwire.cache.Entry
---@param headers moonwire.core.Headers of the request
function methods:keep(entry, headers)
    local names = names_of(entry.headers)
    if not names then
        return
    end
    local old = page_of(self, entry.url)
    local page = {
        url = entry.url, names = names, mark = old and old.mark or core.random_bytes(16),
    }
    if self.store:put(entry_id(page, headers), entry) and self.store:put(page_id(page.url), page)
    then
        self:note "stored"
    end
end

--- Forgets what answers one request.
---@package
---@param url string
---@param headers moonwire.core.Headers of the request
function methods:drop(url, headers)
    local page = page_of(self, url)
    if page then
        self.store:remove(entry_id(page, headers))
    end
end

--- Forgets all responses of a URL; those under way are not kept either.
---@package
---@param url string
function methods:invalidate(url)
    self.store:remove(page_id(url))
    for ticket in each(self.open) do
        ticket.void = ticket.void or ticket.url == url
    end
end

--- For an exchange that begins.
---@package
---@param url string
---@return moonwire.cache.Ticket
function methods:ticket(url)
    local ticket = { url = url, void = false }
    self.open[ticket] = true
    return ticket
end

--- Counts what happened.
---@package
---@param what string
function methods:note(what)
    self.numbers[what] = self.numbers[what] + 1
end

--- Numbers: requests answered from the cache (`hits`; of these `stale`), after a 304
--- (`revalidated`), and by the server (`misses`); `stored`; and of now `count` and `bytes`, with a
--- record of its own for each URL; `evicted` to make room, and `failed`: could not be written.
---@return table<string, integer>
function methods:stats()
    local store = self.store
    store:recount()
    local stats = {
        count = store.count, bytes = store.bytes, evicted = store.evicted, failed = store.failed,
    }
    for name, number in each(self.numbers) do
        stats[name] = number
    end
    return stats
end

--- Forgets everything.
function methods:clear()
    self.store:clear()
    for ticket in each(self.open) do
        ticket.void = true
    end
end

local function check_bytes(name, value, default, level)
    if value == nil then
        return default
    elseif type(value) ~= "number" or value < 1 or value % 1 ~= 0 then
        errors.argument(level + 1, name, "whole number of bytes from 1", value)
    end
    return value
end

local function sizes_of(opts, default, level)
    if opts == nil then
        opts = {}
    end
    errors.check(level + 1, "opts", "table", opts)
    for name in each(opts) do
        if name ~= "max_bytes" and name ~= "max_entry" then
            error(("unknown option '%s' (known: max_bytes max_entry)"):format(tostring(name)),
                level + 1)
        end
    end
    local max_bytes = check_bytes("max_bytes", opts.max_bytes, default, level + 1)
    local part = math.min(ENTRY_MOST, math.ceil(max_bytes / ENTRY_PART))
    return max_bytes, check_bytes("max_entry", opts.max_entry, part, level + 1)
end

local function new(store, max_entry)
    return setmetatable({
        store = store, max_entry = max_entry, open = setmetatable({}, { __mode = "k" }),
        numbers = { hits = 0, stale = 0, revalidated = 0, misses = 0, stored = 0 },
    }, Cache)
end

--- Whether a value is a cache.
---@param value any
---@return boolean
function M.is(value)
    return getmetatable(value) == Cache
end

---@class moonwire.CacheOptions
---@field max_bytes integer? of all that is kept: 32 MiB in memory, 256 MiB in a folder
---@field max_entry integer? of one body: an eighth of that, 16 MiB at most, if not given

--- Makes a cache in memory. What was used longest ago makes room.
---@param opts moonwire.CacheOptions?
---@return moonwire.Cache
function M.memory(opts)
    local max_bytes, max_entry = sizes_of(opts, MEMORY_MOST, 2)
    return new(store_memory.new(max_bytes), max_entry)
end

--- Makes a cache in a folder, or opens it: it lasts longer than the process, and several processes
--- may use it at once. What was written longest ago makes room.
---@param path string it is made where there is none; it has to be the user's own
---@param opts moonwire.CacheOptions?
---@return moonwire.Cache? cache, moonwire.Error? err
function M.folder(path, opts)
    errors.check(2, "path", "string", path)
    if path == "" or path:find "%z" then
        errors.argument(2, "path", "path of a folder", path)
    end
    local max_bytes, max_entry = sizes_of(opts, FOLDER_MOST, 2)
    local store, err = store_folder.open(path, max_bytes)
    if not store then
        return nil, err
    end
    return new(store, max_entry)
end

return M
