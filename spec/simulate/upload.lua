-- spec/simulate/upload.lua - the bodies that the simulated tasks send: whole, in pieces with naps,
-- and those that disappoint. It counts how often they are asked.

local bodies = require "moonwire.body"
local moonwire = require "moonwire"

local upload = {}

local faults = {}

function faults.gives_up()
    return nil, "no more of it"
end

function faults.raises()
    error "the body's function raises"
end

function faults.wrong_type()
    return 17
end

-- Where the fault happens: behind so many chunks.
local function fault_at(request)
    return faults[request.fault] and request.id % (#request.chunks + 1) or math.huge
end

local function generator(call)
    local request, at = call.request, 0
    local limit = fault_at(request)
    return function()
        local world = call.world
        request.was_asked = true
        if call.body_ended then
            world:violate("the body of request %d was asked again after its end", request.id)
        elseif call.body_unwanted then
            world:violate("the body of request %d was asked although it was refused", request.id)
        end
        if request.naps[at + 1] and request.naps[at + 1] > 0 then
            moonwire.sleep(request.naps[at + 1])
        end
        if at >= limit then
            call.body_ended, call.body_failed = true, true
            return faults[request.fault]()
        end
        at = at + 1
        call.body_ended = request.chunks[at] == nil
        return request.chunks[at]
    end
end

local makers = {}

function makers.string(call)
    return call.request.body_text
end

function makers.list(call)
    return bodies.new(call.request.chunks)
end

makers.generator = generator

function makers.sized(call)
    local request = call.request
    local length = #request.body_text
    if request.fault == "short" then
        length = length + 1 + request.id % 3
    elseif request.fault == "long" then
        length = math.max(0, length - 1 - request.id % 3)
    end
    return bodies.generator(generator(call), { length = length })
end

function makers.pipe(call)
    return call.pipe
end

--- What is given to moonwire as the body; nil: none.
---@param call table of agent.lua
function upload.body(call)
    local make = makers[call.request.body]
    return make and make(call)
end

return upload
