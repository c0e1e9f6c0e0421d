local backends = require "moonwire.backend"
local core = require "moonwire.core"
local scope = require "moonwire.scope"
local wire = require "spec.support.wire"

local ASKED, responding, is_failure = wire.ASKED, wire.responding, wire.is_failure
local OK = wire.reply "hello"

describe("save", function()
    local folder, path

    before_each(function()
        folder = os.tmpname()
        os.remove(folder)
        os.execute("mkdir " .. folder)
        path = folder .. "/file"
    end)

    after_each(function()
        os.execute("rm -rf " .. folder)
    end)

    local function content()
        local file = io.open(path, "rb")
        local text = file and file:read "*a"
        if file then
            file:close()
        end
        return text
    end

    local function names()
        local pipe = io.popen("ls -A " .. folder)
        local text = pipe:read "*a"
        pipe:close()
        return text
    end

    it("writes what came with the head and what comes later", function()
        local script = { ASKED, { send = OK:sub(1, -3) }, { delay = 1 }, { send = "lo" } }
        wire.over(script, function(connection)
            local response = assert(connection:request(wire.request()))
            assert.is_true(response:save(path))
            assert.equal("hello", content())
            assert.equal("file\n", names())
            assert.is_true(connection:is_idle())
            assert.is_nil((response:read()))
        end)
        wire.over({ ASKED, { send = OK } }, function(connection)
            assert.is_true(assert(connection:request(wire.request())):save(path))
            assert.equal("hello", content())
        end)
    end)

    it("keeps what was there until the body is whole", function()
        os.execute("printf old > " .. path)
        responding({ "abc" }, function(response)
            is_failure("closed", response:save(path))
            assert.equal("old", content())
            assert.equal("file\n", names())
        end, { length = 4 })
        responding({ "abc" }, function(response)
            assert(response:save(path))
            assert.equal("abc", content())
        end, {})
    end)

    it("writes into what is no regular file, and takes nobody's place", function()
        local link = folder .. "/link"
        os.execute(("printf old > %s && ln -s %s %s"):format(path, path, link))
        responding({ "abc" }, function(response)
            assert(response:save(link))
            assert.equal("abc", content())
            assert.equal("file\nlink\n", names())
            assert.equal("link", core.path_kind(link))
        end, {})
        os.execute("rm " .. link .. " && ln -s /dev/full " .. link)
        responding({ "abc" }, function(response)
            local err = is_failure("system", response:save(link))
            assert.matches("No space left", tostring(err))
            is_failure("system", response:read())
            assert.equal("link", core.path_kind(link))
        end, { length = 4 })
        os.execute("rm " .. link .. " && mkfifo " .. link .. " && (cat " .. link .. " > " .. path
            .. " &)")
        responding({ "abc" }, function(response)
            assert(response:save(link))
            assert.equal("other", core.path_kind(link))
        end, {})
        os.remove(link)
    end)

    it("says where it can't write, and leaves the body for another try", function()
        responding({ "abc" }, function(response)
            local err = is_failure("system", response:save(folder .. "/none/file"))
            assert.matches("No such file or directory", tostring(err))
            assert(response:save(path))
            assert.equal("abc", content())
        end, {})
    end)

    it("says that the disk is full", function()
        local open = io.open
        for _, pieces in ipairs { { "abc" }, { ("x"):rep(10000), ("x"):rep(10000) } } do
            responding(pieces, function(response, connection)
                io.open = function() -- luacheck: ignore 122 (put back below)
                    return open("/dev/full", "wb")
                end
                local results = { pcall(response.save, response, path) }
                io.open = open -- luacheck: ignore 122
                assert.is_true(results[1])
                local err = is_failure("system", results[2], results[3])
                assert.matches("[Nn]o space left", tostring(err))
                assert.matches(path, tostring(err), 1, true)
                assert.is_true(connection:is_closed() or connection:is_idle())
            end, {})
        end
    end)

    it("takes a path only", function()
        responding({}, function(response)
            assert.error_matches(function()
                response:save(1)
            end, "bad argument 'path'")
        end, {})
    end)

    it("makes no Lua strings of a large body", function()
        local piece = ("x"):rep(65536)
        local pieces = {}
        for index = 1, 200 do
            pieces[index] = piece
        end
        responding(pieces, function(response)
            collectgarbage()
            local before = collectgarbage "count"
            local most = 0
            local watcher = scope.spawn(function()
                local backend = backends.current()
                for _ = 1, 20 do
                    backend:wait(backend:now() + 0.01)
                    most = math.max(most, collectgarbage "count" - before)
                end
            end)
            assert(response:save(path))
            watcher:join()
            assert.is_true(most < 4096)
            assert.equal(200 * 65536, #content())
        end, {})
    end)
end)
