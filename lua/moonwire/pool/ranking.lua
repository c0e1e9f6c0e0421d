-- pool/ranking.lua - which origin's first waiter is the oldest: a binary heap of the origins that
-- only the total limit holds up. Reading is O(1), a change O(log of those origins).
--
-- It is empty unless max_total is reached and somebody waits for that: no check-out that finds an
-- idle connection and no return that nobody waits for comes here. A plain list would be O(1) for
-- those who wait as well, but it could not put an origin back into its place when its own limit, or
-- a waiter that gave up, has kept it out: the oldest would not be the next any more.

local ranking = {}

---@class moonwire.pool.Ranking
---@field private heap moonwire.pool.Origin[]
local methods = {}
local Ranking = { __index = methods, __name = "moonwire.pool.Ranking" }

---@return moonwire.pool.Ranking
function ranking.new()
    return setmetatable({ heap = {} }, Ranking)
end

local function age(origin)
    return origin.waiters.first.number
end

local function place(heap, index, origin)
    heap[index] = origin
    origin.rank = index
end

-- Moves an origin towards the front while it is older than what stands before it.
local function rise(heap, index, origin)
    while index > 1 do
        local parent = math.floor(index / 2)
        if age(heap[parent]) < age(origin) then
            break
        end
        place(heap, index, heap[parent])
        index = parent
    end
    place(heap, index, origin)
end

local function sink(heap, index, origin)
    local size = #heap
    while true do
        local child = index * 2
        if child > size then
            break
        end
        if child < size and age(heap[child + 1]) < age(heap[child]) then
            child = child + 1
        end
        if age(origin) < age(heap[child]) then
            break
        end
        place(heap, index, heap[child])
        index = child
    end
    place(heap, index, origin)
end

--- The origin whose first waiter is the oldest.
---@return moonwire.pool.Origin?
function methods:first()
    return self.heap[1]
end

---@return integer
function methods:count()
    return #self.heap
end

--- Puts an origin in, takes it out, or moves it, so that it is in exactly when `belongs`; its
--- first waiter may be another one than before.
---@param origin moonwire.pool.Origin
---@param belongs boolean
function methods:update(origin, belongs)
    local heap, index = self.heap, origin.rank
    if belongs then
        index = index or #heap + 1
        heap[index] = origin
        rise(heap, index, origin)
        sink(heap, origin.rank, origin)
    elseif index then
        local last = table.remove(heap)
        origin.rank = nil
        if last ~= origin then
            heap[index] = last
            rise(heap, index, last)
            sink(heap, last.rank, last)
        end
    end
end

return ranking
