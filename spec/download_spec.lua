local core = require "moonwire.core"
local kit = require "spec.support.download"
local moonwire = require "moonwire"
local support = require "spec.support"
local testing = require "moonwire.testing"

local against, only, path, read = kit.against, kit.only, kit.path, kit.read
local TEXT = kit.text(300000)
local THING = { text = TEXT }
local URL = "http://h/dir/thing.bin"

local function sha256(text)
    return core.digest("SHA-256", text):finish()
end

local function header(head, name)
    return head:match("\r\n" .. name:gsub("%-", "%%-") .. ": ([^\r]*)")
end

-- An earlier run has left that.
local function broken_off(client, opts)
    opts = opts or {}
    opts.resume, opts.retry = true, false
    local done, err = client:download(URL, path(), opts)
    assert.is_nil(done)
    assert.equal(path "file.part", err.path)
    return err
end

describe("a download", function()
    it("gives a file its name when it is whole", function()
        against(THING, {}, function(client, _, log)
            local done = assert(client:download(URL, path()))
            assert.equal(path(), done.path)
            assert.equal(#TEXT, done.bytes)
            assert.equal(0, done.resumed_from)
            assert.equal(1, done.attempts)
            assert.is_nil(done.sha256)
            assert.equal(200, done.response.status)
            assert.equal(TEXT, read())
            only "file"
            assert.equal("identity", header(log.heads[1], "Accept-Encoding"))
            assert.is_nil(header(log.heads[1], "Range"))
        end)
    end)

    it("may be empty, or of no known length", function()
        against({ text = "" }, { {}, {
            raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        } }, function(client)
            assert.equal(0, assert(client:download(URL, path "a")).bytes)
            assert.equal(5, assert(client:download(URL, path "b")).bytes)
            assert.equal("", read "a")
            assert.equal("hello", read "b")
            only("a", "b")
        end)
    end)

    it("isn't kept by the client's cache as well", function()
        against({ text = TEXT, more = "Cache-Control: max-age=60\r\n" }, {}, function(client)
            assert(client:download(URL, path()))
            assert(client:download(URL, path()))
            assert.equal(2, client:stats().requests)
        end, { cache = true })
    end)

    it("goes on where it broke off, with a part of the same version only", function()
        against(THING, { { cut = 100000 }, { cut = 150000 }, {} }, function(client, _, log)
            local done = assert(client:download(URL, path(), { sha256 = sha256(TEXT) }))
            assert.equal(3, done.attempts)
            assert.equal(0, done.resumed_from)
            assert.equal(206, done.response.status)
            assert.equal(sha256(TEXT), done.sha256)
            assert.equal(TEXT, read())
            assert.equal("bytes=100000-", header(log.heads[2], "Range"))
            assert.equal('"v1"', header(log.heads[2], "If-Range"))
            assert.equal("bytes=250000-", header(log.heads[3], "Range"))
            only "file"
        end)
    end)

    it("goes on where another run has stopped", function()
        against(THING, { { cut = 100000 }, {} }, function(client, _, log)
            local err = broken_off(client)
            assert.equal("closed", err.kind)
            assert.equal("body", err.phase)
            assert.truthy(err.message:find "broke off after 97.7 KiB of 293.0 KiB: ", err.message)
            only("file.part", "file.part.info")
            assert.equal(TEXT:sub(1, 100000), read "file.part")
            local done = assert(client:download(URL, path(), {
                resume = true, sha256 = sha256(TEXT):upper(),
            }))
            assert.equal(100000, done.resumed_from)
            assert.equal(1, done.attempts)
            assert.equal(#TEXT, done.bytes)
            assert.equal(TEXT, read())
            assert.equal("bytes=100000-", header(log.heads[2], "Range"))
            only "file"
        end)
    end)

    it("leaves nothing behind when nobody wants to go on", function()
        against(THING, { { cut = 100000 }, { cut = 10 } }, function(client, m, log)
            local started = m:now()
            local done, err = client:download(URL, path(), { retry = { attempts = 3 } })
            assert.is_nil(done)
            assert.equal("closed", err.kind)
            assert.is_nil(err.path)
            assert.equal(3, #log.heads)
            assert.is_true(m:now() > started)
            only()
        end)
    end)

    it("begins anew unless it is told to resume", function()
        against(THING, { { cut = 100000 }, {} }, function(client, _, log)
            broken_off(client)
            local done = assert(client:download(URL, path()))
            assert.equal(0, done.resumed_from)
            assert.is_nil(header(log.heads[2], "Range"))
            assert.equal(TEXT, read())
        end)
    end)

    it("doesn't go on with what is of another URL", function()
        against(THING, { { cut = 100000 }, {} }, function(client, _, log)
            broken_off(client)
            assert(client:download(URL .. "?x=2", path(), { resume = true }))
            assert.is_nil(header(log.heads[2], "Range"))
            local info = kit.read "file.part.info"
            assert.is_nil(info)
        end)
    end)

    it("begins anew where the thing has changed meanwhile", function()
        local new = { text = kit.text(200000, 7), tag = '"v2"' }
        against(THING, { { cut = 100000 }, { thing = new, cut = 50000 }, {} },
            function(client, _, log)
                local done = assert(client:download(URL, path()))
                assert.equal(new.text, read())
                assert.equal(#new.text, done.bytes)
                assert.equal('"v2"', header(log.heads[3], "If-Range"))
                assert.equal("bytes=50000-", header(log.heads[3], "Range"))
            end)
    end)

    it("begins anew where there is no strong validator", function()
        local recent = "Last-Modified: Sun, 29 Nov 2026 11:59:30 GMT\r\n"
        for _, thing in ipairs {
            { text = TEXT, tag = false }, { text = TEXT, tag = 'W/"v1"' },
            { text = TEXT, tag = 'W/"v1"', more = recent:gsub("11:59", "10:59") },
            { text = TEXT, tag = false, more = recent }, { text = TEXT, tag = '"a", "b"' },
        } do
            against(thing, { { cut = 100000 }, {}, { cut = 100000 } }, function(client, _, log)
                local done = assert(client:download(URL, path()))
                assert.equal(2, done.attempts)
                assert.is_nil(header(log.heads[2], "Range"))
                assert.equal(TEXT, read())
                local _, err = client:download(URL, path "b", { resume = true, retry = false })
                assert.is_nil(err.path) -- nobody could go on with it
                only "file"
            end)
        end
    end)

    it("takes a date that is old enough for one", function()
        local changed = "Sun, 29 Nov 2026 11:58:30 GMT"
        against({ text = TEXT, tag = false, more = "Last-Modified: " .. changed .. "\r\n" },
            { { cut = 100000 }, { more = "" } }, function(client, _, log)
                assert.equal(2, assert(client:download(URL, path())).attempts)
                assert.equal(changed, header(log.heads[2], "If-Range"))
                assert.equal(TEXT, read())
            end)
    end)

    it("that is whole already takes its name", function()
        against(THING, { { cut = 100000 }, {} }, function(client)
            broken_off(client)
            kit.write("file.part", TEXT)
            local done = assert(client:download(URL, path(), { resume = true }))
            assert.equal(416, done.response.status)
            assert.equal(#TEXT, done.resumed_from)
            assert.equal(TEXT, read())
            only "file"
        end)
    end)

    it("begins anew where the part is longer than the thing", function()
        against(THING, { { cut = 100000 }, {} }, function(client, _, log)
            broken_off(client)
            kit.write("file.part", TEXT .. "and more")
            assert(client:download(URL, path(), { resume = true }))
            assert.equal(TEXT, read())
            assert.is_nil(header(log.heads[2], "Range"))
        end)
    end)

    it("keeps what it replaces until then", function()
        against(THING, { { cut = 100000 }, {} }, function(client)
            kit.write("file", "old")
            os.execute("chmod 640 " .. support.quote(path()))
            broken_off(client)
            assert.equal("old", read())
            assert(client:download(URL, path(), { resume = true }))
            assert.equal(TEXT, read())
            local _, mode = support.run { "stat", "-c", "%a", path() }
            assert.equal("640\n", mode)
        end)
    end)

    it("replaces nothing where it is told so", function()
        against(THING, {}, function(client, _, log)
            kit.write("file", "old")
            local done, err = client:download(URL, path(), { overwrite = false })
            assert.is_nil(done)
            assert.equal("system", err.kind)
            assert.equal("EEXIST", err.code)
            assert.equal(0, #log.heads)
            local other = { overwrite = false, progress = function(info)
                if info.bytes == #TEXT then
                    kit.write("new", "somebody was faster")
                end
            end }
            done, err = client:download(URL, path "new", other)
            assert.is_nil(done)
            assert.equal("EEXIST", err.code)
            assert.equal("somebody was faster", read "new")
            only("file", "new")
        end)
    end)

    it("throws away what has another SHA-256", function()
        against(THING, { { cut = 100000 }, {} }, function(client)
            kit.write("file", "old")
            broken_off(client)
            kit.write("file.part", "x" .. TEXT:sub(2, 100000)) -- the disk's fault
            local done, err = client:download(URL, path(), {
                resume = true, sha256 = sha256(TEXT),
            })
            assert.is_nil(done)
            assert.equal("body", err.kind)
            assert.truthy(err.message:find(sha256(TEXT), 1, true))
            assert.truthy(err.message:find(sha256("x" .. TEXT:sub(2)), 1, true))
            assert.is_nil(err.path)
            assert.equal("old", read())
            only "file"
        end)
    end)

    it("is the only one that writes to its part", function()
        against(THING, { { cut = 100000, stall = true }, {} }, function(client)
            moonwire.scope(function(scope)
                local first = scope:spawn(function()
                    return client:download(URL, path(), { timeout = { idle = 20 } })
                end)
                moonwire.sleep(1)
                local done, err = client:download(URL, path())
                assert.is_nil(done)
                assert.equal("EBUSY", err.code)
                assert.truthy(err.message:find(path "file.part", 1, true))
                assert.equal(2, assert(first:join()).attempts)
            end)
            assert.equal(TEXT, read())
            only "file"
        end)
    end)

    it("touches no file that only looks like a part", function()
        against(THING, {}, function(client, _, log)
            kit.write("file.part", "of a browser")
            for _, resume in ipairs { true, false } do
                local done, err = client:download(URL, path(), { resume = resume })
                assert.is_nil(done)
                assert.equal("EEXIST", err.code)
            end
            assert.equal("of a browser", read "file.part")
            os.remove(path "file.part")
            kit.write("secret", "untouched")
            os.execute(("ln -s secret %s"):format(support.quote(path "file.part.info")))
            assert(client:download(URL, path()))
            assert.equal("untouched", read "secret")
            log.heads = {}
            kit.write("secret", "")
            os.execute(("ln -s secret %s"):format(support.quote(path "file.part")))
            local done, err = client:download(URL, path())
            assert.is_nil(done)
            assert.truthy(err.message:find "no regular file")
            assert.equal("", read "secret")
            assert.equal(0, #log.heads)
        end)
    end)

    it("ends with the scope that it runs in, and can be gone on with", function()
        against(THING, { { cut = 100000, stall = true }, {} }, function(client)
            local done, err = moonwire.timeout(2, function()
                local got, problem = client:download(URL, path(), { resume = true })
                assert.is_nil(got)
                assert.equal("cancelled", problem.kind)
                assert.equal(path "file.part", problem.path)
                return got, problem
            end)
            assert.is_nil(done)
            assert.truthy(err)
            assert.equal(100000, assert(client:download(URL, path(), { resume = true }))
                .resumed_from)
        end)
    end)

    it("has one time for all of it", function()
        against(THING, { { cut = 1000, stall = true } }, function(client, m)
            local started = m:now()
            local done, err = client:download(URL, path(), {
                timeout = { total = 10, idle = 3 }, retry = { base = 0.1, attempts = 99 },
            })
            assert.is_nil(done)
            assert.equal("timeout", err.kind)
            assert.is_true(m:now() - started <= 10.01)
            assert.is_true(m:now() - started > 9)
        end)
    end)

    it("is refused where it is larger than max_body", function()
        against(THING, { {}, { cut = 100000 } }, function(client, _, log)
            local done, err = client:download(URL, path(), { max_body = 299999 })
            assert.is_nil(done)
            assert.equal("limit", err.kind)
            only()
            assert(client:download(URL, path "b", { max_body = 300000, retry = { base = 0 } }))
            assert.is_true(#log.heads > 2)
        end)
    end)
end)

describe("a download's attempts", function()
    it("are as many as the policy says, and wait as long as the server says", function()
        local busy = { status = 503, more = "Retry-After: 7\r\n" }
        against(THING, { busy, busy, {} }, function(client, m, log)
            local started = m:now()
            local done = assert(client:download(URL, path()))
            assert.equal(3, done.attempts)
            assert.equal(14, m:now() - started)
            log.heads = {}
        end)
        against(THING, { { status = 503 } }, function(client, _, log)
            local done, err = client:download(URL, path(), { retry = { attempts = 2 } })
            assert.is_nil(done)
            assert.equal("body", err.kind)
            assert.equal(503, err.status)
            assert.equal(2, #log.heads)
            client:download(URL, path(), { retry = { statuses = {} } })
            assert.equal(3, #log.heads)
            client:download(URL, path(), { retry = false })
            assert.equal(4, #log.heads)
            client:download(URL, path())
            assert.equal(9, #log.heads)
            only()
        end)
    end)

    it("are those of the client's policy, once", function()
        against(THING, { { status = 503 } }, function(client, _, log)
            client:download(URL, path())
            assert.equal(3, #log.heads)
            client:download(URL, path(), { retry = { attempts = 2 } })
            assert.equal(5, #log.heads)
        end, { retry = { attempts = 3 } })
    end)

    it("aren't made for what is final", function()
        against(THING, { { status = 404 } }, function(client, _, log)
            local done, err = client:download(URL, path(), { resume = true })
            assert.is_nil(done)
            assert.equal("body", err.kind)
            assert.equal(404, err.status)
            assert.truthy(err.message:find "the server answered 404")
            assert.equal(1, #log.heads)
            only()
        end)
    end)

    it("are counted anew while it gets on, and come to an end where it doesn't", function()
        against({ text = kit.text(1000000) }, { { cut = 70000 } }, function(client)
            local done = assert(client:download(URL, path(), { retry = { attempts = 2 } }))
            assert.equal(15, done.attempts)
        end)
        for _, how in ipairs { { cut = 1 }, { cut = 100000, ignores_range = true } } do
            against(THING, { how }, function(client, _, log)
                local done, err = client:download(URL, path(), { retry = { attempts = 4 } })
                assert.is_nil(done)
                assert.equal("closed", err.kind)
                assert.is_true(#log.heads <= 8)
            end)
        end
    end)

    it("go on where the server sends less than was asked for", function()
        local function piece(from)
            return { body = TEXT:sub(from + 1, from + 100000),
                range = ("bytes %d-%d/300000"):format(from, from + 99999) }
        end
        against(THING, { { cut = 100000 }, piece(100000), piece(200000) }, function(client)
            assert.equal(3, assert(client:download(URL, path())).attempts)
            assert.equal(TEXT, read())
        end)
    end)

    it("give up a server that nobody reaches", function()
        against(THING, {}, function(client, m)
            local done, err = client:download("http://other/", path())
            assert.is_nil(done)
            assert.equal("connect", err.kind)
            assert.is_true(m:now() > 0)
            only()
        end)
    end)
end)

describe("a download's way", function()
    it("may lead elsewhere, with the part that is asked for", function()
        local moved = "HTTP/1.1 302 X\r\nLocation: http://h/%s\r\nContent-Length: 0\r\n\r\n"
        against(THING, { { raw = moved:format "a" }, { cut = 100000 }, { raw = moved:format "b" },
            {} }, function(client, _, log)
                local done = assert(client:download(URL, path()))
                assert.equal(2, done.attempts)
                assert.equal("http://h/b", done.response.url)
                assert.equal("bytes=100000-", header(log.heads[3], "Range"))
                assert.equal("bytes=100000-", header(log.heads[4], "Range"))
                assert.equal('"v1"', header(log.heads[4], "If-Range"))
                assert.equal(TEXT, read())
            end)
    end)

    it("has what goes with every request of the client, and with this one", function()
        against(THING, { { cut = 100000 }, {} }, function(client, _, log)
            assert(client:download("dir/thing", path(), {
                query = { a = 1 }, headers = { ["X-Two"] = "2" }, auth = { "me", "pw" },
            }))
            for _, head in ipairs(log.heads) do
                assert.truthy(head:find("GET /base/dir/thing?a=1 ", 1, true))
                assert.equal("1", header(head, "X-One"))
                assert.equal("2", header(head, "X-Two"))
                assert.truthy(header(head, "Authorization"))
                assert.equal("identity", header(head, "Accept-Encoding"))
            end
        end, { base_url = "http://h/base", headers = {
            ["X-One"] = "1", ["Accept-Encoding"] = "gzip",
        } })
    end)

    it("brings the bytes as they come, whatever coding is on them", function()
        local thing = { text = TEXT, more = "Content-Encoding: gzip\r\n" }
        against(thing, { { cut = 1000 }, {} }, function(client)
            local done = assert(client:download(URL, path()))
            assert.equal(TEXT, read())
            assert.equal("gzip", done.response.headers:get "content-encoding")
        end)
    end)

    it("may be a test's, in place of the network", function()
        local transport = testing.transport()
        transport:on("GET", "https://api.test/file", {
            body = TEXT, headers = { ETag = '"1"' },
        })
        against(THING, {}, function(client)
            testing.with(transport, function()
                assert.equal(#TEXT, assert(client:download("https://api.test/file", path())).bytes)
            end)
            assert.equal(TEXT, read())
        end)
    end)

    it("doesn't end before the whole where nobody says how much that is", function()
        against(THING, { { cut = 100000 }, { range = "bytes 100000-299999/*" },
            { range = "bytes 100000-299999/*" }, {} }, function(client, _, log)
                broken_off(client)
                kit.write("file.part.info", (read "file.part.info":gsub("total: %d+\n", "")))
                local done = assert(client:download(URL, path(), { resume = true }))
                assert.equal(416, done.response.status)
                assert.equal("bytes=300000-", header(log.heads[3], "Range"))
                assert.equal(TEXT, read())
            end)
    end)
end)

describe("a download's hash", function()
    it("keeps nobody waiting, and can be given up", function()
        local size = 24 * 1024 * 1024
        support.in_loop(function()
            local server = assert(require("moonwire.testing.server").start())
            local client = require("moonwire.http").client()
            local dir = support.temp_dir()
            local turns, hashing
            local function tell(info)
                if info.bytes == size and not hashing then
                    hashing = true
                end
            end
            moonwire.scope(function(scope)
                scope:spawn(function()
                    while not hashing do
                        moonwire.sleep(0.001)
                    end
                    turns = 0
                    while hashing do
                        turns = turns + 1
                        moonwire.sleep(0)
                    end
                end)
                local _, err = client:download(server.url .. "/bytes/" .. size, dir .. "/file", {
                    sha256 = ("0"):rep(64), progress = tell,
                })
                assert.equal("body", err.kind)
                hashing = false
            end)
            assert.is_true(turns > 2, turns)
            hashing = nil
            moonwire.scope(function(scope)
                local task = scope:spawn(function()
                    local done, err = client:download(server.url .. "/range/" .. size,
                        dir .. "/other", { sha256 = ("0"):rep(64), progress = tell, resume = true })
                    assert.is_nil(done)
                    assert.equal("cancelled", err.kind)
                    assert.equal(dir .. "/other.part", err.path)
                end)
                while not hashing do
                    moonwire.sleep(0)
                end
                task:cancel()
            end)
            client:close()
            server:close()
        end)
    end)
end)
