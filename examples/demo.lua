-- A tour of moonwire against its own loopback server, over real sockets.
local http = require "moonwire.http"
local moonwire = require "moonwire"
local server = require "moonwire.testing.server"

local MIB = 1024 * 1024

local function title(text)
    io.write("\n", text, "\n", ("-"):rep(#text), "\n")
end

local function say(format, ...)
    print("  " .. format:format(...))
end

-- How much memory the process has had at most.
local function peak_mib()
    for line in io.lines("/proc/self/status") do
        local kib = line:match("^VmHWM:%s*(%d+)")
        if kib then
            return kib / 1024
        end
    end
    return 0
end

local function simple_gets(url)
    title "GET"
    local res = assert(http.get(url .. "/get", { query = { name = "moon", size = 3474 } }))
    local json = assert(res:json())
    say("%d %s, %s", res.status, res.reason, res.headers["content-type"])
    say("the server saw name=%s size=%s", json.args.name, json.args.size)
    say("/status/404 is an answer, not an error: %d", assert(http.get(url .. "/status/404")).status)
end

local function keep_alive(url)
    title "Keep-alive"
    local client = http.client { base_url = url }
    local first = assert(client:get("/get")):json().connection
    local second = assert(client:get("/get")):json().connection
    say("two requests, connection %d and connection %d: %s", first, second,
        first == second and "the same one" or "not the same!")
    client:close()
end

local function upload(url)
    title "A chunked upload, made while it is sent"
    local started, n = moonwire.now(), 0
    local res = assert(http.post(url .. "/upload", {
        body = function() -- without a known length, so it goes out in chunks
            n = n + 1
            if n > 5 then
                return nil
            end
            moonwire.sleep(0.1) -- a generator may wait for whatever it likes
            return ("chunk %d "):format(n)
        end,
    }))
    local json = assert(res:json())
    say("%d bytes in %d chunks over %.1f s; chunked: %s, adler32: %s", json.bytes, n - 1,
        moonwire.now() - started, tostring(json.chunked), json.adler32)
end

local function download(url)
    title "A download of 100 MB, piece by piece"
    local started, received, shown = moonwire.now(), 0, 0
    local res = assert(http.get(url .. "/bytes/" .. 100 * MIB))
    for chunk in res:chunks() do
        received = received + #chunk
        if received - shown >= 10 * MIB or received == 100 * MIB then
            shown = received
            io.write(("\r  %3d MiB of %d [%-20s]"):format(received / MIB, 100,
                ("#"):rep(received / MIB / 5)))
            io.flush()
        end
    end
    local seconds = moonwire.now() - started
    print()
    say("%.0f MiB/s, client and server in this one process", received / MIB / seconds)
    say("peak memory of the process: %.1f MiB", peak_mib())
end

local function side_by_side(url)
    title "Ten requests side by side, each takes 0.3 s"
    local started = moonwire.now()
    local statuses = {}
    moonwire.scope(function(scope)
        for i = 1, 10 do
            scope:spawn(function()
                statuses[i] = assert(http.get(url .. "/delay/0.3")).status
            end)
        end
    end) -- the scope ends when all ten have ended
    say("%s", table.concat(statuses, " "))
    say("all ten took %.2f s", moonwire.now() - started)
end

local function failure()
    title "A server that isn't there"
    local gone = assert(server.start())
    gone:close()
    local _, err = http.get(gone.url)
    say("%s", tostring(err))
    say("err.kind = %q, err.phase = %q, err.code = %q", err.kind, err.phase, err.code)
end

local loopback = assert(server.start())
print(("moonwire %s, talking to %s"):format(moonwire.version, loopback.url))
simple_gets(loopback.url)
keep_alive(loopback.url)
upload(loopback.url)
download(loopback.url)
side_by_side(loopback.url)
failure()
title "Done"
say("%d requests over %d connections", loopback.requests, loopback.connections)
loopback:close()
