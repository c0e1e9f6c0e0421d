-- pool/list.lua - doubly linked lists whose links are fields of the nodes: every operation is O(1),
-- a node may be in several lists through different fields, and none ever makes garbage.

local list = {}

---@class moonwire.pool.List
---@field first table?
---@field last table?
---@field count integer

---@return moonwire.pool.List
function list.new()
    return { first = nil, last = nil, count = 0 }
end

--- Makes the operations for lists that are linked by the fields `before` and `after`.
---@param before string
---@param after string
---@return fun(self: moonwire.pool.List, node: table) append at the end
---@return fun(self: moonwire.pool.List, node: table) remove a node that is in the list
---@return fun(self: moonwire.pool.List, node: table) prepend before the first
function list.linked_by(before, after)
    local function append(self, node)
        local last = self.last
        node[before] = last
        node[after] = nil
        if last then
            last[after] = node
        else
            self.first = node
        end
        self.last = node
        self.count = self.count + 1
    end

    local function remove(self, node)
        local left, right = node[before], node[after]
        if left then
            left[after] = right
        else
            self.first = right
        end
        if right then
            right[before] = left
        else
            self.last = left
        end
        node[before], node[after] = nil, nil
        self.count = self.count - 1
    end

    local function prepend(self, node)
        local first = self.first
        node[before] = nil
        node[after] = first
        if first then
            first[before] = node
        else
            self.last = node
        end
        self.first = node
        self.count = self.count + 1
    end

    return append, remove, prepend
end

return list
