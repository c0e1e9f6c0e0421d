-- What the peers in LuaJIT share: a clock, and the line of numbers that the harness reads.

local ffi = require "ffi"

ffi.cdef [[
    typedef struct { long s, ns; } bench_time;
    int clock_gettime(int, bench_time *);
]]

local common = { size = 200 }
local time = ffi.new "bench_time"

function common.now()
    ffi.C.clock_gettime(1, time)
    return tonumber(time.s) + tonumber(time.ns) * 1e-9
end

local started = common.now()

--- Prints the line.
function common.report(n)
    print(("n=%d secs=%.6f"):format(n, common.now() - started))
end

--- One exchange over an object with send and receive, the head read line by line into a table, as
--- one writes it by hand.
function common.exchange(socket, request)
    assert(socket:send(request))
    local line = assert(socket:receive "*l")
    assert(line:match "^HTTP/1%.1 (%d%d%d)" == "200")
    local headers = {}
    while true do
        line = assert(socket:receive "*l")
        if line == "" then
            break
        end
        local name, value = line:match "^([^:]+):%s*(.*)$"
        headers[name:lower()] = value
    end
    assert(#socket:receive(tonumber(headers["content-length"])) == common.size)
end

function common.request(port)
    return "GET /s HTTP/1.1\r\nHost: 127.0.0.1:" .. port .. "\r\n\r\n"
end

return common
