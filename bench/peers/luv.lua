-- luv (libuv) with callbacks, HTTP written by hand:  luv.lua PORT CONNECTIONS N

local common = require "bench.peers.common"
local uv = require "luv"

local port, connections, n = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local request = common.request(port)
local sent = 0

-- How many bytes of the text are a whole response; nil: not all of it is there.
local function whole(text)
    local _, head = text:find("\r\n\r\n", 1, true)
    if not head then
        return nil
    end
    assert(text:match "^HTTP/1%.1 (%d%d%d)" == "200")
    local headers = {}
    for name, value in text:sub(1, head):gmatch "([^:\r\n]+):%s*([^\r\n]*)\r\n" do
        headers[name:lower()] = value
    end
    local length = tonumber(headers["content-length"])
    if #text < head + length then
        return nil
    end
    assert(#text:sub(head + 1, head + length) == common.size)
    return head + length
end

for _ = 1, connections do
    local socket, buffered = uv.new_tcp(), ""
    local function send()
        sent = sent + 1
        socket:write(request)
    end
    socket:connect("127.0.0.1", port, function(err)
        assert(not err, err)
        socket:nodelay(true)
        socket:read_start(function(problem, data)
            assert(not problem, problem)
            if not data then
                return socket:close()
            end
            buffered = buffered .. data
            if whole(buffered) then
                buffered = ""
                if sent < n then
                    send()
                else
                    socket:close()
                end
            end
        end)
        send()
    end)
end
uv.run()
common.report(n)
