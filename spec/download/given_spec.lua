-- What a script gives a download: where to, who is told, and what is wrong with it.
local kit = require "spec.support.download"
local support = require "spec.support"

local against, only, path, read = kit.against, kit.only, kit.path, kit.read
local TEXT = kit.text(300000)
local THING = { text = TEXT }
local URL = "http://h/dir/thing.bin"

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

describe("a download's name", function()
    local function named(disposition)
        return { text = "x", more = "Content-Disposition: " .. disposition .. "\r\n" }
    end

    it("is the server's, or the URL's, where a folder is given", function()
        against(named 'attachment; filename="a b.txt"', {}, function(client)
            assert.equal(path "a b.txt", assert(client:download(URL, path "")).path)
            assert.equal("x", read "a b.txt")
        end)
        against({ text = "y" }, {}, function(client)
            assert.equal(path "thing.bin", assert(client:download(URL .. "?q", path "")).path)
            local done, err = client:download(URL, path "")
            assert.is_nil(done)
            assert.equal("EEXIST", err.code)
            assert(client:download(URL, path "", { overwrite = true }))
            only "thing.bin"
        end)
    end)

    it("never leads out of the folder", function()
        against(named 'attachment; filename="../../etc/.pass\\"wd"', {}, function(client)
            assert.equal(path 'pass"wd', assert(client:download(URL, path "")).path)
            only 'pass"wd'
        end)
    end)

    it("is found out before it goes on with what is there", function()
        against(THING, { { cut = 100000 }, {} }, function(client, _, log)
            local opts = { resume = true, retry = false }
            local _, err = client:download(URL, path "", opts)
            assert.equal(path "thing.bin.part", err.path)
            local done = assert(client:download(URL, path "", opts))
            assert.equal(path "thing.bin", done.path)
            assert.equal(100000, done.resumed_from)
            assert.equal(2, done.attempts)
            assert.equal("bytes=100000-", header(log.heads[3], "Range"))
            assert.equal(TEXT, read "thing.bin")
        end)
    end)
end)

describe("a download's progress", function()
    it("is told from where it goes on to its end", function()
        against(THING, { { cut = 100000 }, {} }, function(client)
            broken_off(client)
            local seen = {}
            assert(client:download(URL, path(), { resume = true, progress = function(info)
                seen[#seen + 1] = info.bytes
                assert.equal(#TEXT, info.total)
                assert.equal(path(), info.path)
            end }))
            assert.equal(100000, seen[1])
            assert.equal(#TEXT, seen[#seen])
            for i = 2, #seen do
                assert.is_true(seen[i] >= seen[i - 1])
            end
        end)
    end)

    it("that raises ends it, and what is there stays or goes as ever", function()
        for _, resume in ipairs { true, false } do
            against(THING, {}, function(client)
                for _, at in ipairs { 0, #TEXT } do
                    local ok, problem = pcall(client.download, client, URL, path(), {
                        resume = resume, progress = function(info)
                            if info.bytes >= at then
                                error "enough"
                            end
                        end,
                    })
                    assert.is_false(ok)
                    assert.truthy(tostring(problem):find "enough")
                end
                if resume then
                    only("file.part", "file.part.info")
                    assert.equal(TEXT, read "file.part")
                else
                    only()
                end
            end)
        end
    end)

    it("is shown on stderr only where it is wanted", function()
        local code, out, err = support.run({ support.moonwire(), "-e", [[
            local http = require "moonwire.http"
            local server = require("moonwire.testing.server").start()
            assert(http.download(server.url .. "/bytes/300000", os.getenv "DIR" .. "/quiet"))
            assert(http.download(server.url .. "/bytes/300000", os.getenv "DIR" .. "/told",
                { progress = true }))
            server:close()
        ]] }, { env = { DIR = support.temp_dir() } })
        assert.equal(0, code, err)
        assert.equal("", out)
        assert.equal("told: 100%, 293.0/293.0 KiB, done in 0:00\n", err)
    end)
end)

describe("a download's arguments", function()
    local function raises(words, ...)
        local args = { ... }
        against(THING, {}, function(client, _, log)
            local ok, problem = pcall(function()
                local done, err = client:download(unpack(args, 1, 3))
                return done, err
            end)
            assert.is_false(ok)
            assert.truthy(problem:find(words, 1, true), problem)
            assert.truthy(problem:find("spec/download/given_spec.lua", 1, true), problem)
            assert.equal(0, #log.heads)
            only()
        end)
    end

    it("are checked before anything is sent or written", function()
        local to = "/tmp/never-written"
        raises("bad argument 'url'", nil, to)
        raises("bad argument 'path'", URL, 5)
        raises("bad argument 'path'", URL, "")
        raises("bad argument 'path'", URL, "a\0b")
        raises("bad argument 'opts'", URL, to, "resume")
        raises("unknown option 'resum' (known: ", URL, to, { resum = true })
        for _, name in ipairs { "body", "json", "form", "upgrade", "method", "expect",
            "upload_progress" } do
            raises("unknown option '" .. name .. "'", URL, to, { [name] = "x" })
        end
        raises("bad argument 'resume'", URL, to, { resume = 1 })
        raises("bad argument 'overwrite'", URL, to, { overwrite = "no" })
        raises("bad argument 'progress'", URL, to, { progress = "yes" })
        raises("bad argument 'sha256'", URL, to, { sha256 = "abc" })
        raises("bad argument 'sha256'", URL, to, { sha256 = 5 })
        raises("bad argument 'retry.attempts'", URL, to, { retry = { attempts = 0 } })
        raises("bad argument 'timeout'", URL, to, { timeout = -1 })
        for _, name in ipairs { "Range", "if-range", "Accept-Encoding" } do
            raises("a download sets it itself", URL, to, { headers = { [name] = "x" } })
            raises("a download sets it itself", URL, to, { headers = { { name, "x" } } })
            raises("a download sets it itself", URL, to,
                { headers = require("moonwire.headers").new { [name] = "x" } })
        end
        raises("headers", URL, to, { headers = 5 })
    end)

    it("that can't be written to are said in words before anything is sent", function()
        against(THING, {}, function(client, _, log)
            for to, words in pairs {
                [path "no/such"] = "no such file", ["/dev/null"] = "it is no regular file",
                [path(("x"):rep(300))] = "the name is too long",
                ["/proc/version/x"] = "not a directory",
            } do
                local done, err = client:download(URL, to)
                assert.is_nil(done)
                assert.equal("system", err.kind)
                assert.truthy(err.message:find(words, 1, true), err.message)
                assert.truthy(err.message:find(to, 1, true), err.message)
            end
            assert.equal(0, #log.heads)
            only()
        end)
    end)
end)
