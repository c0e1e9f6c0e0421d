local headers = require "moonwire.headers"
local name = require "moonwire.download.name"

local function named(disposition, url)
    return name.of(headers.new { { "Content-Disposition", disposition } }, url or "http://h/u.bin")
end

describe("a name out of Content-Disposition", function()
    it("is what RFC 6266 says", function()
        assert.equal("example.html", named 'Attachment; filename=example.html')
        assert.equal("an example.html", named 'INLINE; FILENAME= "an example.html"')
        assert.equal("\226\130\172 rates", named "attachment; filename*= UTF-8''%e2%82%ac%20rates")
        assert.equal("\226\130\172 rates",
            named "attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates")
        assert.equal("\194\163 rates", named "attachment; filename*=iso-8859-1'en'%A3%20rates")
        assert.equal('a"b', named [[attachment; filename="a\"b"; x=y]])
        assert.equal("a;b=c", named [[attachment; foo="x;filename=y"; filename="a;b=c"]])
        assert.equal("first", named "attachment; filename=first; filename=second")
        assert.equal("a b.txt", named 'filename="a b.txt"' == "u.bin" and "a b.txt") -- no type
    end)

    it("is passed over where it is none", function()
        for _, text in ipairs {
            "attachment", "attachment;", "attachment; filename", "attachment; filename=",
            'attachment; filename="', 'attachment; filename="abc', "attachment; filename*=x",
            "attachment; filename*=utf-16''%00a", "attachment; filename*=utf-8''%zz",
            "attachment; filename*=utf-8''a%", 'attachment; filename="/"', ";;;;", "=", "",
            'attachment; filename=".."', 'attachment; filename="a/.."', "attachment; filename=...",
        } do
            assert.equal("u.bin", named(text), text)
        end
    end)

    it("stays in its folder, is seen there, and has nothing in it that isn't", function()
        for given, clean in pairs {
            ["../../etc/passwd"] = "passwd", ["/etc/passwd"] = "passwd",
            ["C:\\\\dir\\\\a.exe"] = "a.exe", [".bashrc"] = "bashrc", ["...a"] = "a",
            ["~a"] = "a", ["-rf"] = "rf", ["a\1\27[31m\127b"] = "a[31mb", ["  a . "] = "a",
            ["a\226\128\174txt.exe"] = "atxt.exe", ["a\194\155b"] = "ab",
        } do
            assert.equal(clean, name.clean(given))
        end
        assert.equal("passwd", named 'attachment; filename="..\\\\..\\\\passwd"')
        assert.equal("passwd", named "attachment; filename*=utf-8''..%2f..%2Fpasswd")
        assert.equal("a", named "attachment; filename*=utf-8''a%00%0a")
    end)

    it("is no longer than a file system takes", function()
        local long = named('attachment; filename="' .. ("\195\188"):rep(300) .. '.tar"')
        assert.is_true(#long <= 200 and #long >= 198)
        assert.equal((("\195\188"):rep(98)) .. ".tar", long)
        assert.equal(200, #named('attachment; filename="' .. ("x"):rep(9000) .. '"'))
    end)
end)

describe("a name out of a URL", function()
    it("is the last part of its path", function()
        local none = headers.new {}
        for url, expected in pairs {
            ["http://h/a/b.tar.gz?x=/y#/z"] = "b.tar.gz", ["http://h/a%20b"] = "a b",
            ["http://h/"] = "download", ["http://h"] = "download", ["http://h/a/"] = "download",
            ["http://h/..%2f..%2fetc%2fpasswd"] = "passwd", ["http://h/%2e%2e"] = "download",
        } do
            assert.equal(expected, name.of(none, url))
        end
    end)
end)
