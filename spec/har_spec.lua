local clients = require "moonwire.client"
local har = require "moonwire.har"
local http = require "moonwire.http"
local json = require "moonwire.json"
local server = require "moonwire.testing.server"
local serve = require "spec.support.serve"
local support = require "spec.support"

local function read(path)
    local file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    return text
end

local function beside_server(f)
    local process, url = serve.start()
    f(url)
    process:kill()
end

local function with(f)
    support.in_loop(function()
        local s = assert(server.start())
        f(s)
        s:close()
        http.default():close()
    end)
end

-- The entries of a recorder; holds that all is there that HAR 1.2 asks for.
local function entries_of(recorder)
    local text = assert(recorder:text())
    local log = assert(json.decode(text)).log
    assert.equal("1.2", log.version)
    assert.equal("moonwire", log.creator.name)
    for _, entry in ipairs(log.entries) do
        assert.truthy(entry.startedDateTime:find "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$")
        for name, kind in pairs { time = "number", request = "table", response = "table",
            cache = "table", timings = "table" } do
            assert.equal(kind, type(entry[name]), name)
        end
        for name, kind in pairs { method = "string", url = "string", httpVersion = "string",
            cookies = "table", headers = "table", queryString = "table", headersSize = "number",
            bodySize = "number" } do
            assert.equal(kind, type(entry.request[name]), name)
        end
        for name, kind in pairs { status = "number", statusText = "string", httpVersion = "string",
            cookies = "table", headers = "table", content = "table", redirectURL = "string",
            headersSize = "number", bodySize = "number" } do
            assert.equal(kind, type(entry.response[name]), name)
        end
        assert.equal("number", type(entry.response.content.size))
        assert.equal("string", type(entry.response.content.mimeType))
        local sum = 0
        for _, name in ipairs { "blocked", "dns", "connect", "send", "wait", "receive" } do
            assert.equal("number", type(entry.timings[name]), name)
            sum = sum + math.max(0, entry.timings[name])
        end
        assert.is_true(entry.timings.send >= 0 and entry.timings.wait >= 0
            and entry.timings.receive >= 0)
        assert.is_true(math.abs(sum - entry.time) < 0.001)
    end
    assert.truthy(text:find('"cookies":[]', 1, true))
    return log.entries
end

describe("an HTTP archive", function()
    it("has every exchange of all clients, with what it sent and got", function()
        with(function(s)
            local recorder = har.recorder()
            local client = clients.new()
            assert(client:get(s.url .. "/get?a=1&b=x+y")):text()
            assert(http.post(s.url .. "/post", { json = { 1 } })):text()
            assert(http.get(s.url .. "/redirect/1")):text()
            assert(http.get(s.url .. "/bytes/100000")):discard()
            assert(http.get(s.url .. "/gzip")):discard()
            client:close()
            recorder:stop()
            assert(http.get(s.url .. "/get"))
            local entries = entries_of(recorder)
            assert.equal(6, #entries)
            local packed = entries[6].response
            assert.truthy(packed.content.text:find '"gzipped": ?true')
            assert.equal(#packed.content.text, packed.content.size)
            assert.equal(packed.content.size - packed.bodySize, packed.content.compression)
            assert.equal(s.url .. "/get?a=1&b=x+y", entries[1].request.url)
            assert.same({ { name = "a", value = "1" }, { name = "b", value = "x y" } },
                entries[1].request.queryString)
            assert.equal(200, entries[1].response.status)
            assert.equal("GET", json.decode(entries[1].response.content.text).method)
            assert.equal("127.0.0.1", entries[1].serverIPAddress)
            assert.is_true(entries[1].timings.connect >= 0)
            assert.equal("[1]", entries[2].request.postData.text)
            assert.equal("application/json", entries[2].request.postData.mimeType)
            assert.equal(302, entries[3].response.status)
            assert.equal("/get", entries[3].response.redirectURL)
            assert.equal(200, entries[4].response.status)
            assert.equal(-1, entries[4].timings.connect) -- over the kept connection
            assert.equal(100000, entries[5].response.content.size)
            assert.equal("base64", entries[5].response.content.encoding)
        end)
    end)

    it("has failures, and bodies that were not read", function()
        with(function(s)
            s:raw("/cut", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            local client = clients.new()
            local recorder = har.recorder(client)
            client:get "http://127.0.0.1:1/"
            client:get(s.url .. "/cut"):text()
            client:get(s.url .. "/bytes/500000"):close()
            assert(http.get(s.url .. "/get")) -- another client
            client:close()
            local entries = entries_of(recorder)
            assert.equal(3, #entries)
            assert.truthy(entries[1].response._error:find "connection refused")
            assert.equal(0, entries[1].response.status)
            assert.truthy(entries[2].response._error:find "closed")
            assert.equal("half", entries[2].response.content.text)
            assert.truthy(entries[3].response.comment:find "not read")
            recorder:stop()
        end)
    end)

    it("keeps to its limits", function()
        with(function(s)
            local client = clients.new()
            local recorder = har.recorder(client, { max_body = 100, max_entries = 2 })
            for _ = 1, 3 do
                client:get(s.url .. "/bytes/1000"):text()
            end
            recorder:stop()
            local entries = entries_of(recorder)
            assert.equal(2, #entries)
            assert.equal(1, recorder.dropped)
            assert.is_nil(entries[1].response.content.text)
            assert.equal(1000, entries[1].response.content.size)
            recorder = har.recorder(client, { bodies = false })
            client:post(s.url .. "/post", { body = "hidden" }):text()
            recorder:stop()
            assert.is_nil(recorder:text():find "hidden")
            client:close()
        end)
    end)

    it("is written whole or not at all", function()
        with(function(s)
            local recorder = har.recorder()
            assert(http.get(s.url .. "/get"))
            recorder:stop()
            local path = os.tmpname()
            assert(recorder:save(path))
            assert.equal("1.2", json.decode(read(path)).log.version)
            os.remove(path)
            os.execute(("ln -s %s %s.link && touch %s"):format(path, path, path))
            assert(recorder:save(path .. ".link"))
            assert.equal("1.2", json.decode(read(path)).log.version)
            os.remove(path .. ".link")
            os.remove(path)
            local _, err = recorder:save "/nowhere/x.har"
            assert.equal("system", err.kind)
            assert.truthy(err.message:find "can't be written")
        end)
        assert.equal("[]", har.recorder():text():match '"entries":(%[%])')
    end)

    it("is made by the command, also of a script that fails", function()
        beside_server(function(url)
            local path = os.tmpname()
            local code, _, err = support.run({ support.moonwire(), "--har", path, "-e",
                'require("moonwire.http").get(os.getenv "SERVER" .. "/get"):text() error "no"' },
                { env = { SERVER = url } })
            assert.equal(1, code, err)
            local log = json.decode(read(path)).log
            assert.equal(1, #log.entries)
            assert.equal(url .. "/get", log.entries[1].request.url)
            os.remove(path)
            code, _, err = support.run { support.moonwire(), "--har", "/nowhere/x", "-e", "" }
            assert.equal(1, code)
            assert.truthy(err:find "can't be written", err)
            code, _, err = support.run { support.moonwire(), "--har" }
            assert.equal(2, code)
            assert.truthy(err:find("--har needs", 1, true), err)
        end)
    end)
end)
