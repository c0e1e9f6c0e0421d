-- A storm: requests by many tasks over a pool of four places, each ended at a random moment in a
-- random way, and once in a while the whole client closed. Lookups, connections, handshakes, heads,
-- bodies and uploads all take their time, so that each wait is met. A storm is known by its seed.
local bodies = require "moonwire.body"
local clients = require "moonwire.client"
local errors = require "moonwire.error"
local kit = require "spec.hostile.kit"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local peers = require "spec.hostile.peer"
local random = require "spec.simulate.random"
local relayed = require "spec.support.relayed"

local OK = kit.reply("Content-Length: 2", "ok")
local TASKS = 16
local WHOLE = { name = "whole" }
local PATIENCE = 10000 -- ticks for what has to happen in the end

local storm = {}

-- The server's side -------------------------------------------------------------------------------

-- What it does with "/KIND", with a wait of so many seconds at each point.
local kinds = {}

function kinds.fast(peer)
    return peer:write(OK)
end

function kinds.head(peer, seconds)
    return peer:pause(seconds) and peer:write(OK:sub(1, 20)) and peer:pause(seconds)
        and peer:write(OK:sub(21))
end

function kinds.body(peer, seconds)
    return peer:write(kit.chunked "2\r\nok") and peer:pause(seconds)
        and peer:write "\r\n0\r\n" and peer:pause(seconds) and peer:write "\r\n"
end

function kinds.drain(peer, seconds)
    return peer:write(kit.reply("Content-Length: 20000", ("x"):rep(9000))) and peer:pause(seconds)
        and peer:write(("x"):rep(11000))
end

function kinds.upload(peer, seconds)
    return peer:read_body() and peer:pause(seconds) and peer:write(OK)
end

function kinds.expect(peer, seconds)
    return peer:pause(seconds) and peer:write "HTTP/1.1 100 Continue\r\n\r\n" and peer:read_body()
        and peer:write(OK)
end

-- Takes a little of a large upload, and nothing more for a while.
function kinds.stall(peer, seconds)
    return peer:pause(2 * seconds) and peer:read_body() and peer:write(OK)
end

function kinds.silent(peer)
    return peer:read(1) ~= nil
end

local NAMES = {
    "fast", "head", "body", "drain", "upload", "expect", "stall", "silent", "preconnect",
}

local function serve(self, stream, tls)
    self.open = self.open + 1
    self.streams[stream] = true
    local ok = true
    if tls and not self.place then
        moonwire.sleep(self.random:int(0, 3) * self.tick / 2)
        ok = stream:accept_tls(tls, moonwire.now() + PATIENCE * self.tick)
    end
    local peer = peers.new(stream, WHOLE)
    while ok do
        local head = peer:read_head()
        ok = head and kinds[head:match "^%S+ /(%a+)"](peer, self.tick)
    end
    stream:close()
    self.streams[stream] = nil
    self.open = self.open - 1
end

-- The client's side -------------------------------------------------------------------------------

local function slow_body(self)
    local left = 3
    return bodies.generator(function()
        left = left - 1
        if left < 0 then
            return nil
        end
        moonwire.sleep(self.tick)
        return "chunk"
    end)
end

local BULK = ("x"):rep(1024 * 1024)

local function body_for(self, kind)
    if kind == "upload" then
        return slow_body(self)
    elseif kind == "expect" then
        return "body"
    elseif kind == "stall" then
        return BULK
    end
end

-- One request of a kind, read to its end. Gives "ok", or the kind of the error and the error.
local function exchange(self, kind, url, timeout)
    local body, client = body_for(self, kind), self.client
    if kind == "preconnect" then
        local idle, problem = client:preconnect(url, 2, { timeout = timeout })
        return idle and "ok" or problem.kind, problem
    end
    local response, err = client:request(body and "PUT" or "GET", url .. kind, {
        timeout = timeout, body = body, expect = kind == "expect",
    })
    if response and kind == "drain" then
        response:close()
        return "ok"
    end
    local text
    if response then
        text, err = response:text()
    end
    if not text then
        return err.kind, err
    end
    assert(text == "ok", text)
    return "ok"
end

-- The ways in which an exchange is ended after so many seconds.
local ways = {
    function(self, kind, url, seconds) -- a scope with a deadline
        local seen
        local result, err = moonwire.timeout(seconds, function()
            local outcome, problem = exchange(self, kind, url)
            seen = problem
            return outcome, problem
        end)
        return result or err.kind, seen or err
    end,
    function(self, kind, url, seconds) -- the request's own time
        return exchange(self, kind, url, math.max(seconds, self.tick / 4))
    end,
    function(self, kind, url, seconds) -- a task that is cancelled by another
        local task = moonwire.spawn(exchange, self, kind, url)
        moonwire.sleep(seconds)
        task:cancel()
        local result, err = task:join()
        return result or err.kind, err
    end,
    function(self, kind, url, seconds) -- the time of one phase
        seconds = math.max(seconds, self.tick / 4)
        return exchange(self, kind, url, {
            total = 20 * self.tick, pool = seconds, connect = seconds, tls = seconds,
            headers = seconds, idle = seconds, expect = seconds,
        })
    end,
}

local FAIR = { ok = true, cancelled = true, timeout = true }

local function new_client(self)
    return clients.new {
        pool = { max_total = 4, max_per_origin = 3 }, tls = { ca_file = self.ca_file },
    }
end

-- The client is closed under all who use it, at once or after a time that may be cut short itself.
local function replace_client(self)
    local old, seconds = self.client, self.random:int(0, 15) * self.tick / 2
    self.client = new_client(self)
    self.closed = self.closed + 1
    if self.random:chance(0.5) then
        moonwire.timeout(seconds, old.close, old, self.random:int(0, 15) * self.tick / 2)
    end
    old:close()
    self.old = old
