local core = require "moonwire.core"
local support = require "spec.support"

local function run(...)
    local status, output = support.run { ... }
    assert.equal(0, status, output)
    return output
end

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

describe("core.make_folder", function()
    it("makes one for its owner alone, and takes one that is there and his own", function()
        local path = support.temp_dir() .. "/new"
        assert.is_true(core.make_folder(path))
        assert.equal("700", run("stat", "-c", "%a", path):match "%d+")
        assert.is_true(core.make_folder(path))
        run("chmod", "755", path)
        assert.is_true(core.make_folder(path))
        run("ln", "-s", path, path .. ".link")
        assert.is_true(core.make_folder(path .. ".link"))
    end)

    it("takes nothing that others may write to, and no file", function()
        local path = support.temp_dir()
        for _, mode in ipairs { "770", "707", "1777" } do
            run("chmod", mode, path)
            assert.same({ nil, core.error_code "permission denied" }, { core.make_folder(path) })
        end
        run("chmod", "700", path)
        write(path .. "/file", "x")
        local function name_of(_, code)
            return core.error_name(code)
        end
        assert.equal("ENOTDIR", name_of(core.make_folder(path .. "/file")))
        assert.equal("ENOENT", name_of(core.make_folder(path .. "/no/where")))
        assert.equal("ENOENT", name_of(core.folder(path .. "/no")))
        assert.equal("ENOTDIR", name_of(core.folder(path .. "/file")))
    end)
end)

describe("core.folder", function()
    it("tells the plain files in it", function()
        local path, before = support.temp_dir(), os.time()
        write(path .. "/a", "")
        write(path .. "/b", "text")
        run("mkdir", path .. "/folder")
        run("ln", "-s", path .. "/b", path .. "/link")
        local folder, found = assert(core.folder(path)), {}
        while true do
            local name, size, changed = folder:next()
            if not name then
                break
            end
            found[name] = size
            assert.is_true(changed >= before - 1 and changed <= os.time() + 1)
        end
        assert.same({ a = 0, b = 4 }, found)
        local _, code = folder:next()
        assert.equal(core.ECLOSED, code)
        folder:close()
    end)

    it("may be closed, and dropped, before its end", function()
        collectgarbage()
        local before = support.counts().fds
        local path = support.temp_dir()
        write(path .. "/a", "")
        local folder = assert(core.folder(path))
        assert.equal("a", (folder:next()))
        folder:close()
        folder:close()
        assert.is_nil((folder:next()))
        assert(core.folder(path)):next()
        folder = nil -- luacheck: ignore 311
        collectgarbage()
        collectgarbage()
        assert.equal(before, support.counts().fds)
        assert.has_error(function()
            core.folder()
        end)
        assert.has_error(function()
            core.make_folder {}
        end)
    end)
end)
