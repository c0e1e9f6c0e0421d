-- cache/store_folder.lua - keeps records in a folder, a file for each, which other processes may
-- use at the same time; those that were written longest ago go first. It touches no file there but
-- those with names like its own, and trusts none.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local records = require "moonwire.cache.record"

local BLOCK = 4096 -- bytes: a file takes whole blocks of the disk
local LOW = 0.9 -- of max_bytes: what is left when room was made
local LOOK_AFTER = 1 / 8 -- of max_bytes written: others have written as well by then
local FORGOTTEN = 3600 -- seconds after which a file that was never finished is nobody's

---@class moonwire.cache.FolderStore: moonwire.cache.Store
---@field private path string
---@field private max_bytes integer
---@field private written integer bytes since it was looked through
local methods = {}
local FolderStore = { __index = methods, __name = "moonwire.cache.FolderStore" }

local function hex(bytes)
    return (bytes:gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end))
end

local function is_record(name)
    return #name == 64 and name:find "^%x+$" ~= nil
end

local function is_unfinished(name)
    return name:find "^new%-%x+$" ~= nil
end

local function on_disk(size)
    return math.ceil(size / BLOCK) * BLOCK
end

-- The files that are ours: { name, size, changed } each; the oldest first.
local function look_through(self)
    local list = {}
    local folder = core.folder(self.path)
    if not folder then
        return list
    end
    while true do
        local name, size, changed = folder:next()
        if not name then
            break
        end
        if is_record(name) then
            list[#list + 1] = { name = name, size = on_disk(size), changed = changed }
        elseif is_unfinished(name) and changed < os.time() - FORGOTTEN then
            os.remove(self.path .. "/" .. name)
        end
    end
    folder:close()
    table.sort(list, function(a, b)
        return a.changed < b.changed
    end)
    return list
end

--- Counts what is there, and removes the oldest until it fits.
function methods:recount()
    local list, bytes = look_through(self), 0
    for _, file in ipairs(list) do
        bytes = bytes + file.size
    end
    local limit = bytes > self.max_bytes and self.max_bytes * LOW or self.max_bytes
    local gone = 0
    while bytes > limit do
        gone = gone + 1
        os.remove(self.path .. "/" .. list[gone].name)
        bytes = bytes - list[gone].size
    end
    self.evicted = self.evicted + gone
    self.count, self.bytes, self.written = #list - gone, bytes, 0
end

function methods:get(id)
    local path = self.path .. "/" .. id
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local size = file:seek "end"
    local text = size and size <= self.max_bytes and file:seek "set" and file:read(size)
    file:close()
    local value = text and records.decode(text) or nil
    if not value then
        os.remove(path)
    end
    return value
end

-- Writes a file beside the others, which takes its name once it is whole.
local function write(self, id, text)
    local name = self.path .. "/new-" .. hex(core.random_bytes(16))
    local file = io.open(name, "wbx")
    if not file then
        return false
    end
    local ok = file:write(text)
    ok = file:close() and ok
    ok = ok and os.rename(name, self.path .. "/" .. id)
    if not ok then
        os.remove(name)
    end
    return ok and true or false
end

function methods:put(id, value)
    local text = records.encode(value)
    local size = on_disk(#text)
    if size > self.max_bytes then
        return false
    elseif not write(self, id, text) then
        self.failed = self.failed + 1
        return false
    end
    self.count, self.bytes, self.written = self.count + 1, self.bytes + size, self.written + size
    if self.bytes > self.max_bytes or self.written > self.max_bytes * LOOK_AFTER then
        self:recount()
    end
    return true
end

function methods:remove(id)
    os.remove(self.path .. "/" .. id)
end

function methods:clear()
    for _, file in ipairs(look_through(self)) do
        os.remove(self.path .. "/" .. file.name)
    end
    self.count, self.bytes, self.written = 0, 0, 0
end

local store_folder = {}

--- Opens a folder, which is made, for its owner alone, where there is none.
---@param path string
---@param max_bytes integer
---@return moonwire.cache.FolderStore? store
---@return moonwire.Error? err
function store_folder.open(path, max_bytes)
    local ok, code = core.make_folder(path)
    local folder
    if ok then
        folder, code = core.folder(path)
    end
    if not folder then
        return nil, errors.from_code(code, nil, ("the cache can't use the folder %s"):format(path))
    end
    folder:close()
    local self = setmetatable({
        path = path, max_bytes = max_bytes, count = 0, bytes = 0, evicted = 0, failed = 0,
        written = 0,
    }, FolderStore)
    self:recount()
    return self
end

return store_folder
