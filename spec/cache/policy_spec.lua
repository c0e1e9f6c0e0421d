-- The rules by themselves, each by the section of RFC 9111 that it is from.
local dates = require "moonwire.date"
local fields = require "moonwire.cache.fields"
local policy = require "moonwire.cache.policy"
local rules = require "spec.support.cache_rules"

local THEN, entry, headers, wishes = rules.THEN, rules.entry, rules.headers, rules.wishes

local function at(seconds)
    return dates.format(THEN + seconds)
end

local DATE = "Date: " .. at(0)

describe("freshness (4.2.1)", function()
    for words, case in pairs {
        ["max-age"] = { 60, "Cache-Control: max-age=60" },
        ["max-age in quotes"] = { 60, 'Cache-Control: max-age="60"' },
        ["names in any case, among others"] = { 60, 'Cache-Control: x="a, max-age=1", Max-Age=60' },
        ["max-age before Expires"] = { 60, "Cache-Control: max-age=60", "Expires: " .. at(900) },
        ["max-age before an invalid Expires"] = { 60, "Cache-Control: max-age=60", "Expires: 0" },
        ["s-maxage is for shared caches"] = { 60, "Cache-Control: s-maxage=9, max-age=60" },
        ["s-maxage alone says nothing"] = { 0, "Cache-Control: s-maxage=9" },
        ["more than can be counted"] = { 2 ^ 31, "Cache-Control: max-age=" .. ("9"):rep(30) },
        ["a negative one"] = { 0, "Cache-Control: max-age=-60" },
        ["a fraction"] = { 0, "Cache-Control: max-age=6.5" },
        ["no number"] = { 0, "Cache-Control: max-age=soon", "Expires: " .. at(900) },
        ["nothing"] = { 0, "Cache-Control: max-age", "Expires: " .. at(900) },
        ["an empty one"] = { 0, "Cache-Control: max-age=" },
        ["a space before the number"] = { 0, "Cache-Control: max-age= 60" },
        ["two different ones"] = { 0, "Cache-Control: max-age=60", "Cache-Control: max-age=61" },
        ["the same one twice"] = { 60, "Cache-Control: max-age=60, max-age=60" },
        ["Expires"] = { 90, DATE, "Expires: " .. at(90) },
        ["Expires without Date, from when it came"] = { 90, "Expires: " .. at(90) },
        ["Expires by the server's own clock"] =
            { 90, "Date: " .. at(-1000), "Expires: " .. at(-910) },
        ["Expires in the past"] = { 0, DATE, "Expires: " .. at(-90) },
        ["Expires: 0"] = { 0, DATE, "Expires: 0", "Last-Modified: " .. at(-1000) },
        ["Expires: -1"] = { 0, DATE, "Expires: -1" },
        ["two different Expires"] = { 0, DATE, "Expires: " .. at(90), "Expires: " .. at(91) },
        ["a tenth since it was modified"] = { 100, DATE, "Last-Modified: " .. at(-1000) },
        ["a day at most"] = { 86400, DATE, "Last-Modified: " .. at(-1e8) },
        ["modified in the future"] = { 0, DATE, "Last-Modified: " .. at(1000) },
        ["modified at no time"] = { 0, DATE, "Last-Modified: yesterday" },
    } do
        it("by " .. words .. " is " .. case[1], function()
            assert.equal(case[1], policy.rules(entry { unpack(case, 2) }).lifetime)
        end)
    end

    it("is guessed for statuses that are kept by themselves, and where it is public", function()
        local lines = { DATE, "Last-Modified: " .. at(-1000) }
        for status, expected in pairs {
            [200] = 100, [203] = 100, [204] = 100, [300] = 100, [301] = 100, [308] = 100,
            [404] = 100, [405] = 100, [410] = 100, [414] = 100, [501] = 100,
            [201] = 0, [302] = 0, [307] = 0, [400] = 0, [403] = 0, [500] = 0, [503] = 0,
        } do
            assert.equal(expected, policy.rules(entry(lines, { status = status })).lifetime, status)
        end
        local public = { lines[1], lines[2], "Cache-Control: public" }
        assert.equal(100, policy.rules(entry(public, { status = 403 })).lifetime)
    end)
end)

