local items = require "moonwire.verb.items"
local support = require "spec.support"

local folder = support.temp_dir()

local function write(name, text)
    local file = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(text)
    file:close()
    return folder .. "/" .. name
end

local function no_stdin()
    error "nobody asked for standard input"
end

local function json(...)
    local body, problem = items.json({ ... }, no_stdin)
    return body and body.text, problem
end

describe("--json", function()
    it("makes an object in the order of its names", function()
        assert.equal('{"z":"1","a":"","b":"x=y","c":":="}', json("z=1", "a=", "b=x=y", "c=:="))
    end)

    it("takes JSON as it stands behind :=", function()
        assert.equal('{"a":12345678901234567890,"b":[1, 2],"c":null,"d":1e400}',
            json("a:=12345678901234567890", "b:=[1, 2]", "c:=null", "d:=1e400"))
    end)

    it("nests by brackets", function()
        assert.equal('{"u":{"n":"x","t":["1",2]},"l":[{"a":"1"},{"a":"2"}]}',
            json("u[n]=x", "u[t][]=1", "u[t][]:=2", "l[][a]=1", "l[][a]=2"))
        assert.equal('{"a.b":"c"}', json "a.b=c")
    end)

    it("takes texts and JSON out of files", function()
        local path = write("text", 'a "text"\n')
        assert.equal('{"a":"a \\"text\\"\\n"}', json("a=@" .. path))
        assert.equal('{"a":[1,\n2]}', json("a:=@" .. write("json", "[1,\n2]")))
        assert.equal('{"a":"@x","b":"\\\\@x"}', json("a=\\@x", "b=\\\\@x"))
    end)

    it("takes a whole document, which may be a file that is sent as it is read", function()
        assert.equal('{"b": 1, "a": 2}', json '{"b": 1, "a": 2}')
        assert.equal("[]", json "[]")
        local body = assert(items.json({ "@" .. write("big", "{}") }, no_stdin))
        assert.equal("application/json", body.content_type)
        assert.is_true(body.rewindable)
        assert.is_nil(body.text)
        body = assert(items.json({ "@-" }, function() end))
        assert.equal("application/json", body.content_type)
        assert.is_false(body.rewindable)
    end)

    it("is refused with a sentence", function()
        local binary = write("binary", "\255\254")
        local needs = "--json needs name=text, name:=JSON, name=@file or a whole document, not '"
        local taken = "[b] has a value, or is something else, already"
        for _, case in ipairs {
            { needs .. "x'", "x" },
            { needs .. "a[b=1'", "a[b=1" },
            { needs .. "=1'", "=1" },
            { "--json a:=nope: the value is no JSON", "a:=nope" },
            { "--json a:=: the value is no JSON", "a:=" },
            { "--json: '{nope}' is no JSON", "{nope}" },
            { "--json a=2: a has a value, or is something else, already", "a=1", "a=2" },
            { "--json a[b]=2: a" .. taken, "a=1", "a[b]=2" },
            { "--json a[b]=2: a" .. taken, "a[]=1", "a[b]=2" },
            { "--json a[]=2: a[] has a value, or is something else, already", "a[b]=1", "a[]=2" },
            { "--json takes one whole document, or name=value as often as you like", "a=1", "{}" },
            { "can't read " .. folder .. "/no: No such file or directory",
                "a=@" .. folder .. "/no" },
            { "can't read " .. folder .. ": Is a directory", "a=@" .. folder },
            { "--json a=@" .. binary .. ": " .. binary .. " is no UTF-8", "a=@" .. binary },
            { "--json a=\255: the value is no UTF-8", "a=\255" },
            { "--json: a name is UTF-8 without control characters", "\255=1" },
        } do
            local text, problem = json(unpack(case, 2))
            assert.is_nil(text)
            assert.equal(case[1], problem)
        end
    end)
end)

describe("--form", function()
    it("makes a form in its order", function()
        local kind, list = items.form { "b=1", "a=x=y", "a=", "c=\\@x" }
        assert.equal("form", kind)
        assert.same({ { "b", "1" }, { "a", "x=y" }, { "a", "" }, { "c", "@x" } }, list)
    end)

    it("makes one with files where there is one", function()
        local kind, parts = items.form { "b=1", "f=@/tmp/x.png" }
        assert.equal("multipart", kind)
        assert.same({ { name = "b", value = "1" }, { name = "f", file = "/tmp/x.png" } }, parts)
    end)

    it("is refused with a sentence", function()
        for word, expected in pairs {
            ["x"] = "--form needs name=value or name=@file, not 'x'",
            ["=x"] = "--form needs name=value or name=@file, not '=x'",
            ["f=@"] = "--form f=@: the path of a file is needed behind '@'",
            ["f=@-"] = "--form f=@-: the path of a file is needed behind '@'",
        } do
            local kind, problem = items.form { word }
            assert.is_nil(kind)
            assert.equal(expected, problem)
        end
    end)
end)

describe("--query", function()
    it("makes pairs in their order, of values as they are", function()
        assert.same({ { "b", "@x" }, { "a", "1=2" }, { "b", "" } },
            items.query { "b=@x", "a=1=2", "b=" })
        local list, problem = items.query { "x" }
        assert.is_nil(list)
        assert.equal("--query needs name=value, not 'x'", problem)
    end)
end)
