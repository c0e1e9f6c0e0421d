local options = require "moonwire.verb.options"

local NO_TWO = "give one of --user, --bearer, --netrc and an Authorization header"
local URL = "http://127.0.0.1:8080/a?b=c"

local function parse_as(method, ...)
    return options.parse(method, { [0] = "moonwire", method:lower(), ... }, 2, function() end)
end

local function parse(...)
    return parse_as("GET", ...)
end

local function header_of(got, name)
    for _, field in ipairs(got.request.headers) do
        if field[1] == name then
            return field[2]
        end
    end
end

describe("the arguments of a verb", function()
    it("have defaults for all but the URL", function()
        local got = assert(parse(URL))
        assert.equal("GET", got.method)
        assert.equal(URL, got.url)
        assert.same({}, got.client)
        assert.same({ headers = {} }, got.request)
        assert.equal("auto", got.color)
        for _, name in ipairs { "output", "fail", "include", "verbose", "insecure", "har" } do
            assert.is_nil(got[name])
        end
        assert.equal("https://example.com/x", parse("example.com/x").url)
    end)

    it("are those of the client and of the request", function()
        local got = assert(parse("-kfiv", "--timeout", "1.5", "--retry=2", "--no-redirect", URL,
            "--unix-socket", "/run/x", "--ca", "ca.pem", "--cert", "me.pem", "--query", "a=1",
            "--query", "a=2", "-o", "x", "--har", "y", "--color", "never"))
        assert.same({
            timeout = 1.5, unix_socket = "/run/x", redirect = false,
            retry = { attempts = 3, budget = 2 },
            tls = { ca_file = "ca.pem", cert = "me.pem", key = "me.pem", verify = false },
        }, got.client)
        assert.same({ { "a", "1" }, { "a", "2" } }, got.request.query)
        assert.same({ "x", "y", "never" }, { got.output, got.har, got.color })
        assert.is_true(got.fail and got.include and got.verbose and got.insecure)
        got = assert(parse(URL, "--cert", "c", "--key", "k", "--timeout", "2m", "-L"))
        assert.same({ timeout = 120, tls = { cert = "c", key = "k" } }, got.client)
    end)

    it("say who asks", function()
        assert.equal("basic", parse(URL, "-u", "me:s:cret").client.auth.scheme)
        assert.equal("digest", parse(URL, "-u", "me:s:cret", "--digest").client.auth.scheme)
        assert.equal("bearer", parse(URL, "--bearer", "abc").client.auth.scheme)
    end)

    it("say which way it goes", function()
        assert.equal("http://proxy:3128", parse(URL, "-x", "http://proxy:3128").client.proxy)
        assert.is_false(parse(URL, "--proxy", "none").client.proxy)
    end)

    it("make the body", function()
        local got = assert(parse_as("POST", URL, "--json", "a=1", "--json", "b:=2"))
        assert.equal('{"a":"1","b":2}', got.request.body.text)
        assert.equal("application/json, */*;q=0.5", header_of(got, "Accept"))
        got = assert(parse_as("POST", URL, "--json", "a=1", "-H", "accept: text/plain"))
        assert.is_nil(header_of(got, "Accept"))
        assert.same({ { "a", "1" } }, parse_as("POST", URL, "--form", "a=1").request.form)
        assert.same({ { name = "a", file = "f" } },
            parse_as("PUT", URL, "--form", "a=@f").request.multipart)
        assert.equal("text", parse_as("PUT", URL, "--body", "text").request.body)
        assert.equal("@text", parse_as("PUT", URL, "--body", "\\@text").request.body)
        assert.is_true(parse_as("PUT", URL, "--body", "@some/file").request.body.rewindable)
        assert.is_false(parse_as("PUT", URL, "--body", "@-").request.body.rewindable)
    end)

    it("take words that begin with a dash behind --", function()
        local got, message = parse("--", "-x")
        assert.equal("https://-x", got and got.url, message)
    end)

    it("ask for help whatever else is missing", function()
        assert.is_true(parse("--help").help)
        assert.is_true(parse(URL, "-h").help)
    end)

    for words, expected in pairs {
        [""] = "a URL is needed",
        ["-X"] = "there is no option -X",
        ["U -iX"] = "there is no option -iX",
        ["U --nope"] = "there is no option --nope",
        ["U -o"] = "-o needs a value",
        ["U --fail=yes"] = "--fail takes no value, but here is '--fail=yes'",
        ["U V"] = "one URL is enough, and here is 'V' too",
        ["U -H bad"] = "--header needs 'Name: value', not 'bad'",
        ["U --json a=1 --form b=2"] = "give one of --json, --form and --body",
        ["U --json a=1 --body b"] = "give one of --json, --form and --body",
        ["U --body a --body b"] = "give --body once",
        ["U -o a -o b"] = "give -o once",
        ["U -u me"] = "--user needs name:password, not 'me'",
        ["U -u :x"] = "--user needs name:password, not ':x'",
        ["U -u a:b --bearer c"] = NO_TWO,
        ["U --bearer c -H authorization:x"] = NO_TWO,
        ["U --netrc -u a:b"] = NO_TWO,
        ["U --digest"] = "--digest goes with --user",
        ["U --raw --compressed"] = "give one of --compressed and --raw",
        ["U --key k"] = "--key goes with --cert",
        ["U -L --no-redirect"] = "give one of -L and --no-redirect",
        ["U --timeout 0"] = "--timeout needs a time such as 10, 500ms, 10s, 2m or 1h, not '0'",
        ["U --timeout x"] = "--timeout needs a time such as 10, 500ms, 10s, 2m or 1h, not 'x'",
        ["U --retry 0"] = "--retry needs a whole number from 1 to 1000, not '0'",
        ["U --color blue"] = "--color needs auto, always or never, not 'blue'",
        ["U --query x"] = "--query needs name=value, not 'x'",
        ["ftp://me:secret@x"] = 'ftp://x is no URL: the scheme "ftp" is not http or https',
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
end)
