-- Both stores by themselves, and what stands in a folder's files.
local core = require "moonwire.core"
local record = require "moonwire.cache.record"
local rules = require "spec.support.cache_rules"
local store_folder = require "moonwire.cache.store_folder"
local store_memory = require "moonwire.cache.store_memory"
local support = require "spec.support"

local function id(number)
    return ("%064x"):format(number)
end

local function entry(text, ...)
    return rules.entry({ "X-A: 1", "x-a: 2", ... }, { body = text })
end

local function page(url)
    return { url = url, mark = "\0\1", names = { "a", "b" } }
end

local function lines_of(value)
    local list = {}
    for name, text in value.headers:each() do
        list[#list + 1] = name .. ": " .. text
    end
    return table.concat(list, "\n")
end

local function read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    return text
end

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

local function exists(path)
    local file = io.open(path, "rb")
    return file and file:close() or false
end

local function in_memory(max_bytes)
    return store_memory.new(max_bytes)
end

local function in_folder(max_bytes)
    local path = support.temp_dir() .. "/cache"
    return assert(store_folder.open(path, max_bytes)), path
end

for name, open in pairs { memory = in_memory, folder = in_folder } do
    describe("a store in " .. name, function()
        it("gives back what it was given", function()
            local store = open(1e6)
            assert.is_nil(store:get(id(1)))
            local body = "\0\255\r\n" .. ("x"):rep(10000)
            assert.is_true(store:put(id(1), entry(body, "X-B: \228 ", "X-C:")))
            assert.is_true(store:put(id(2), page "http://h/"))
            local got = store:get(id(1))
            assert.equal(body, got.body)
            assert.equal("X-A: 1\nx-a: 2\nX-B: \228\nX-C: ", lines_of(got))
            assert.same({ "http://h/", 200, "OK", "1.1", rules.THEN, rules.THEN },
                { got.url, got.status, got.reason, got.http_version, got.asked, got.answered })
            got = store:get(id(2))
            assert.same({ "http://h/", "\0\1", { "a", "b" } }, { got.url, got.mark, got.names })
            assert.is_true(store:put(id(2), entry "new"))
            assert.equal("new", store:get(id(2)).body)
            store:recount()
            assert.equal(2, store.count)
            store:remove(id(1))
            store:remove(id(1))
            store:recount()
            assert.is_nil(store:get(id(1)))
            assert.equal(1, store.count)
            store:clear()
            store:recount()
            assert.is_nil(store:get(id(2)))
            assert.same({ 0, 0, 0 }, { store.count, store.bytes, store.evicted })
            assert.is_true(store:put(id(2), entry "again"))
            assert.equal("again", store:get(id(2)).body)
        end)

        it("stays below its limit, and refuses what is above it alone", function()
            local store = open(100000)
            assert.is_false(store:put(id(0), entry(("x"):rep(100001))))
            for i = 1, 100 do
                assert.is_true(store:put(id(i), entry(("x"):rep(i * 100))))
                assert.is_true(store.bytes <= 100000)
            end
            store:recount()
            assert.is_true(store.bytes <= 100000 and store.bytes > 70000)
            assert.is_true(store.evicted > 50)
            assert.is_nil(store:get(id(1)))
            assert.equal(10000, #store:get(id(100)).body)
        end)
    end)
end

describe("a store in memory", function()
    it("drops first what nobody has asked for longest", function()
        local store = store_memory.new(10000)
        for i = 1, 3 do
            store:put(id(i), entry(("x"):rep(2000)))
        end
        store:get(id(1))
        store:put(id(4), entry(("x"):rep(3000)))
        assert.is_nil(store:get(id(2)))
        assert.is_truthy(store:get(id(1)))
        assert.is_truthy(store:get(id(3)))
        assert.equal(1, store.evicted)
    end)
end)

describe("a store in a folder", function()
    it("is its owner's alone, and outlasts the process", function()
        local store, path = in_folder(1e6)
        store:put(id(1), entry "one")
        local _, mode = support.run { "stat", "-c", "%a", path }
        assert.equal("700\n", mode)
        local again = assert(store_folder.open(path, 1e6))
        assert.equal(1, again.count)
        assert.equal("one", again:get(id(1)).body)
        local _, err = store_folder.open(path .. "/x/y", 1e6)
        assert.equal("system", err.kind)
        assert.equal("ENOENT", err.code)
        assert.is_truthy(tostring(err):find(path .. "/x/y", 1, true))
    end)

    it("leaves files alone that aren't its own", function()
        local store, path = in_folder(8192)
        for _, name in ipairs { "README", ("x"):rep(64), id(1) .. "0", "new-x", "new-0f" } do
            write(path .. "/" .. name, ("x"):rep(5000))
        end
        assert(os.execute("mkdir " .. path .. "/" .. id(9)) == 0)
        for i = 1, 8 do
            store:put(id(i), entry "x")
        end
        store:clear()
        for _, name in ipairs { "README", ("x"):rep(64), id(1) .. "0", "new-x", "new-0f" } do
            assert.is_true(exists(path .. "/" .. name), name)
        end
        assert.is_nil(store:get(id(9)))
        assert.is_false(exists(path .. "/" .. id(8)))
        -- what was begun and never finished is nobody's after an hour
        support.run { "touch", "-d", "2 hours ago", path .. "/new-0f", path .. "/README" }
        store:recount()
        assert.is_false(exists(path .. "/new-0f"))
        assert.is_true(exists(path .. "/README"))
    end)

    it("takes files that are broken for none, and removes them", function()
        local store, path = in_folder(1e6)
        store:put(id(1), entry("the body", "X-B: 1"))
        local whole = read(path .. "/" .. id(1))
        local function try(text, what)
            write(path .. "/" .. id(1), text)
            assert.is_nil(store:get(id(1)), what)
            assert.is_false(exists(path .. "/" .. id(1)), what)
        end
        for cut = 0, #whole - 1 do
            try(whole:sub(1, cut), "cut at " .. cut)
        end
        for at = 1, #whole do
            local changed = string.char((whole:byte(at) + 1) % 256)
            try(whole:sub(1, at - 1) .. changed .. whole:sub(at + 1), "changed at " .. at)
        end
        try(whole .. "x", "longer")
        try(("x"):rep(2e6), "another file, larger than all may be")
        write(path .. "/" .. id(1), whole)
        assert.equal("the body", store:get(id(1)).body)
    end)

    it("reads no nonsense out of files with a right sum", function()
        local whole = record.encode(entry("the body", "X-B: 1"))
        local magic, text = whole:match "^(.-\n)%x+\n(.*)$"
        local function decode(changed)
            local sum = assert(core.digest("SHA-256", changed)):finish()
            return record.decode(magic .. sum .. "\n" .. changed)
        end
        assert.equal("the body", decode(text).body)
        for _, wrong in ipairs {
            "", "x", "1:0", "1:1", "1:13:foo", "2:-15:hello", "4:1e994:page", "1:19999999999:x",
            "1:14:page", "1:24:page1:x", "1:24:page9:x", "1:nan", "4:99994:page",
            text:gsub("3:200", "3:199"), text:gsub("3:200", "5:200.5"), text:gsub("3:200", "1:x"),
            text:gsub("16:784111777.000000", "1:x"), text:gsub("3:X%-A", "3:X A"),
            text:gsub("2:13", "2:12"), (text:gsub("8:response", "7:respons")),
        } do
            assert.is_nil(decode(wrong), wrong)
        end
        math.randomseed(9111)
        for _ = 1, 2000 do
            local at = math.random(#text)
            local changed = text:sub(1, at - 1) .. string.char(math.random(32, 126))
                .. text:sub(at + 1)
            local value = decode(changed)
            assert.is_true(value == nil or type(value.url) == "string")
        end
    end)

    it("keeps nothing where the disk is full, and leaves nothing half-written", function()
        local _, path = in_folder(1e6)
        local status, output = support.run { "sh", "-c", [[
            trap '' XFSZ; ulimit -f 1; exec "$@"]], "sh", support.luajit(), "-e", ([[
            package.path, package.cpath = %q, %q
            local store = assert(require("moonwire.cache.store_folder").open(%q, 1e6))
            local rules = require "spec.support.cache_rules"
            local large = rules.entry({}, { body = ("x"):rep(100000) })
            local some = rules.entry({}, { body = ("x"):rep(2000) }) -- fails when it is closed
            local small = rules.entry({}, { body = "small" })
            local function put(number, entry)
                return store:put(("%%064x"):format(number), entry)
            end
            print(put(1, large), put(3, some), put(2, small))
            print(store.failed, store.count)
        ]]):format(package.path, package.cpath, path) }
        assert.equal(0, status, output)
        assert.equal("false\tfalse\ttrue\n2\t1\n", output)
        local _, listed = support.run { "ls", path }
        assert.equal(id(2) .. "\n", listed)
    end)

    it("is a store without anything when its folder is gone", function()
        local store, path = in_folder(1e6)
        store:put(id(1), entry "x")
        os.execute("rm -r " .. path)
        assert.is_nil(store:get(id(1)))
        assert.is_false(store:put(id(1), entry "x"))
        store:recount()
        assert.same({ 0, 1 }, { store.count, store.failed })
        store:clear()
    end)

    it("is used by several processes at once", function()
        local store, path = in_folder(300000)
        local script = ([[
            package.path, package.cpath = %q, %q
            local store = assert(require("moonwire.cache.store_folder").open(%q, 300000))
            local rules = require "spec.support.cache_rules"
            local number = tonumber(arg[1])
            math.randomseed(number)
            for i = 1, 400 do
                local key = math.random(40)
                local id = ("%%064x"):format(key)
                local got = store:get(id)
                if got then
                    assert(got.body == (got.reason):rep(key * 200), "mixed up")
                end
                store:put(id, rules.entry({}, { reason = tostring(number),
                    body = tostring(number):rep(key * 200) }))
                if i %% 50 == 0 then
                    store:remove(id)
                end
            end
            assert(store.failed == 0)
        ]]):format(package.path, package.cpath, path)
        local file = support.temp_dir() .. "/writer.lua"
        write(file, script)
        local words = {}
        for i = 1, 4 do
            words[i] = ('%s %s %d & all="$all $!"; '):format(support.luajit(), file, i)
        end
        local status, output = support.run { "sh", "-c",
            table.concat(words) .. "for one in $all; do wait $one || exit 1; done" }
        assert.equal("", output)
        assert.equal(0, status)
        store:recount()
        assert.is_true(store.bytes <= 300000)
        assert.is_true(store.count > 5)
        local _, listed = support.run { "ls", path }
        assert.is_nil(listed:find "new")
    end)
end)
