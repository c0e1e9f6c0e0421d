local bodies = require "moonwire.body"
local challenge = require "moonwire.auth.challenge"
local digest = require "moonwire.auth.digest"

local NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
local CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
local OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"

local function choose(...)
    return digest.choose(challenge.list { ... })
end

-- The challenge of RFC 7616 section 3.9.1 with another algorithm and qop.
local function example(algorithm, qop)
    local asked = choose(('Digest realm="http-auth@example.org", qop="%s", algorithm=%s,'
        .. ' nonce="%s", opaque="%s"'):format(qop, algorithm, NONCE, OPAQUE))
    asked.cnonce = CNONCE
    return asked
end

local function params_of(value)
    return challenge.list({ value })[1].params
end

local function response_of(asked, body)
    return params_of(assert(digest.authorization(asked, "Mufasa", "Circle of Life", "GET",
        "/dir/index.html", body))).response
end

describe("digest.authorization", function()
    -- algorithm, qop, body -> response: the first two are RFC 7616's, the others python's hashlib's
    local VECTORS = {
        { "MD5", "auth", "8ca523f5e9506fed4657c9700eebdbec" },
        { "SHA-256", "auth", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" },
        { "MD5", "auth-int", "b6d214e63d7ad7183b732c144df0438a" },
        { "MD5-sess", "auth", "e783283f46242139c486a698fec7211d" },
        { "MD5-sess", "auth-int", "231f2308276e40558679707db6ffc0d1" },
        { "SHA-256", "auth-int",
            "97808637d119bfe30a4e69b930b90dd40048d9e932e47a855f40f725bd9fdacd" },
        { "SHA-256-sess", "auth",
            "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7" },
        { "SHA-256-sess", "auth-int",
            "c23120a353962f807e79f48b8cc1e623e54dd2522b39fcf9497533da987a5db7" },
        { "SHA-512-256", "auth",
            "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0" },
        { "SHA-512-256", "auth-int",
            "08bf8baabca43b894ce2694510c1fdeedcee96f9cd4ea6165ceb554741ee99d5" },
        { "SHA-512-256-sess", "auth",
            "3f2a34f923c38b0fb26dce2fdfc2ce326c23cecf86fbb1444f3e51fbbc2cb92e" },
        { "SHA-512-256-sess", "auth-int",
            "fda16db11e4ba27e4efd464f3e1733ff3ad1aaa9e967bf33cf6b91ae433d01cc" },
        { "SHA-512", "auth",
            "27d9ebedb4e86595d8b99152ce456620c8e47c48afbd771dbc4468bb758ca66e"
            .. "7312383d49ad044219d4a2c5c218e66c584fa00b2728798bcff9435825eed0ad" },
        { "SHA-512-sess", "auth-int",
            "3f6472327fdf421ea30198f7cebf6b2edb35c22e21718ef49beb30a6499ab369"
            .. "47a39d7af15fe86540ceb7a2306d6d09b4f73ad273143e99970b10e497034675" },
    }

    for _, vector in ipairs(VECTORS) do
        it(("has the sums right: %s %s"):format(vector[1], vector[2]), function()
            assert.equal(vector[3],
                response_of(example(vector[1], vector[2]), bodies.string "text"))
        end)
    end

    it("says all that the server wants to see", function()
        assert.equal('Digest username="Mufasa", realm="http-auth@example.org", nonce="' .. NONCE
            .. '", uri="/dir/index.html", response="8ca523f5e9506fed4657c9700eebdbec",'
            .. ' algorithm=MD5, cnonce="' .. CNONCE .. '", qop=auth, nc=00000001, opaque="'
            .. OPAQUE .. '"',
            digest.authorization(example("MD5", "auth, auth-int"), "Mufasa", "Circle of Life",
                "GET", "/dir/index.html"))
    end)

    it("hides the user where the server wants that", function()
        -- section 3.9.2, as erratum 4897 has it
        local asked = choose('Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256,'
            .. ' nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",'
            .. ' opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8,'
            .. " userhash=true")
        asked.cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
        local params = params_of(digest.authorization(asked, "J\195\164s\195\184n Doe",
            "Secret, or not?", "GET", "/doe.json"))
        assert.equal("793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
            params.username)
        assert.equal("3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
            params.response)
        assert.equal("true", params.userhash)
    end)

    it("counts how often a nonce is used, and keeps the rest", function()
        local asked = example("SHA-256-sess", "auth")
        local first = response_of(asked)
        local params = params_of(digest.authorization(asked, "Mufasa", "Circle of Life", "GET",
            "/dir/index.html"))
        assert.equal("00000002", params.nc)
        assert.equal(CNONCE, params.cnonce)
        assert.not_equal(first, params.response)
        asked.count = 0
        assert.equal(first, response_of(asked))
        asked.count = 255
        assert.equal("00000100", params_of(digest.authorization(asked, "Mufasa", "x", "GET",
            "/")).nc)
    end)

    it("is that of 1997 for a server that knows no qop", function()
        local asked = choose('Digest realm="testrealm@host.com",'
            .. ' nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"')
        local value = digest.authorization(asked, "Mufasa", "Circle Of Life", "GET",
            "/dir/index.html")
        assert.equal("670fd8c2df070c60b045671b8b24ff02", params_of(value).response)
        for _, name in ipairs { "qop", "nc", "cnonce", "algorithm", "opaque" } do
            assert.is_nil(params_of(value)[name])
        end
    end)

    it("quotes what has to be, and hashes it unquoted", function()
        local asked = choose 'Digest realm="a \\"b\\" \\\\", nonce="n\\"", opaque=""'
        local value = digest.authorization(asked, 'me "too"', "x", "GET", '/"')
        local params = params_of(value)
        assert.same({ 'a "b" \\', 'n"', 'me "too"', '/"', "" },
            { params.realm, params.nonce, params.username, params.uri, params.opaque })
        local plain = choose 'Digest realm="r", nonce="n"'
        plain.realm, plain.nonce = 'a "b" \\', 'n"'
        assert.equal(params.response,
            params_of(digest.authorization(plain, 'me "too"', "x", "GET", '/"')).response)
    end)

    it("hashes a body of any kind that can be read twice", function()
        local path = os.tmpname()
        local file = assert(io.open(path, "wb"))
        file:write(("0123456789"):rep(50000))
        file:close()
        local expected = digest.of_body("MD5", bodies.string(("0123456789"):rep(50000)))
        assert.equal(expected, digest.of_body("MD5", bodies.file(path)))
        local list = {}
        for i = 1, 50000 do
            list[i] = "0123456789"
        end
        assert.equal(expected, digest.of_body("MD5", bodies.new(list)))
        os.remove(path)
        assert.equal("d41d8cd98f00b204e9800998ecf8427e", digest.of_body("MD5", nil))
        local sum, err = digest.of_body("MD5", bodies.file(path))
        assert.is_nil(sum)
        assert.equal("body", err.kind)
    end)

    it("says what to do with a body that is read only once", function()
        local asked = example("MD5", "auth-int")
        local value, err = digest.authorization(asked, "a", "b", "PUT", "/", bodies.new(function()
            error "it isn't read"
        end))
        assert.is_nil(value)
        assert.equal("auth", err.kind)
        assert.is_truthy(err.message:find("body.file(path)", 1, true), err.message)
        assert.equal(0, asked.count)
    end)
end)

describe("digest.choose", function()
    local function algorithm(...)
        local asked = choose(...)
        return asked and asked.algorithm
    end

    local function offer(name, more)
        return ('Digest realm="r", nonce="n", algorithm=%s%s'):format(name, more or "")
    end

    it("takes the strongest that is offered", function()
        assert.equal("SHA-256", algorithm(offer "MD5", offer "SHA-256"))
        assert.equal("SHA-256", algorithm(offer "SHA-256" .. ", " .. offer "MD5"))
        assert.equal("SHA-512-256", algorithm(offer "SHA-512-256", offer "SHA-256"))
        assert.equal("SHA-512", algorithm(offer "SHA-512", offer "SHA-512-256"))
        assert.equal("sha-256-SESS", algorithm(offer "sha-256-SESS", offer "md5"))
        assert.equal("MD5", algorithm('Basic realm="x"', offer "SHA-1024", offer "MD5"))
    end)

    it("takes auth before auth-int, and nothing that it doesn't know", function()
        assert.equal("auth", choose(offer("MD5", ', qop="auth-int,auth"')).qop)
        assert.equal("auth-int", choose(offer("MD5", ', qop="AUTH-INT, more"')).qop)
        assert.is_nil(choose(offer("MD5", ', qop="more"')))
        assert.is_nil(choose(offer("MD5", ', qop=""')))
        assert.is_nil(choose(offer "SHA-1"))
        assert.is_nil(choose(offer "-sess"))
        assert.is_nil(choose 'Digest realm="r"')
        assert.is_nil(choose 'Digest nonce="n"')
        assert.is_nil(choose 'Basic realm="r", nonce="n"')
        assert.is_nil(choose())
    end)

    it("takes nothing that can't be sent back", function()
        assert.is_nil(choose 'Digest realm="r\\\1", nonce="n"')
        assert.is_nil(choose('Digest realm="r", nonce="' .. ("n"):rep(8192) .. '"'))
        assert.is_truthy(choose('Digest realm="r", nonce="' .. ("n"):rep(8191) .. '"'))
    end)

    it("gives a cnonce that nobody can foretell", function()
        local first, second = choose(offer "MD5").cnonce, choose(offer "MD5").cnonce
        assert.is_truthy(first:find "^%x+$" and #first == 32)
        assert.not_equal(first, second)
    end)
end)
