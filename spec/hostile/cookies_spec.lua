-- Row 37 of the adversarial tests: what servers set that nobody should keep. What a jar refuses one
-- by one stands in spec/cookies_spec.lua.
local clients = require "moonwire.client"
local cookies = require "moonwire.cookies"
local world = require "spec.support.mock_client"

describe("row 37:", function()
    local time = 1000000000

    local function new_jar()
        return cookies.jar { now = function() return time end }
    end

    -- What is sent on a second request after such fields.
    local function sent_after(fields, url)
        local jar = new_jar()
        world.with_client({ cookies = jar, limits = { header_count = 1000, head_bytes = 4e5 } },
            function(client, _, log)
                assert(client:get(url or "http://h/")):discard()
                assert(client:get(url or "http://h/")):discard()
                jar.sent = log.heads[2]:match "\r\nCookie: ([^\r]*)\r\n"
            end, function()
                return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: "
                    .. table.concat(fields, "\r\nSet-Cookie: ") .. "\r\n\r\n"
            end)
        return rawget(jar, "sent"), jar
    end

    local function many(count, value)
        local fields = {}
        for i = 1, count do
            fields[i] = ("c%03d=%s"):format(i, value or "x")
        end
        return fields
    end

    it("of 200 cookies in one response 50 are taken", function()
        local sent, jar = sent_after(many(200))
        assert.equal(50, #jar:all())
        assert.matches("^c001=x; .*; c050=x$", sent)
    end)

    it("a value of 8 KiB is not taken, one of 4096 bytes with its name is", function()
        local sent = sent_after { "a=" .. ("x"):rep(8192), "b=" .. ("x"):rep(4096),
            "c=" .. ("x"):rep(4095) }
        assert.equal("c=" .. ("x"):rep(4095), sent)
    end)

    it("an attribute of more than 1024 bytes counts as not there", function()
        local _, jar = sent_after { "a=1; Path=/" .. ("x"):rep(1024),
            "b=1; Path=/" .. ("x"):rep(1023), "c=1; Domain=" .. ("x"):rep(1025) }
        assert.equal("/", jar:all()[1].path)
        assert.equal(1024, #jar:all()[2].path)
        assert.equal("h", jar:all()[3].domain)
    end)

    it("control characters are not taken, wherever they are", function()
        local jar = new_jar()
        for byte = 0, 31 do
            local c = string.char(byte)
            for _, field in ipairs { "a%sb=1", "a=1%s2", "a=1; Path=/x%sy" } do
                if byte ~= 9 or not field:find "Path" then
                    assert.is_nil(jar:set("http://h/", (field:format(c))), byte)
                end
            end
        end
        assert.is_nil(jar:set("http://h/", "a=\127"))
        assert.same({}, jar:all())
        assert(jar:set("http://h/", "a=1; Path=/x\ty")) -- white space: the path counts as not there
        assert.equal("/", jar:all()[1].path)
    end)

    it("no more than 150 cookies and 8190 bytes are sent with a request", function()
        local jar = new_jar()
        for i, field in ipairs(many(170)) do
            assert(jar:set("http://h/", field), i)
        end
        local sent = jar:header "http://h/"
        assert.equal(150, select(2, sent:gsub("=", "")))
        assert.matches("; c150=x$", sent)
        jar:clear()
        for _, field in ipairs(many(20, ("x"):rep(1000))) do
            assert(jar:set("http://h/", field))
        end
        sent = jar:header "http://h/"
        assert.equal(8 * (5 + 1000) + 7 * 2, #sent)
        jar:clear()
        assert(jar:set("http://h/", "a=" .. ("x"):rep(4093)))
        assert(jar:set("http://h/", "b=" .. ("y"):rep(4091))) -- to the byte
        assert.equal(8190, #jar:header "http://h/")
        assert(jar:set("http://h/", "b=" .. ("y"):rep(4092)))
        assert.equal(4095, #jar:header "http://h/")
    end)

    it("a site has room for 180 cookies: what is old and not Secure goes first", function()
        local jar = new_jar()
        assert(jar:set("https://a.site.com/", "safe=1; Secure"))
        assert(jar:set("https://a.site.com/", "used=1"))
        for i = 1, 178 do
            assert(jar:set(("http://h%d.site.com/"):format(i), "x=" .. i))
        end
        assert.equal(180, #jar:all())
        assert.equal("safe=1; used=1", jar:header "https://a.site.com/")
        assert(jar:set("http://b.site.com/", "new=1; Domain=site.com"))
        assert.equal(180, #jar:all())
        assert.equal("new=1", jar:header "http://h1.site.com/") -- "x" of h1 was least used
        assert.equal("x=2; new=1", jar:header "http://h2.site.com/")
        assert.equal("safe=1; used=1; new=1", jar:header "https://a.site.com/")
        for i = 1, 300 do
            assert(jar:set("http://evil.site.com/", ("e%d=1"):format(i)))
        end
        assert.equal(180, #jar:all())
        assert.matches("^safe=1", jar:header "https://a.site.com/")
    end)

    it("Secure cookies make room for each other, expired ones for all", function()
        local jar = new_jar()
        for i = 1, 181 do
            assert(jar:set("https://site.com/", ("s%d=1; Secure"):format(i)))
        end
        assert.is_nil(jar:get("https://site.com/", "s1"))
        assert.equal("1", jar:get("https://site.com/", "s2"))
        jar:clear()
        assert(jar:set("http://site.com/", "first=1"))
        assert(jar:set("http://site.com/", "short=1; Max-Age=1"))
        for i = 1, 178 do
            assert(jar:set("http://site.com/", ("s%d=1"):format(i)))
        end
        time = time + 2
        assert(jar:set("http://site.com/", "last=1"))
        assert.equal("1", jar:get("http://site.com/", "first"))
        assert.equal(180, #jar:all())
    end)

    it("a jar has room for 3000 cookies: what wasn't used for longest goes", function()
        local jar = new_jar()
        for i = 1, 3000 do
            assert(jar:set(("http://a%d.com/"):format(i), "x=1"))
        end
        assert.equal("x=1", jar:header "http://a1.com/")
        assert(jar:set("http://more.com/", "x=1"))
        assert.equal(3000, #jar:all())
        assert.equal("x=1", jar:header "http://a1.com/")
        assert.is_nil(jar:header "http://a2.com/")
        assert.equal("x=1", jar:header "http://a3.com/")
        assert.equal("x=1", jar:header "http://more.com/")
    end)

    it("public suffixes, addresses and dots at the end are no way around", function()
        local m = { "a=1; Domain=co.uk", "b=1; Domain=CO.UK", "c=1; Domain=co.uk.",
            "d=1; Domain=.Co.Uk.", "e=1; Domain=uk", "f=1; Domain=1.2.3.4",
            "g=1; Domain=www.shop.co.uk", "h=1; Domain=shop.co.uk" }
        local jar = new_jar()
        local hosts = require("moonwire.testing.mock").new()
        hosts:hosts { ["shop.co.uk"] = { "127.0.0.1" } }
        world.serve(hosts, "127.0.0.1", 80, function()
            return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: "
                .. table.concat(m, "\r\nSet-Cookie: ") .. "\r\n\r\n"
        end)
        hosts:run(function()
            local client = clients.new { cookies = jar }
            assert(client:get "http://shop.co.uk/"):discard()
            client:close()
        end)
        assert.equal("h=1", jar:header "http://www.shop.co.uk/")
        assert.equal(1, #jar:all())
    end)

    it("a field of white space, semicolons or equal signs is no work", function()
        local jar, before = new_jar(), os.clock()
        for _, piece in ipairs { " ", ";", "=", "; ", "\t", "a ", ";=", "; a = ", "1:", "," } do
            jar:set("http://h/", "a=b;" .. piece:rep(100000))
            jar:set("http://h/", piece:rep(100000))
            jar:set("http://h/", "a=b; Expires=" .. piece:rep(500))
        end
        assert.is_true(os.clock() - before < 2)
    end)
end)
