local auth = require "moonwire.auth"
local clients = require "moonwire.client"
local requests = require "moonwire.request"

-- Holds that a call raises, here, in these words.
local function raises(words, call, ...)
    local ok, problem = pcall(call, ...)
    assert.is_false(ok)
    assert.is_truthy(tostring(problem):find(words, 1, true), problem)
    return tostring(problem)
end

local function raises_here(words, call)
    assert.is_truthy(raises(words, call):find "auth_spec%.lua:%d+: ")
end

describe("moonwire.auth", function()
    it("makes values that say their scheme and nothing else", function()
        local values = {
            basic = auth.basic("me", "hidden"), bearer = auth.bearer "hidden",
            digest = auth.digest("me", "hidden"), custom = auth.custom(function() end),
        }
        for scheme, value in pairs(values) do
            assert.equal(scheme, value.scheme)
            assert.equal("moonwire.Auth (" .. scheme .. ")", tostring(value))
            assert.is_true(auth.is(value))
            for name, field in pairs(value) do
                assert.is_nil(tostring(name):find "hidden")
                assert.is_true(type(field) ~= "string" or not field:find "hidden")
            end
        end
        assert.is_false(auth.is({ "me", "hidden" }))
        assert.is_false(auth.is(nil))
    end)

    it("raises where it is called on what can't be sent", function()
        raises_here("'user' (no colon can be in it)", function()
            auth.basic("a:b", "c")
        end)
        raises_here("'user' (no colon can be in it)", function()
            auth.digest("a:b", "c")
        end)
        raises_here("'user' (string expected, got nil)", function()
            auth.basic()
        end)
        raises_here("'password' (string expected, got nil)", function()
            auth.digest "a"
        end)
        raises_here("'password' (there are control characters in it)", function()
            auth.basic("a", "hidden\n")
        end)
        raises_here("'token' (letters, digits", function()
            auth.bearer "two words"
        end)
        raises_here("'token' (letters, digits", function()
            auth.bearer ""
        end)
        raises_here("'token' (string or function expected, got nil)", function()
            auth.bearer()
        end)
        raises_here("'call' (function expected, got string)", function()
            auth.custom "x"
        end)
        raises_here("'path' (string expected, got boolean)", function()
            auth.netrc(true)
        end)
    end)

    it("takes passwords with anything else in them", function()
        auth.basic("", "")
        auth.basic("j\195\164s", 'a:b "c" \\ \195\184')
        auth.bearer "aA0-._~+/=="
    end)
end)

describe("the option auth", function()
    local CASES = {
        { true, "'auth' ({user, password}, a value of moonwire.auth, function or false expected" },
        { "Bearer x", "got string" }, { 1, "got 1" },
        { {}, "'auth[1]' (string expected, got nil)" },
        { { "me" }, "'auth[2]' (string expected, got nil)" },
        { { "a:b", "c" }, "'auth[1]' (no colon can be in it)" },
        { { "a", "b\0" }, "'auth[2]' (there are control characters in it)" },
        { { "a", "b", "c" }, "got '3' as well" },
        { { "a", "b", realm = "x" }, "got 'realm' as well" },
        { requests.new { url = "http://h/" }, "got moonwire.Request" },
    }

    it("raises for a request and for a client, where that is made", function()
        local client = clients.new()
        for _, case in ipairs(CASES) do
            raises_here(case[2], function()
                clients.new { auth = case[1] }
            end)
            raises_here(case[2], function()
                client:get("http://h/", { auth = case[1] })
            end)
            raises_here(case[2], function()
                client:request(requests.new { url = "http://h/" }, { auth = case[1] })
            end)
        end
        client:close()
    end)
end)

describe("auth.netrc", function()
    local function with_file(text, f)
        local path = os.tmpname()
        local file = assert(io.open(path, "wb"))
        file:write(text)
        file:close()
        local ok, problem = xpcall(f, debug.traceback, path)
        os.remove(path)
        assert.is_true(ok, problem)
    end

    it("says what is wrong, and in which line of which file", function()
        with_file("machine h login me\npasswort hidden\n", function(path)
            local value, err = auth.netrc(path)
            assert.is_nil(value)
            assert.equal("auth", err.kind)
            assert.is_truthy(tostring(err):find(path .. ", line 2: ", 1, true), tostring(err))
            assert.is_nil(tostring(err):find "hidden")
        end)
        local _, err = auth.netrc "/nowhere/netrc"
        assert.is_truthy(tostring(err):find "/nowhere/netrc: No such file")
        _, err = auth.netrc "/"
        assert.is_truthy(tostring(err):find "irectory", tostring(err))
        with_file((" "):rep(1024 * 1024 + 1), function(path)
            _, err = auth.netrc(path)
            assert.is_truthy(tostring(err):find "longer than 1 MiB")
        end)
    end)

    it("takes an empty file", function()
        with_file("", function(path)
            assert.equal("netrc", assert(auth.netrc(path)).scheme)
        end)
    end)

    it("finds the file by NETRC, or else in HOME", function()
        local getenv, env = os.getenv, {}
        os.getenv = function(name) -- luacheck: ignore 122
            return env[name]
        end
        local ok, problem = xpcall(function()
            env = { NETRC = "/nowhere/a", HOME = "/nowhere/b" }
            assert.is_truthy(tostring(select(2, auth.netrc())):find "/nowhere/a:")
            env = { NETRC = "", HOME = "/nowhere/b" }
            assert.is_truthy(tostring(select(2, auth.netrc())):find "/nowhere/b/.netrc:")
            env = {}
            assert.is_truthy(tostring(select(2, auth.netrc())):find "neither NETRC nor HOME")
        end, debug.traceback)
        os.getenv = getenv -- luacheck: ignore 122
        assert.is_true(ok, problem)
    end)
end)
