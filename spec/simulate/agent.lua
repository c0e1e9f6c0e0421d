-- spec/simulate/agent.lua - one task of the simulation: sends its requests, reads the responses as
-- it was told to, and holds what it is given against what the server knows.

local connections = require "moonwire.connection"
local judge = require "spec.simulate.judge"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local requests = require "moonwire.request"
local upload = require "spec.simulate.upload"

local agent = {}

local function url_of(request)
    local place = request.place
    return ("http://%s:%d/r%d"):format(place.name or place.host, place.port, request.id)
end

local function note_informational(call)
    return function(status, headers)
        call.informational[#call.informational + 1] = status
        call.informational_tag = headers:get "x-tag"
    end
end

-- Sends a request; what is raised is a fault of moonwire's.
local function send(self, call)
    local request = call.request
    local options = {
        timeout = self.kind == "client" and request.total or nil,
        max_body = request.max_body,
        on_informational = note_informational(call),
    }
    local expect = request.expect
    local body = upload.body(call)
    local headers = request.key and { ["Idempotency-Key"] = tostring(request.id) } or nil
    if self.kind == "client" then
        options.headers, options.body, options.expect = headers, body, expect
        return self.world.client:request(request.method, url_of(request), options)
    end
    options.timeout = nil
    options.deadline = request.total and call.started + request.total or nil
    options.headers_timeout = self.world.settings.timeout.headers
    options.idle_timeout = self.world.settings.timeout.idle
    options.expect_timeout = self.world.settings.timeout.expect
    return self.connection:request(requests.new {
        method = request.method, url = url_of(request), body = body, headers = headers,
        expect = expect,
    }, options)
end

-- Ways to read: each gives the text, and whether it is all of it, or nil and an error. ------------

local readers = {}

function readers.text(response)
    local text, err = response:text()
    return text, err, true
end

function readers.read(response, call)
    local pieces = {}
    while true do
        local piece, err = response:read(call.request.max)
        if err then
            return nil, err
        elseif not piece then
            return table.concat(pieces), nil, true
        end
        pieces[#pieces + 1] = piece
    end
end

-- Naps before each piece: the connection has to wait for it.
function readers.slow(response, call)
    local pieces = {}
    call.napping = true
    for i = 1, math.huge do
        if i <= 4 then
            moonwire.sleep(call.request.nap)
        end
        local piece, err = response:read()
        if err then
            return nil, err
        elseif not piece then
            return table.concat(pieces), nil, true
        end
        pieces[i] = piece
    end
end

function readers.chunks(response, call)
    local pieces = {}
    local ok, err = pcall(function()
        for piece in response:chunks(call.request.max) do
            pieces[#pieces + 1] = piece
        end
    end)
    if not ok then
        return nil, err
    end
    return table.concat(pieces), nil, true
end

function readers.discard(response, call)
    local ok, err = response:discard()
    return ok and call.answer.body, err, true
end

-- Another task closes the response meanwhile.
function readers.raced(response, call)
    call.napping = true
    local other = moonwire.spawn(function()
        moonwire.sleep(call.request.nap / 4)
        response:close()
    end)
    local text, err = response:text()
    other:join()
    return text, err, true
end

function readers.part(response)
    local text, err = response:read(10)
    response:close()
    if err then
        return nil, err
    end
    return text or "", nil, text == nil
end

function readers.close(response)
    response:close()
    return "", nil, false
end

function readers.forget()
    return "", nil, false
end

-- One request -------------------------------------------------------------------------------------

local function receive(self, call, response)
    judge.head(call, response)
    if call.lost then
        return
    end
    self.world:count(call.request.reader)
    local text, err, whole = readers[call.request.reader](response, call)
    judge.clock(call)
    if text then
        judge.body(call, response, text, whole)
    else
        judge.failure(call, err, response)
    end
    judge.upload(call, response)
end

local function exchange(self, call)
    local world = self.world
    call.started = world:now()
    local response, err = send(self, call)
    judge.clock(call)
    if not response then
        judge.failure(call, err)
        return nil, err
    end
    world:log("%s has the head of request %d: %d", self.name, call.request.id, response.status)
    if call.keep then
        judge.head(call, response)
        return response
    end
    receive(self, call, response)
    return true
end

local function new_call(self, request)
    return {
        world = self.world, agent = self, request = request, informational = {},
        timeouts = self.world.settings.timeout,
    }
end

local function is_over(self)
    return self.cancelled_at or self.kind == "client" and self.world.client:is_closed()
end

-- The response that is to be sent on; its text is known from the server.
local function open_pipe(self, call)
    local source = self.world:pipe_request(call.request)
    local inner = new_call(self, source)
    inner.keep = true
    local response = exchange(self, inner)
    if not response or inner.lost then
        return false
    end
    call.request.body_text = inner.answer.body
    call.pipe, call.pipe_answer = response, inner.answer
    return true
end

local function transfer(self, call)
    if is_over(self) then
        return
    elseif call.request.body ~= "pipe" then
        exchange(self, call)
    elseif open_pipe(self, call) and not is_over(self) then
        exchange(self, call)
    end
end

local function perform(self, request)
    local call = new_call(self, request)
    self.world:count "requests"
    local ok, problem = xpcall(transfer, debug.traceback, self, call)
    if not ok then
        self.world:violate("request %d raised: %s", request.id, tostring(problem))
    end
    if call.pipe then
        call.pipe:close() -- it may not even have been begun
    end
end

-- In a scope with a deadline: it is over then, and not before.
local function perform_timed(self, request)
    local world = self.world
    local limit = world:now() + request.scope_seconds
    self.scope_limit = limit
    local _, err = moonwire.timeout(request.scope_seconds, perform, self, request)
    if world:now() > limit + judge.SLACK and not self.cancelled_at then
        world:violate("%s: timeout(%g) took until %g s later", self.name, request.scope_seconds,
            world:now() - limit)
    elseif err and err.kind == "timeout" and world:now() < limit - judge.SLACK then
        world:violate("%s: timeout(%g) was over too early", self.name, request.scope_seconds)
    end
    self.scope_limit = nil
end

-- A connection for itself, opened anew when the last one is closed.
local function connect(self, request)
    if self.connection and not self.connection:is_closed() then
        return true
    end
    local place = request.place
    local stream, err = net.connect(place.name or place.host, place.port,
        { timeout = self.world.settings.timeout.connect })
    if not stream then
        judge.connect_failure(self, request, err)
        return false
    end
    self.connection = connections.new(stream)
    self.was_closed = false
    return true
end

--- Performs all requests of one task.
---@param self table an agent of plan.lua
function agent.run(self)
    for _, request in ipairs(self.requests) do
        moonwire.sleep(request.pause)
        if is_over(self) then
            break
        elseif self.kind == "client" or connect(self, request) then
            local act = request.scope_seconds and perform_timed or perform
            if request.reader == "forget" then -- so that nothing of it stays on our stack
                local other = setmetatable({ detached = true }, { __index = self })
                moonwire.spawn(act, other, request):join()
                self.world:collect_later()
            else
                act(self, request)
            end
        end
    end
    if self.connection then
        self.connection:close()
    end
    self.ended_at = self.world:now()
end

return agent
