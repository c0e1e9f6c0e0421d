local netrc = require "moonwire.auth.netrc"

local function login(text, host)
    local found = assert(netrc.parse(text))
    local entry = found.machines[host] or found.default
    return entry and ("%s:%s"):format(entry.login or "-", entry.password or "-")
end

describe("a .netrc", function()
    -- text, host -> login:password
    local CASES = {
        { "machine h login me password secret", "h", "me:secret" },
        { "machine h login me password secret", "other", nil },
        { "machine H.Example login me password secret", "h.example", "me:secret" },
        { "machine h\n\tlogin me\r\n\tpassword secret\n", "h", "me:secret" },
        { "machine h password secret login me account x", "h", "me:secret" },
        { "machine a login 1 password 2 machine b login 3 password 4", "b", "3:4" },
        { "machine a login 1 password 2\nmachine a login 3 password 4", "a", "1:2" },
        { "machine a login 1 password 2\ndefault login 3 password 4", "b", "3:4" },
        { "machine a login 1 password 2\ndefault login 3 password 4", "a", "1:2" },
        { "default login 3 password 4\nmachine a login 1 password 2", "a", "3:4" },
        { 'machine h login "me too" password "a\\"b\\\\c d"', "h", 'me too:a"b\\c d' },
        { "machine h login me password #a\"b", "h", 'me:#a"b' },
        { "# machine h login no password no\nmachine h login me # password no\npassword yes", "h",
            "me:yes" },
        { "machine h login machine password default", "h", "machine:default" },
        { "macdef init\ncd /pub\nmachine h login no\n\nmachine h login me password secret", "h",
            "me:secret" },
        { "machine h login me password secret\nmacdef x\nget y", "h", "me:secret" },
        { "machine h", "h", "-:-" },
        { "machine h login \"\" password \"\"", "h", ":" },
        { "", "h", nil },
        { "# nothing", "h", nil },
    }

    for _, case in ipairs(CASES) do
        it("says: " .. case[1]:gsub("[\r\n]", "/") .. " for " .. case[2], function()
            assert.equal(case[3], login(case[1], case[2]))
        end)
    end

    -- text -> what is wrong
    local WRONG = {
        { "machine", 'line 1: nothing behind "machine"' },
        { "\n\nmachine h login", 'line 3: nothing behind "login"' },
        { "machine h login me\npasswort secret", "line 2: neither machine" },
        { "secret", "line 1: neither machine" },
        { "\nlogin me", 'line 2: "login" before any machine' },
        { 'machine h\nlogin "me\npassword x"', "line 2: a quotation mark" },
        { 'machine h login "me\\', "line 1: a quotation mark" },
        { "machine h login a:b", "line 1: a login with a colon" },
        { 'machine h\npassword "a\\nb"', "line 2: control characters" },
        { "machine h password a\0b", "line 1: control characters" },
        { "macdef x\n1\n2\n\nmachine h\nlogon secret", "line 6: neither machine" },
    }

    for _, case in ipairs(WRONG) do
        it("is refused: " .. case[1]:gsub("%c", "/"), function()
            local found, problem = netrc.parse(case[1])
            assert.is_nil(found)
            assert.is_truthy(problem:find(case[2], 1, true), problem)
            assert.is_nil(problem:find "secret")
        end)
    end
end)