describe("the age (4.2.3)", function()
    local function age(lines, more, now)
        return policy.age(entry(lines, more), THEN + (now or 0))
    end

    it("is what Age says and the time since, or what the server's clock says, if that is more",
        function()
            assert.equal(0, age { DATE })
            assert.equal(7, age({ DATE }, nil, 7))
            assert.equal(37, age({ DATE, "Age: 30" }, nil, 7))
            assert.equal(39, age({ DATE, "Age: 30" }, { asked = THEN - 2 }, 7))
            assert.equal(97, age({ "Date: " .. at(-90), "Age: 30" }, { asked = THEN - 2 }, 7))
            assert.equal(37, age({ "Date: " .. at(500), "Age: 30" }, nil, 7)) -- its clock is fast
            assert.equal(7, age({}, nil, 7))
            assert.equal(7, age({ "Date: never" }, nil, 7))
        end)

    it("of a list is the first one; what is no number says nothing (5.1)", function()
        for text, expected in pairs {
            ["30, 40"] = 30, ["030"] = 30, ["-1"] = 0, ["soon"] = 0, ["1.5"] = 0, [""] = 0,
            [", 40"] = 0, ["30 40"] = 0,
            [("9"):rep(400)] = 2 ^ 31,
        } do
            assert.equal(expected, age { DATE, "Age: " .. text }, text)
        end
        assert.equal(30, age { DATE, "Age: 30", "Age: 90" })
    end)

    it("is all that can be when the clock was set back", function()
        assert.equal(math.huge, age({ DATE }, nil, -1))
        local kept = entry { DATE, "Cache-Control: max-age=60" }
        assert.is_nil(policy.use(kept, wishes(), THEN - 1))
        assert.equal("hit", policy.use(kept, wishes(), THEN))
    end)
end)

