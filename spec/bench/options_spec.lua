local options = require "moonwire.bench.options"
local support = require "spec.support"

local URL = "http://127.0.0.1:8080/a?b=c"

local function parse(...)
    return options.parse({ [0] = "moonwire", "bench", ... }, 2)
end

describe("the arguments of moonwire bench", function()
    it("have defaults for all but the URL", function()
        local got = assert(parse(URL))
        assert.equal("http://127.0.0.1:8080/a?b=c", got.url.href)
        assert.equal(10, got.connections)
        assert.equal(10, got.duration)
        assert.equal(5, got.timeout)
        assert.equal(0, got.warmup)
        assert.is_nil(got.requests)
        assert.is_nil(got.rate)
        assert.is_nil(got.script)
        assert.is_false(got.quiet)
        assert.equal("GET", got.request.method)
    end)

    it("are taken in any order, short or long, with a space or without", function()
        local got = assert(parse("-c50", "--rate=1.5", URL, "-d", "2m", "-q", "--timeout", "250ms",
            "--warmup=1s", "--json=-", "--html", "x.html", "-k"))
        assert.equal(50, got.connections)
        assert.equal(1.5, got.rate)
        assert.equal(120, got.duration)
        assert.equal(0.25, got.timeout)
        assert.equal(1, got.warmup)
        assert.equal("-", got.json)
        assert.equal("x.html", got.html)
        assert.is_true(got.quiet)
        assert.is_true(got.insecure)
    end)

    it("count requests in place of the time", function()
        local got = assert(parse(URL, "-n", "1000"))
        assert.equal(1000, got.requests)
        assert.is_nil(got.duration)
    end)

    it("end at the script, whose own follow", function()
        local got = assert(parse(URL, "-c", "2", "script.lua", "-c", "3", "--", "x"))
        assert.equal(2, got.connections)
        assert.equal("script.lua", got.script)
        assert.same({ "-c", "3", "--", "x" }, got.args)
        got = assert(parse(URL, "--", "-odd.lua", "1"))
        assert.equal("-odd.lua", got.script)
        assert.same({ "1" }, got.args)
    end)

    it("make the request", function()
        local got = assert(parse(URL, "-H", "X-One: a", "-H", "X-One:b", "--body", "text", "-H",
            "Connection: close"))
        assert.equal("POST", got.request.method)
        assert.same({ "a", "b" }, got.request.headers:get_all "x-one")
        assert.truthy(got.request.head:bytes():find("\r\nConnection: close\r\n", 1, true))
        assert.truthy(got.request.head:bytes():find("\r\nContent-Length: 4\r\n", 1, true))
        assert.equal("PUT", parse(URL, "-m", "PUT", "--body", "x").request.method)
    end)

    it("read a body out of a file", function()
        local path = support.temp_dir() .. "/body"
        local file = assert(io.open(path, "wb"))
        file:write(("x"):rep(1000))
        file:close()
        local got = assert(parse(URL, "--body-file", path))
        assert.equal(1000, got.request.body.length)
        local _, message = parse(URL, "--body-file", path .. "-no")
        assert.equal("can't read " .. path .. "-no: No such file or directory", message)
        _, message = parse(URL, "--body-file", support.root)
        assert.truthy(message:find("can't read", 1, true))
    end)

    for words, expected in pairs {
        [""] = "a URL is needed",
        ["-x"] = "there is no option -x",
        ["U --nope"] = "there is no option --nope",
        ["U -c"] = "-c needs a value",
        ["U -c 0"] = "--connections needs a whole number from 1 to 1000000, not '0'",
        ["U -c 1.5"] = "--connections needs a whole number from 1 to 1000000, not '1.5'",
        ["U -n 0"] = "--requests needs a whole number from 1, not '0'",
        ["U -r 0"] = "--rate needs a number of requests a second above 0, not '0'",
        ["U -r fast"] = "--rate needs a number of requests a second above 0, not 'fast'",
        ["U -d 10"] = "--duration needs a time such as 500ms, 10s, 2m or 1h, not '10'",
        ["U -d 0s"] = "--duration needs a time such as 500ms, 10s, 2m or 1h, not '0s'",
        ["U -d 1s -n 5"] = "give one of -d and -n",
        ["U -H bad"] = "--header needs 'Name: value', not 'bad'",
        ["U --body a --body b"] = "give one of --body and --body-file, once",
        ["U --json="] = "--json needs the name of a file, not ''",
        ["U --html -"] = "--html needs the name of a file",
        ["U -qx"] = "there is no option -qx",
        ["U -m CONNECT"] = "a tunnel (CONNECT) can't be measured",
        ["U -H Upgrade:x"] = 'bad header "upgrade": moonwire sets it itself; '
            .. 'use upgrade = "protocol"',
    } do
        it("are refused with a sentence: " .. words, function()
            local list = {}
            for word in words:gmatch "%S+" do
                list[#list + 1] = word == "U" and URL or word
            end
            local got, message = parse(unpack(list))
            assert.is_nil(got)
            assert.equal(expected, message)
        end)
    end

    it("refuse what is no URL, and a method that is none", function()
        local _, message = parse "localhost:8080/"
        assert.truthy(message:find("localhost:8080/ is no URL to measure: ", 1, true))
        _, message = parse(URL, "-m", "G T")
        assert.truthy(message:find("method", 1, true))
    end)

    it("are all in the usage", function()
        for _, name in ipairs { "connections", "duration", "requests", "rate", "method", "header",
            "body", "body-file", "timeout", "warmup", "insecure", "json", "html", "quiet", "help" }
        do
            assert.truthy(options.USAGE:find("--" .. name, 1, true), name)
        end
    end)
end)