end

-- One request: how it ended is counted, and where when it was ended.
local function round(self)
    local rolled = self.random
    local kind, way = NAMES[rolled:int(1, #NAMES)], ways[rolled:int(1, #ways)]
    local base = self.urls[2 * rolled:int(1, #self.urls / 2) - (rolled:chance(0.3) and 0 or 1)]
    if self.lost and rolled:chance(0.03) then
        base = self.lost
    end
    local seconds = rolled:int(0, 15) * self.tick / 2
    local client = self.client
    local outcome, err = way(self, kind, base, seconds)
    if not (FAIR[outcome] or outcome == "closed" and client:is_closed()) then
        error(("%s ended in %s: %s"):format(kind, outcome, tostring(err)), 0)
    end
    self.outcomes[outcome] = (self.outcomes[outcome] or 0) + 1
    if err and outcome ~= "ok" then
        local phase = err.phase or "nowhere"
        self.phases[phase] = (self.phases[phase] or 0) + 1
    end
end

local function run_rounds(self)
    local left = self.rounds
    moonwire.scope(function(scope)
        for _ = 1, TASKS do
            scope:spawn(function()
                while left > 0 do
                    left = left - 1
                    if left % 100 == 50 then
                        replace_client(self)
                    end
                    round(self)
                end
            end)
        end
    end)
end

-- What has to be true behind it -------------------------------------------------------------------

local function await(self, what, holds)
    local ends = moonwire.now() + PATIENCE * self.tick
    while not holds() do
        if moonwire.now() > ends then
            error("this did not happen: " .. what, 0)
        end
        moonwire.sleep(self.tick)
    end
end

-- Ends the idle connections that the host keeps, from the server's side.
local function end_kept(self)
    local ended = {}
    for stream in pairs(self.streams) do
        ended[#ended + 1] = stream
        stream:close()
    end
    for _, stream in ipairs(ended) do
        stream:gone()
    end
end

local function check_pool(self)
    await(self, "all connections that are in use end", function()
        local stats = self.client:stats()
        return stats.active == 0 and stats.opening == 0 and stats.reserved == 0
    end)
    assert(self.client:stats().waiting == 0, "somebody waits still")
    for _ = 1, 2 do -- all places are there
        moonwire.map(self.urls, function(url)
            local response = assert(self.client:get(url .. "fast", { timeout = PATIENCE }))
            assert(response:text() == "ok")
        end, { concurrency = #self.urls })
    end
    if self.old then
        local stats = self.old:stats()
        assert(stats.total == 0 and stats.waiting == 0, "a closed client has something still")
    end
    self.client:close()
    if self.hosted then
        end_kept(self)
    end
    await(self, "the server's connections end", function()
        return self.open == 0
    end)
end

-- Addresses that are answered, with and without TLS.
local function listen(self, scope, tls)
    local listener = self.place and relayed.listen(self.place, tls and {
        cert = tls.cert, key = tls.key, delay = self.tick / 2,
    }) or assert(net.listen("127.0.0.1", 0))
    scope:spawn(net.serve, listener, function(stream)
        serve(self, stream, tls)
    end)
    self.listeners[#self.listeners + 1] = listener
    return listener:address().port
end

local function play(self, opts)
    moonwire.scope(function(scope)
        local plain = listen(self, scope)
        local tls = listen(self, scope, { cert = opts.cert, key = opts.key })
        for i, host in ipairs(opts.hosts) do
            self.urls[2 * i - 1] = ("http://%s:%d/"):format(host, plain)
            self.urls[2 * i] = ("https://%s:%d/"):format(host, tls)
        end
        if opts.prepare then
            opts.prepare(plain, tls)
        end
        self.client = new_client(self)
        local ok, problem = xpcall(function()
            run_rounds(self)
            check_pool(self)
        end, errors.handler)
        self.client:close()
        for _, listener in ipairs(self.listeners) do
            listener:close()
        end
        if not ok then
            error(("%s (seed %d)"):format(tostring(problem), opts.seed), 0)
        end
    end)
end

---@class hostile.Storm
---@field seed integer
---@field rounds integer requests
---@field tick number seconds that a step of the server takes
---@field ca_file string? nil where the host's own configuration has it
---@field cert string
---@field key string
---@field hosts string[]? names of this server: it is 127.0.0.1 only if none are given
---@field lost string? a URL, up to its path, of a host that is never found
---@field place spec.Place? by way of the relay, with client and server on the backend there is
---@field hosted boolean? which keeps the idle connections
---@field prepare fun(plain: integer, tls: integer)? is given the ports

--- Lets a storm blow, in a task; it raises, with the seed, when a promise is broken.
---@param opts hostile.Storm
---@return {outcomes: table<string, integer>, phases: table<string, integer>, closed: integer} seen
function storm.run(opts)
    local self = {
        random = random.new("storm " .. opts.seed), rounds = opts.rounds, tick = opts.tick,
        ca_file = opts.ca_file, lost = opts.lost, outcomes = {}, phases = {}, urls = {},
        listeners = {}, streams = {}, open = 0, closed = 0, place = opts.place,
        hosted = opts.hosted,
    }
    opts.hosts = opts.hosts or { "127.0.0.1" }
    play(self, opts)
    local sum = 0
    for _, count in pairs(self.outcomes) do
        sum = sum + count
    end
    assert(sum == opts.rounds, "not every request has ended once")
    return self
end

return storm
