-- cache/store_memory.lua - keeps records in memory; those that nobody has asked for longest go
-- first. It doesn't know what they are for.

local records = require "moonwire.cache.record"

---@class moonwire.cache.Store
---@field get fun(self, id: string): moonwire.cache.Record?
---@field put fun(self, id: string, value: moonwire.cache.Record): boolean kept
---@field remove fun(self, id: string)
---@field clear fun(self)
---@field count integer records
---@field bytes integer of all of them
---@field evicted integer that had to make room
---@field failed integer that could not be written
---@field recount fun(self) brings count and bytes up to date

-- A node of the list of all, from the one that was used last to the one used longest ago; the list
-- itself is the node between its ends.
---@class moonwire.cache.Node
---@field id string
---@field value moonwire.cache.Record
---@field size integer
---@field newer moonwire.cache.Node
---@field older moonwire.cache.Node

---@class moonwire.cache.MemoryStore: moonwire.cache.Store
---@field private max_bytes integer
---@field private nodes table<string, moonwire.cache.Node>
---@field private list moonwire.cache.Node
local methods = {}
local MemoryStore = { __index = methods, __name = "moonwire.cache.MemoryStore" }

local function unlink(node)
    node.newer.older, node.older.newer = node.older, node.newer
end

local function link_newest(list, node)
    node.newer, node.older = list, list.older
    list.older.newer = node
    list.older = node
end

local function drop(self, node)
    unlink(node)
    self.nodes[node.id] = nil
    self.count, self.bytes = self.count - 1, self.bytes - node.size
end

function methods:get(id)
    local node = self.nodes[id]
    if not node then
        return nil
    end
    unlink(node)
    link_newest(self.list, node)
    return node.value
end

function methods:put(id, value)
    local size, old = records.size(value), self.nodes[id]
    if old then
        drop(self, old)
    end
    if size > self.max_bytes then
        return false
    end
    while self.bytes + size > self.max_bytes do
        drop(self, self.list.newer)
        self.evicted = self.evicted + 1
    end
    local node = { id = id, value = value, size = size }
    link_newest(self.list, node)
    self.nodes[id] = node
    self.count, self.bytes = self.count + 1, self.bytes + size
    return true
end

function methods:remove(id)
    local node = self.nodes[id]
    if node then
        drop(self, node)
    end
end

function methods:clear()
    self.nodes, self.count, self.bytes = {}, 0, 0
    self.list.newer, self.list.older = self.list, self.list
end

--- It has counted all along.
function methods:recount() -- luacheck: ignore 212
end

local store_memory = {}

--- Makes an empty store.
---@param max_bytes integer
---@return moonwire.cache.MemoryStore
function store_memory.new(max_bytes)
    local list = {}
    list.newer, list.older = list, list
    return setmetatable({
        max_bytes = max_bytes, nodes = {}, list = list, count = 0, bytes = 0, evicted = 0,
        failed = 0,
    }, MemoryStore)
end

return store_memory
