-- Files in the making: what the core does with them.

local core = require "moonwire.core"
local support = require "spec.support"

local dir = support.temp_dir()

local function path(name)
    return dir .. "/" .. name
end

local function make(name, text)
    local file = assert(io.open(path(name), "w+b"))
    file:write(text or "")
    file:flush()
    return file
end

local function name_of(code)
    return code and core.error_name(code)
end

local function stat(format, name)
    local _, out = support.run { "stat", "-c", format, path(name) }
    return (out:gsub("\n$", ""))
end

describe("core.path_kind", function()
    it("says what stands there", function()
        make("kind"):close()
        os.execute(("cd %s && ln -sf kind link && ln -sf nowhere broken && mkfifo fifo"):format(
            support.quote(dir)))
        assert.equal("file", core.path_kind(path "kind"))
        assert.equal("link", core.path_kind(path "link"))
        assert.equal("link", core.path_kind(path "broken"))
        os.execute(("cd %s && ln -sf . here"):format(support.quote(dir)))
        assert.equal("folder", core.path_kind(path "here"))
        assert.equal("folder", core.path_kind(dir))
        assert.equal("other", core.path_kind(path "fifo"))
        assert.equal("other", core.path_kind "/dev/null")
        for name, expected in pairs {
            none = "ENOENT", ["kind/x"] = "ENOTDIR",
        } do
            local kind, code = core.path_kind(path(name))
            assert.is_nil(kind)
            assert.equal(expected, name_of(code))
        end
        assert.has_error(function()
            core.path_kind "a\0b"
        end)
        assert.has_error(function()
            core.path_kind()
        end)
    end)
end)

describe("core.part_claim", function()
    local function claim(file, name)
        local ok, code = core.part_claim(file, path(name))
        return ok or name_of(code)
    end

    it("gives a file to one at a time", function()
        local first = make "claimed"
        local second = assert(io.open(path "claimed", "r+b"))
        assert.is_true(claim(first, "claimed"))
        assert.is_true(claim(first, "claimed"))
        assert.equal("EAGAIN", claim(second, "claimed"))
        first:close()
        assert.is_true(claim(second, "claimed"))
        second:close()
    end)

    it("refuses what has no such name any more, and what is no file", function()
        local file = make "old"
        os.remove(path "old")
        assert.equal("ESTATE", claim(file, "old"))
        make("old"):close()
        assert.equal("ESTATE", claim(file, "old"))
        file:close()
        file = make "real"
        os.execute("ln -sf real " .. support.quote(path "alias"))
        assert.equal("EINVAL", claim(file, "alias"))
        file:close()
        local null = assert(io.open("/dev/null", "r+b"))
        local ok, code = core.part_claim(null, "/dev/null")
        null:close()
        assert.is_nil(ok)
        assert.equal("EINVAL", name_of(code))
        assert.has_error(function()
            core.part_claim(null, "/dev/null") -- closed
        end)
    end)
end)

describe("a part's room", function()
    it("is there or not before a byte is written", function()
        local file = make("room", "12345")
        assert.is_true(core.part_check_room(file, 1000000))
        local ok, code, free = core.part_check_room(file, 2 ^ 52)
        assert.is_nil(ok)
        assert.equal("ENOSPC", name_of(code))
        assert.is_true(free > 0 and free < 2 ^ 52)
        for _, wrong in ipairs { -1, 2 ^ 53, 0 / 0 } do
            assert.has_error(function()
                core.part_check_room(file, wrong)
            end)
        end
        file:close()
    end)

    it("is put aside and given back, and its length stays", function()
        local file = make("aside", "12345")
        assert.is_true(core.part_reserve(file, 4 * 1024 * 1024))
        assert.equal("5", stat("%s", "aside"))
        local reserved = tonumber(stat("%b", "aside"))
        file:seek "end"
        file:write "678" -- not flushed
        assert.is_true(core.part_cut(file, 7))
        assert.equal("7", stat("%s", "aside"))
        assert.is_true(tonumber(stat("%b", "aside")) < 8192)
        assert.is_true(reserved >= 8192 or reserved <= 8) -- where it can't, nothing is put aside
        assert.is_true(core.part_sync(file))
        file:close()
        file = io.open(path "aside", "rb")
        assert.equal("1234567", file:read "*a")
        local ok, code = core.part_cut(file, 3) -- open for reading
        assert.is_nil(ok)
        assert.equal("EINVAL", name_of(code))
        file:close()
    end)
end)

describe("core.part_publish", function()
    it("renames, and replaces only what may be replaced", function()
        make("p", "new"):close()
        make("q", "old"):close()
        local ok, code = core.part_publish(path "p", path "q", false)
        assert.is_nil(ok)
        assert.equal("EEXIST", name_of(code))
        assert.is_true(core.part_publish(path "p", path "r", false))
        assert.is_true(core.part_publish(path "r", path "q", true))
        local file = io.open(path "q")
        assert.equal("new", file:read "*a")
        file:close()
        assert.is_nil(io.open(path "p"))
        assert.is_nil(io.open(path "r"))
        ok, code = core.part_publish(path "p", path "none/q", true)
        assert.is_nil(ok)
        assert.equal("ENOENT", name_of(code))
    end)

    it("finds the folder of a bare name", function()
        local script = ([[
            local core = require "moonwire.core"
            io.open("a", "w"):close()
            assert(core.part_publish("a", "b", false))
            assert(core.path_kind "b" == "file")
        ]])
        local code, _, err = support.run(("cd %s && %s -e %s"):format(support.quote(dir),
            support.quote(io.popen("realpath " .. support.quote(support.moonwire())):read "*l"),
            support.quote(script)))
        assert.equal("", err)
        assert.equal(0, code)
    end)
end)

describe("core.part_imitate", function()
    it("gives the permissions of another file, and nothing more", function()
        make("model"):close()
        os.execute("chmod 4751 " .. support.quote(path "model"))
        local file = make "copy"
        core.part_imitate(file, path "model")
        assert.equal("751", stat("%a", "copy"))
        os.execute("chmod 444 " .. support.quote(path "model"))
        core.part_imitate(file, path "model", true)
        assert.equal("644", stat("%a", "copy"))
        core.part_imitate(file, path "model", false)
        assert.equal("444", stat("%a", "copy"))
        os.execute("chmod 751 " .. support.quote(path "copy"))
        core.part_imitate(file, path "none")
        core.part_imitate(file, dir)
        assert.equal("751", stat("%a", "copy"))
        file:close()
    end)
end)
