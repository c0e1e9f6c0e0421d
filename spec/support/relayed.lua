-- Runs on the backend that this process has, ev or ngx, with listeners by way of the relay, and a
-- look at what is left open.
local backends = require "moonwire.backend"
local listening = require "spec.support.listening"
local moonwire = require "moonwire"

local relayed = {}

-- What has ended may take a turn to go; what others have left may go meanwhile.
local function check_nothing_left(backend, before)
    local after, tries = backend:stats(), 0
    for name, count in pairs(before) do
        while after[name] > count and tries < 500 do
            backend:wait(backend:now() + 0.002)
            after, tries = backend:stats(), tries + 1
        end
        assert(after[name] <= count, ("%s: %d before, %d after"):format(name, count, after[name]))
    end
end

--- Runs f(...) as a task; fails when it leaves anything open.
---@return any ... the first three values that f returns
function relayed.run(f, ...)
    local backend = backends.default()
    local before = backend:stats()
    local first, second, third = moonwire.run(f, ...)
    check_nothing_left(backend, before)
    return first, second, third
end

--- Listens on a free port of the relay's.
---@param place spec.Place
---@param tls {cert: string, key: string, delay: number?}? of spec.support.listening
---@return spec.Listening
function relayed.listen(place, tls)
    return listening.new(backends.current(), place.relay, tls)
end

return relayed
