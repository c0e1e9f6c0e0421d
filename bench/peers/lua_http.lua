-- lua-http on cqueues:  lua_http.lua HOW PORT CONNECTIONS N
-- HOW is "get" or "tls", kept connections (its public way to keep one is a stream of a connection),
-- or "close", its own request:go(), which opens a connection each time.

local client = require "http.client"
local common = require "bench.peers.common"
local cqueues = require "cqueues"
local headers_of = require "http.headers"
local request = require "http.request"
local tls = require "http.tls"
local tls_context = require "openssl.ssl.context"

local how, port, connections, n = arg[1], tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4])
local secure = how == "tls"
local context

if secure then
    context = tls.new_client_context()
    context:setVerify(tls_context.VERIFY_NONE)
end

local function connect()
    local connection = assert(client.connect {
        host = "127.0.0.1", port = port, tls = secure, ctx = context, version = 1.1,
        sendname = secure and "localhost" or nil,
    })
    assert(connection:connect(10))
    return connection
end

local function head()
    local headers = headers_of.new()
    headers:append(":method", "GET")
    headers:append(":scheme", secure and "https" or "http")
    headers:append(":authority", "127.0.0.1:" .. port)
    headers:append(":path", "/s")
    return headers
end

local function check(headers, stream)
    assert(headers:get ":status" == "200")
    assert(#assert(stream:get_body_as_string()) == common.size)
end

local sent = 0
local queue = cqueues.new()

local function over_one_connection()
    local connection = connect()
    while sent < n do
        sent = sent + 1
        local stream = connection:new_stream()
        assert(stream:write_headers(head(), true))
        check(assert(stream:get_headers()), stream)
    end
    connection:close()
end

local function over_new_connections()
    while sent < n do
        sent = sent + 1
        local one = request.new_from_uri(("http://127.0.0.1:%d/s"):format(port))
        one.headers:upsert("connection", "close")
        local headers, stream = assert(one:go())
        check(headers, stream)
        stream:shutdown()
    end
end

for _ = 1, connections do
    queue:wrap(how == "close" and over_new_connections or over_one_connection)
end
assert(queue:loop())
common.report(n)
