-- Small GETs with moonwire:  moonwire get.lua HOW URL CONNECTIONS REQUESTS [warm]
-- HOW is "client" (client:get(url)), "connection" (connection:request of a request made once), or
-- "close" (a connection for each request). With "warm" nothing is counted before each connection
-- has had a first response, so that opening them is left out. Prints n, and how many were counted,
-- with their secs and cpu.

local common = require "bench.clients.common"
local connection = require "moonwire.connection"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local request = require "moonwire.request"

local how, url, connections, count = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local warm = arg[5] == "warm"
local secure, host, port = url:match "^http(s?)://([%d.]+):(%d+)/"

local client = http.client {
    tls = common.tls(),
    pool = {
        max_total = connections, max_per_origin = connections,
        idle_total = connections, idle_per_origin = connections,
    },
}
local tls = { server_name = host, ca_file = os.getenv "BENCH_CA" } -- one table: it is read once
local prepared = request.new { method = "GET", url = url, close = how == "close" }

-- Each gives a function that makes one request.
local ways = {}

function ways.client()
    return function()
        return client:get(url)
    end
end

function ways.close()
    return function()
        return client:request(prepared)
    end
end

function ways.connection()
    local stream = assert(net.connect(host, tonumber(port)))
    if secure == "s" then
        assert(stream:start_tls(tls))
    end
    local conn = connection.new(stream)
    return function()
        return conn:request(prepared)
    end
end

local function check(response)
    if response.status ~= 200 or #assert(response:text()) ~= common.small_size then
        error("this is not the small page: status " .. response.status)
    end
end

local sent = 0

local function work(send)
    while sent < count do
        sent = sent + 1
        check(assert(send()))
    end
end

-- All connections at once: a pool opens as many as are asked for at the same time.
local function open(n)
    local senders = {}
    for i = 1, n do
        senders[i] = ways[how]()
    end
    if warm then
        moonwire.map(senders, function(send)
            check(assert(send()))
        end)
    end
    return senders
end

local senders = open(connections)
local finish = common.start()
moonwire.scope(function(scope)
    for i = 1, connections do
        scope:spawn(work, senders[i])
    end
end)
finish(warm and count + connections or count, count)
client:close()
