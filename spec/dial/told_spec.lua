-- What is told of dialing: its time, counts, the transcript.

local dialing = require "spec.support.dialing"
local moonwire = require "moonwire"
local net = require "moonwire.net"

local connects, run, world = dialing.connects, dialing.run, dialing.world
local never = math.huge

describe("dial: what is told of its time", function()
    local http = require "moonwire.http"

    it("is in timing of the first response over a connection, and 0 of those after it", function()
        local m = world({ h = { "10.0.0.1" } }, {}, { delay = 2 })
        m:listen_at("10.0.0.1", 80, { { expect = "\r\n\r\n" }, { delay = 5 },
            { send = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, { expect = "\r\n\r\n" },
            { send = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" } }, { delay = 3 })
        run(m, function()
            local client = http.client()
            local first = assert(client:get "http://h/")
            local common = { remote = "10.0.0.1:80", retries = 0, redirects = 0, tls = 0,
                connection = first.timing.connection }
            local function timing(fields)
                return setmetatable(fields, { __index = common })
            end
            local function check(expected, got)
                for name, value in pairs(got) do
                    if not name:find "^b[yo]" and name ~= "requests" then
                        assert.equal(expected[name], value, name)
                    end
                end
            end
            check(timing { queued = 5, dns = 2, connect = 3, first_byte = 5, total = 5,
                reused = false }, first.timing)
            local second = assert(client:get("http://h/", { on_informational = print }))
            check(timing { queued = 0, dns = 0, connect = 0, first_byte = 0, total = 0,
                reused = true }, second.timing)
            client:close()
        end)
    end)

    it("counts the time on_resolve takes for the name's", function()
        local m = world({ h = { "10.0.0.1" } }, { ["10.0.0.1"] = 3 }, { delay = 2 })
        run(m, function()
            local stream = assert(net.connect("h", 80, { on_resolve = function()
                return assert(moonwire.sleep(1))
            end }))
            assert.same({ dns = 3, connect = 3 }, stream.timing)
            stream:close()
        end)
    end)

    it("is there for numeric hosts and unix sockets too", function()
        local m = world({}, { ["10.0.0.1"] = 3 })
        m:listen_at("/run/x", nil, function() end, { delay = 4 })
        run(m, function()
            local stream = assert(net.connect("10.0.0.1", 80))
            assert.same({ dns = 0, connect = 3 }, stream.timing)
            stream:close()
            stream = assert(net.connect { path = "/run/x" })
            assert.same({ dns = 0, connect = 4 }, stream.timing)
            stream:close()
        end)
    end)
end)

describe("dial: counts", function()
    it("are those of a client's stats", function()
        local http = require "moonwire.http"
        local m = world({ h = { "10.0.0.1" } }, {}, { ttl = 30, delay = 1 })
        local function counts(client)
            local stats, list = client:stats(), {}
            for _, name in ipairs { "hits", "negative", "merged", "misses", "running" } do
                list[#list + 1] = ("%s %d"):format(name, stats["dns_" .. name])
            end
            return table.concat(list, ", ")
        end
        run(m, function()
            local client = http.client()
            local nothing = "hits 0, negative 0, merged 0, misses 0, running 0"
            assert.equal(nothing, counts(client))
            assert.is_nil((client:get "http://10.0.0.1/"))
            assert.equal(nothing, counts(client)) -- nobody is asked about numbers
            m:listen_at("10.0.0.1", 80, function() end)
            moonwire.scope(function(s)
                for _ = 1, 3 do
                    s:spawn(function()
                        assert(net.connect("h", 80)):close()
                    end)
                end
                moonwire.sleep(0.5)
                assert.equal("hits 0, negative 0, merged 2, misses 1, running 1", counts(client))
            end)
            assert(net.connect("h", 80)):close()
            assert.is_nil((net.connect("missing", 80)))
            assert.is_nil((net.connect("missing", 80)))
            assert.equal("hits 1, negative 1, merged 2, misses 2, running 0", counts(client))
            assert.is_nil((net.connect("cancelled", 80, { timeout = 0.5 })))
            assert.equal("hits 1, negative 1, merged 2, misses 3, running 0", counts(client))
            client:close()
        end)
    end)
end)

describe("dial: the transcript", function()
    local trace = require "moonwire.trace"

    local function transcript(m, f)
        local lines = {}
        trace.enable(function(line)
            lines[#lines + 1] = line:match "^%* (.*)\n$"
        end)
        local ok, problem = pcall(run, m, f)
        trace.disable()
        assert(ok, problem)
        return lines
    end

    it("tells of names, of each attempt and of the connection", function()
        local m = world({ h = { "10.0.0.1", "::1" } }, { ["10.0.0.1"] = 0.2 },
            { delay = 1, ttl = 9 })
        assert.same({
            "resolving h",
            "h is at ::1, 10.0.0.1",
            "trying ::1 port 80",
            "[::1]: connection refused",
            "trying 10.0.0.1 port 80",
            "connected to 10.0.0.1 port 80",
            "h is at ::1, 10.0.0.1",
            "trying 10.0.0.1 port 80",
            "connected to 10.0.0.1 port 80",
        }, transcript(m, function()
            connects("10.0.0.1")
            connects("10.0.0.1")
        end))
    end)

    it("tells what fails, and after how long", function()
        local m = world({}, { ["10.0.0.1"] = never })
        m:listen_at("/run/x", nil, function() end)
        assert.same({
            "resolving missing",
            "looking up missing: no such host name",
            "h is at 10.0.0.1, 10.0.0.2",
            "trying 10.0.0.1 port 80",
            "trying 10.0.0.2 port 80",
            "10.0.0.2: connection refused",
            "10.0.0.1: timed out after 2 s",
            "on_resolve refused 10.0.0.3: no",
            "trying /run/x",
            "connected to /run/x",
            "trying /run/y",
            "connecting to /run/y: connection refused",
        }, transcript(m, function()
            net.connect("missing", 80)
            net.connect("h", 80, { timeout = 2,
                resolve = { ["h:80"] = { "10.0.0.1", "10.0.0.2" } } })
            net.connect("10.0.0.3", 80, { on_resolve = function()
                return nil, "no"
            end })
            assert(net.connect { path = "/run/x" }):close()
            net.connect { path = "/run/y" }
        end))
    end)

    it("names a few of many addresses", function()
        local many = {}
        for i = 1, 64 do
            many[i] = "10.0.0." .. i
        end
        local m = world({ h = many }, { ["10.0.0.1"] = 0 })
        assert.equal("h is at 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, "
            .. "10.0.0.7, 10.0.0.8 and 56 more", transcript(m, function()
            connects("10.0.0.1")
        end)[2])
    end)
end)
