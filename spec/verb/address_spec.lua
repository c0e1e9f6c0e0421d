local address = require "moonwire.verb.address"

describe("a URL without a scheme", function()
    for text, expected in pairs {
        ["http://example.com/x"] = "http://example.com/x",
        ["HTTPS://example.com"] = "HTTPS://example.com",
        ["ftp://example.com"] = "ftp://example.com",
        ["example.com"] = "https://example.com",
        ["example.com/x?y=http://z"] = "https://example.com/x?y=http://z",
        ["example.com:8443/x"] = "https://example.com:8443/x",
        ["//example.com/x"] = "https://example.com/x",
        ["me:secret@example.com"] = "https://me:secret@example.com",
        ["localhost"] = "http://localhost",
        ["localhost:3000/x"] = "http://localhost:3000/x",
        ["LOCALHOST?x"] = "http://LOCALHOST?x",
        ["me:secret@localhost:80"] = "http://me:secret@localhost:80",
        ["localhost@example.com"] = "https://localhost@example.com",
        ["app.localhost/x"] = "http://app.localhost/x",
        ["localhost.example.com"] = "https://localhost.example.com",
        ["127.0.0.1:8080"] = "http://127.0.0.1:8080",
        ["127.1.2.3/x"] = "http://127.1.2.3/x",
        ["127.0.0.1.example.com"] = "https://127.0.0.1.example.com",
        ["10.0.0.1"] = "https://10.0.0.1",
        ["[::1]:8080/x"] = "http://[::1]:8080/x",
        ["[2001:db8::1]/x"] = "https://[2001:db8::1]/x",
        [":8080/x"] = "http://localhost:8080/x",
        [":8080"] = "http://localhost:8080",
        ["/version"] = "http://localhost/version",
    } do
        it(("becomes one: %s is %s"):format(text, expected), function()
            assert.equal(expected, address.complete(text, false))
        end)
    end

    it("is http where a unix socket leads there", function()
        assert.equal("http://docker/version", address.complete("docker/version", true))
        assert.equal("https://docker/version", address.complete("https://docker/version", true))
    end)
end)
