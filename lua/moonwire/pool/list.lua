-- pool/list.lua - doubly linked lists whose links are fields of the nodes: every operation is O(1),
-- a node may be in several lists through different fields, and none ever makes garbage. A list is a
-- ring, closed by an end that looks like the nodes: no operation has a case of its own for it, and
-- LuaJIT's traces go the same way wherever a node stands.

local list = {}

---@class moonwire.pool.List
---@field first table? read-only, as the others are
---@field last table?
---@field count integer
---@field private ring table the end

--- Makes the operations for lists that are linked by the fields `before` and `after`.
---@param before string
---@param after string
---@param blank? fun(): table makes a table with the fields of a node, in their order
---@return fun(): moonwire.pool.List new
---@return fun(self: moonwire.pool.List, node: table) append at the end
---@return fun(self: moonwire.pool.List, node: table) remove a node that is in the list
---@return fun(self: moonwire.pool.List, node: table) prepend before the first
function list.linked_by(before, after, blank)
    local List = {
        __index = function(self, key)
            local ring = self.ring
            local node = key == "first" and ring[after] or key == "last" and ring[before]
            return node ~= ring and node or nil
        end,
    }

    local function new()
        local ring = blank and blank() or {}
        ring[before], ring[after] = ring, ring
        return setmetatable({ count = 0, ring = ring }, List)
    end

    local function put(self, node, left, right)
        node[before], node[after] = left, right
        left[after], right[before] = node, node
        self.count = self.count + 1
    end

    local function append(self, node)
        put(self, node, self.ring[before], self.ring)
    end

    local function remove(self, node)
        local left, right = node[before], node[after]
        left[after], right[before] = right, left
        node[before], node[after] = nil, nil
        self.count = self.count - 1
    end

    local function prepend(self, node)
        put(self, node, self.ring, self.ring[after])
    end

    return new, append, remove, prepend
end

return list