describe("what is kept (3)", function()
    local function is_kept(status, ...)
        return policy.is_storable(entry({ DATE, ... }, { status = status }))
    end

    it("is what is of use later", function()
        assert.is_true(is_kept(200, "Cache-Control: max-age=60"))
        assert.is_true(is_kept(200, "Cache-Control: private, max-age=60"))
        assert.is_true(is_kept(200, 'Cache-Control: private="x", max-age=60'))
        assert.is_true(is_kept(200, 'ETag: "a"'))
        assert.is_true(is_kept(200, 'ETag: W/"a"', "Cache-Control: no-cache"))
        assert.is_true(is_kept(200, "Last-Modified: " .. at(-100)))
        assert.is_true(is_kept(200, "Cache-Control: max-age=0, stale-if-error=60"))
        assert.is_false(is_kept(200))
        assert.is_false(is_kept(200, "Cache-Control: max-age=0"))
        assert.is_false(is_kept(200, "Cache-Control: max-age=60", "Age: 60"))
        assert.is_false(is_kept(200, "Cache-Control: no-cache, max-age=60"))
        assert.is_false(is_kept(200, "ETag: a"))
        assert.is_false(is_kept(200, 'ETag: "a"', 'ETag: "b"'))
        assert.is_false(is_kept(200, "Last-Modified: once"))
    end)

    it("isn't what its server says is not to be", function()
        assert.is_false(is_kept(200, "Cache-Control: no-store, max-age=60"))
        assert.is_false(is_kept(200, "Cache-Control: max-age=60", "cache-control: NO-STORE;"))
        assert.is_false(is_kept(200, 'Cache-Control: x="a", no-store=yes, max-age=60'))
        -- for who knows what the status means (5.2.2.3)
        assert.is_true(is_kept(200, "Cache-Control: no-store, must-understand, max-age=60"))
        assert.is_false(is_kept(299, "Cache-Control: no-store, must-understand, max-age=60"))
    end)

    it("of other statuses is what the server says when it does so", function()
        for status = 200, 599 do
            assert.equal(status ~= 206 and status ~= 304,
                is_kept(status, "Cache-Control: max-age=60"), status)
        end
        assert.is_false(is_kept(302, 'ETag: "a"'))
        assert.is_true(is_kept(302, 'ETag: "a"', "Expires: " .. at(60)))
        assert.is_true(is_kept(404, 'ETag: "a"'))
        assert.is_false(is_kept(101, "Cache-Control: max-age=60"))
    end)

    it("isn't what differs by more than one can know (4.1)", function()
        local many = {}
        for i = 1, 17 do
            many[i] = "x-" .. i
        end
        for _, vary in ipairs { "*", "accept, *", "a b, (c)", "a;b", table.concat(many, ",") } do
            assert.is_false(is_kept(200, "Cache-Control: max-age=60", "Vary: " .. vary), vary)
        end
        assert.is_true(is_kept(200, "Cache-Control: max-age=60", "Vary: a, ,A,b"))
        assert.is_false(is_kept(200, "Cache-Control: max-age=60", "Vary: a", "Vary: *"))
    end)

    it("are the headers without those of a connection and those for one reader (3.1)", function()
        local kept = policy.kept_headers(headers("Connection: close, X-Hop, Cache-Control, a\"b",
            "X-Hop: 1", "X-Own: 2", "Cache-Control: no-store", "Set-Cookie: a=b", "Keep-Alive: 5",
            "Transfer-Encoding: chunked", "Trailer: x", "Upgrade: foo", "Proxy-Authenticate: Basic",
            "Content-Encoding: gzip"))
        local names = {}
        for name in kept:each() do
            names[#names + 1] = name
        end
        assert.same({ "X-Own", "Cache-Control", "Content-Encoding" }, names)
    end)
end)

describe("what may be used (4.2.4, 5.2.1)", function()
    local kept = entry { DATE, "Cache-Control: max-age=60" }

    for _, case in ipairs {
        { "hit", 0 }, { "hit", 59 }, { nil, 60 }, { nil, 61 },
        { "hit", 10, "max-age=10" }, { nil, 11, "max-age=10" }, { nil, 0, "max-age=0" },
        { nil, 0, "max-age=soon" },
        { "hit", 50, "min-fresh=10" }, { nil, 51, "min-fresh=10" }, { nil, 0, "min-fresh=x" },
        { "stale", 70, "max-stale" }, { "stale", 70, "max-stale=10" }, { nil, 71, "max-stale=10" },
        { nil, 70, "max-stale=x" }, { nil, 60, "max-stale=0" },
        { nil, 70, "max-stale=100, min-fresh=1" }, { nil, 70, "max-stale=100, max-age=65" },
        { nil, 0, "no-cache" }, { nil, 0, "max-stale, no-cache" },
    } do
        it(("is %s after %d s for a request with %q"):format(tostring(case[1]), case[2],
            case[3] or ""), function()
            local asked = wishes(case[3] and "Cache-Control: " .. case[3] or "X: y")
            assert.equal(case[1], policy.use(kept, asked, THEN + case[2]))
        end)
    end

    it("isn't old where the server says so, whatever the request says", function()
        for _, word in ipairs { "must-revalidate", "no-cache", 'no-cache="set-cookie"' } do
            local strict = entry { DATE, 'ETag: "a"', "Cache-Control: max-age=60, " .. word }
            local asked = wishes "Cache-Control: max-stale, stale-if-error=1000"
            assert.is_nil(policy.use(strict, asked, THEN + 61), word)
            assert.is_false(policy.stands_in(strict, asked, THEN + 61))
            assert.equal(word == "must-revalidate" and "hit" or nil,
                policy.use(strict, asked, THEN), word)
        end
    end)

    it("goes by Pragma where there is no Cache-Control (5.4)", function()
        assert.is_true(wishes("Pragma: x, No-Cache").no_cache)
        assert.is_false(wishes("Pragma: no-cache", "Cache-Control: max-age=5").no_cache)
        assert.is_false(wishes("Pragma: x").no_cache)
    end)

    it("stands in for a server that fails as long as server or request allow (RFC 5861)", function()
        local patient = entry { DATE, "Cache-Control: max-age=60, stale-if-error=40" }
        assert.is_true(policy.stands_in(patient, wishes(), THEN + 100))
        assert.is_false(policy.stands_in(patient, wishes(), THEN + 101))
        assert.is_false(policy.stands_in(kept, wishes(), THEN + 61))
        assert.is_false(policy.stands_in(kept, wishes(), THEN + 60))
        local asked = wishes "Cache-Control: stale-if-error=50"
        assert.is_true(policy.stands_in(kept, asked, THEN + 110))
        assert.is_false(policy.stands_in(kept, asked, THEN + 111))
        assert.is_false(policy.stands_in(patient, wishes "Cache-Control: no-cache", THEN + 1))
        assert.is_false(policy.stands_in(patient, wishes "Cache-Control: max-age=5", THEN + 61))
    end)
end)

describe("asking whether it is still right (4.3)", function()
    it("takes what there is to ask by", function()
        local modified = at(-100)
        assert.same({ ["If-None-Match"] = 'W/"a"', ["If-Modified-Since"] = modified },
            policy.conditions(entry { 'ETag: W/"a"', "Last-Modified: " .. modified }))
        assert.same({ ["If-Modified-Since"] = modified },
            policy.conditions(entry { "ETag: bare", "Last-Modified: " .. modified }))
        assert.is_nil(policy.conditions(entry { DATE }))
    end)

    it("takes a 304 only for what it is about (4.3.4)", function()
        local modified = "Last-Modified: " .. at(-100)
        for _, case in ipairs {
            { true, { 'ETag: "a"' }, { 'ETag: "a"' } },
            { false, { 'ETag: "a"' }, { 'ETag: "b"' } },
            { false, { 'ETag: W/"a"' }, { 'ETag: "a"' } }, -- strong: the very same bytes
            { true, { 'ETag: "a"' }, { 'ETag: W/"a"' } },
            { true, { 'ETag: W/"a"' }, { 'ETag: W/"a"' } },
            { false, { 'ETag: W/"a"' }, { 'ETag: W/"b"' } },
            { false, { 'ETag: "a"' }, { "ETag: a" } },
            { false, { modified }, { 'ETag: "a"' } },
            { true, { modified }, { modified } },
            { false, { modified }, { "Last-Modified: " .. at(-99) } },
            { true, { 'ETag: "a"', modified }, { modified } },
            { true, { 'ETag: "a"' }, {} },
        } do
            assert.equal(case[1], policy.confirms(entry(case[2]), headers(unpack(case[3]))),
                case[2][1] .. " by " .. (case[3][1] or "nothing"))
        end
    end)

    it("makes the headers new, but for what the body is (3.2)", function()
        local old = entry { "Date: " .. at(-90), "Age: 50", 'ETag: W/"a"', "X-A: 1", "X-A: 2",
            "X-B: 1", "Content-Type: text/html", "Content-Length: 4", "Cache-Control: max-age=1" }
        local new = policy.updated(old, headers("ETag: W/\"a\"", "x-a: 3", "Content-Length: 0",
            "Content-Type: none", "Content-Encoding: gzip", "Cache-Control: max-age=60",
            "Cache-Control: private", "Connection: close", "Set-Cookie: a=b", "X-C: 1"),
            THEN + 8, THEN + 9)
        local lines = {}
        for name, value in new.headers:each() do
            lines[#lines + 1] = name .. ": " .. value
        end
        table.sort(lines)
        assert.same({
            "Cache-Control: max-age=60", "Cache-Control: private", "Content-Length: 4",
            "Content-Type: text/html", "Date: " .. at(9), 'ETag: W/"a"', "X-B: 1", "X-C: 1",
            "x-a: 3",
        }, lines)
        assert.equal("body", new.body)
        assert.equal(60, policy.rules(new).lifetime)
        assert.equal(2, policy.age(new, THEN + 10)) -- a second on the way, and one here
        assert.equal("1, 2", table.concat(old.headers:get_all "x-a", ", ")) -- as it was
    end)

    it("learns from the response to HEAD what is about the same body (4.3.5)", function()
        local old = entry { 'ETag: "a"', "Content-Length: 4" }
        assert.is_true(policy.head_confirms(old, headers('ETag: "a"', "Content-Length: 4")))
        assert.is_true(policy.head_confirms(old, headers 'ETag: "a"'))
        assert.is_false(policy.head_confirms(old, headers('ETag: "a"', "Content-Length: 5")))
        assert.is_false(policy.head_confirms(old, headers('ETag: "b"', "Content-Length: 4")))
        assert.is_false(policy.head_confirms(old, headers "Content-Length: 4"))
    end)
end)

describe("fields of 64 KiB", function()
    local function long(text)
        return text:rep(math.floor(65536 / #text))
    end

    it("are read in a time that grows with them, whatever is in them", function()
        local began = os.clock()
        for _, text in ipairs { ",", " ", ", ", "a", "=", "=,", 'a="', 'a="\\', '"', "max-age,",
            "max-age=1 ", "1", " ,", "a=b," } do
            local value = "1" .. long(text) .. "x"
            local lines = {}
            for i, name in ipairs { "Cache-Control", "Age", "Vary", "ETag", "Expires", "Date",
                "Last-Modified", "Connection", "Pragma" } do
                lines[i] = name .. ": " .. value
            end
            local kept = entry(lines)
            policy.is_storable(kept)
            policy.use(kept, wishes(unpack(lines)), THEN)
            policy.confirms(kept, kept.headers)
            policy.updated(kept, policy.kept_headers(kept.headers), THEN, THEN)
            fields.said(kept.headers, "pragma")
        end
        assert.is_true(os.clock() - began < 1.5, os.clock() - began)
    end)
end)
