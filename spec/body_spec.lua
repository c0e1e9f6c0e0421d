local bodies = require "moonwire.body"
local json = require "moonwire.json"
local requests = require "moonwire.request"

local function read_all(body)
    local reader = assert(body:open())
    local chunks = {}
    while true do
        local chunk, err = reader:read()
        if not chunk then
            reader:close()
            return not err and table.concat(chunks) or nil, err, #chunks
        end
        assert.is_true(#chunk > 0)
        chunks[#chunks + 1] = chunk
    end
end

local function temporary(content)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(content)
    file:close()
    return path
end

local function generator(chunks)
    local index = 0
    return function()
        index = index + 1
        local chunk = chunks[index]
        if type(chunk) == "function" then
            return chunk()
        end
        return chunk
    end
end

describe("body.new", function()
    it("leaves nil and bodies as they are", function()
        assert.is_nil(bodies.new(nil))
        local body = bodies.string "x"
        assert.equal(body, bodies.new(body))
        assert.is_true(bodies.is(body))
        assert.is_false(bodies.is {})
    end)

    it("takes a string", function()
        local body = bodies.new "abc"
        assert.equal(3, body.length)
        assert.is_true(body.rewindable)
        assert.equal("abc", body:string())
        assert.equal("abc", read_all(body))
        assert.equal("abc", read_all(body))
        assert.equal(0, bodies.new("").length)
    end)

    it("takes a list of strings, and sends a short one as one string", function()
        local body = bodies.new { "ab", "", "c" }
        assert.equal(3, body.length)
        assert.equal("abc", body:string())
        local long = ("x"):rep(40000)
        local list = { long, "", "y", long }
        body = bodies.new(list)
        list[1] = "changed"
        assert.equal(80001, body.length)
        assert.is_nil(body:string())
        for _ = 1, 2 do
            local text, _, count = read_all(body)
            assert.equal(long .. "y" .. long, text)
            assert.equal(3, count)
        end
    end)

    it("takes a function, once", function()
        local body = bodies.new(generator { "a", "", "b" })
        assert.is_nil(body.length)
        assert.is_false(body.rewindable)
        assert.is_nil(body:string())
        assert.equal("ab", read_all(body))
        local reader, err = body:open()
        assert.is_nil(reader)
        assert.equal("body", err.kind)
        assert.matches("can't be sent again", tostring(err))
    end)

    it("takes a wrapped coroutine", function()
        local body = bodies.new(coroutine.wrap(function()
            coroutine.yield "a"
            coroutine.yield "b"
        end))
        assert.equal("ab", read_all(body))
    end)

    it("takes a function whose length is known", function()
        assert.equal(2, bodies.generator(generator { "ab" }, { length = 2 }).length)
        for _, length in ipairs { -1, 1.5, "2" } do
            assert.error_matches(function()
                bodies.generator(print, { length = length })
            end, "'length'")
        end
    end)

    it("passes on what the function gives up with", function()
        local cause = { "mine" }
        local text, err = read_all(bodies.new(generator { "a", function()
            return nil, cause
        end }))
        assert.is_nil(text)
        assert.equal("body", err.kind)
        assert.equal("write", err.phase)
        assert.equal(cause, err.cause)
    end)

    it("gives the traceback of a function that raises", function()
        local body = bodies.new(function()
            error "no more ideas"
        end)
        local _, err = read_all(body)
        assert.equal("body", err.kind)
        assert.matches("no more ideas", err.cause)
        assert.matches("body_spec.lua", err.cause)
        assert.matches("stack traceback", err.cause)
    end)

    it("names the type of a chunk that is no string", function()
        for _, chunk in ipairs { 1, true, {} } do
            local _, err = read_all(bodies.new(generator { chunk }))
            assert.equal("body", err.kind)
            assert.matches("gave a " .. type(chunk) .. ", not a string", tostring(err))
        end
    end)

    it("asks a function no more after its end", function()
        local calls = 0
        local reader = bodies.new(function()
            calls = calls + 1
        end):open()
        for _ = 1, 3 do
            assert.is_nil(reader:read())
        end
        assert.equal(1, calls)
    end)

    it("takes an open file from where it stands, and again from there", function()
        local path = temporary "0123456789"
        local file = assert(io.open(path, "rb"))
        file:seek("set", 4)
        local body = bodies.new(file)
        assert.equal(6, body.length)
        assert.is_true(body.rewindable)
        assert.equal("456789", read_all(body))
        file:seek("set", 0)
        assert.equal("456789", read_all(body))
        file:close()
        local reader, err = body:open()
        assert.is_nil(reader)
        assert.matches("closed", tostring(err))
        assert.error_matches(function()
            bodies.new(file)
        end, "'body' %(open file")
        os.remove(path)
    end)

    it("reads a large file in parts", function()
        local content = ("0123456789"):rep(100000)
        local path = temporary(content)
        local text, _, count = read_all(bodies.file(path))
        assert.is_true(content == text)
        assert.is_true(count > 2)
        os.remove(path)
    end)

    it("reads no more of a growing file than was there", function()
        local path = temporary "old"
        local body = bodies.new(assert(io.open(path, "rb")))
        local file = assert(io.open(path, "ab"))
        file:write " and new"
        file:close()
        assert.equal("old", read_all(body))
        os.remove(path)
    end)

    it("doesn't let two requests read one open file", function()
        local path = temporary "abc"
        local body = bodies.new(assert(io.open(path, "rb")))
        local reader = assert(body:open())
        local other, err = body:open()
        assert.is_nil(other)
        assert.matches("another request", tostring(err))
        reader:close()
        assert.equal("abc", read_all(body))
        os.remove(path)
    end)

    it("takes a pipe, of unknown length and once", function()
        local pipe = assert(io.popen "printf abc")
        local body = bodies.new(pipe)
        assert.is_nil(body.length)
        assert.is_false(body.rewindable)
        assert.equal("abc", read_all(body))
        pipe:close()
    end)

    it("takes files that tell no length as of unknown length", function()
        local body = bodies.new(assert(io.open("/proc/self/status", "rb")))
        assert.is_nil(body.length)
        assert.matches("Name:", (read_all(body)))
    end)

    it("opens a path each time it is sent", function()
        local path = temporary "one"
        local body = bodies.file(path)
        assert.is_nil(body.length)
        assert.equal(3, body:open().length)
        assert.equal("one", read_all(body))
        os.remove(path)
        local reader, err = body:open()
        assert.is_nil(reader)
        assert.equal("body", err.kind)
        assert.matches(path, tostring(err), 1, true)
        assert.matches("No such file", tostring(err))
    end)

    it("takes a part of a file, by its path or open", function()
        local path = temporary "0123456789"
        local file = assert(io.open(path, "rb"))
        file:seek("set", 7)
        for _, case in ipairs {
            { { offset = 4 }, "456789" }, { { offset = 0, length = 2 }, "01" },
            { { offset = 9, length = 1 }, "9" }, { { offset = 10 }, "" },
            { { offset = 10, length = 0 }, "" }, { { length = 0 }, "" },
            { { offset = 2, chunked = true }, "23456789" },
        } do
            local opts, text = case[1], case[2]
            for _ = 1, 2 do
                assert.equal(text, read_all(bodies.file(path, opts)))
                local reader = assert(bodies.file(path, opts):open())
                assert.equal(not opts.chunked and #text or nil, reader.length)
                reader:close()
                local body = bodies.file(file, opts)
                assert.equal(not opts.chunked and #text or nil, body.length)
                assert.equal(text, read_all(body))
                file:seek("set", 7)
            end
        end
        assert.equal("0123", read_all(bodies.file(path, { length = 4 })))
        assert.equal("78", read_all(bodies.file(file, { length = 2 })))
        file:close()
        os.remove(path)
    end)

    it("says that a file has less than the part that is wanted", function()
        local path = temporary "0123456789"
        local file = assert(io.open(path, "rb"))
        for words, opts in pairs {
            ["it has 10 bytes, and the length is 11"] = { length = 11 },
            ["it has 6 bytes from the offset on, and the length is 7"] = { offset = 4, length = 7 },
            ["it has 10 bytes, and the offset is 11"] = { offset = 11 },
            ["it has 10 bytes, and the offset is 12"] = { offset = 12, length = 0 },
        } do
            local reader, err = bodies.file(path, opts):open()
            assert.is_nil(reader)
            assert.equal("body", err.kind)
            assert.matches(path .. ": " .. words, tostring(err), 1, true)
            assert.error_matches(function()
                bodies.file(file, opts)
            end, words)
        end
        file:close()
        os.remove(path)
    end)

    it("takes so much of a pipe, but no place in it", function()
        local pipe = assert(io.popen "printf abcdef")
        local body = bodies.file(pipe, { length = 4 })
        assert.equal(4, body.length)
        assert.is_false(body.rewindable)
        assert.equal("abcd", read_all(body))
        assert.error_matches(function()
            bodies.file(pipe, { offset = 1 })
        end, "it has no places")
        pipe:close()
    end)

    it("names what is wrong with the part of a file", function()
        for _, name in ipairs { "offset", "length" } do
            for _, value in ipairs { -1, 0.5, "1", 0 / 0, math.huge } do
                assert.error_matches(function()
                    bodies.file("x", { [name] = value })
                end, "'" .. name .. "' %(whole number of bytes expected")
            end
        end
        assert.error_matches(function()
            bodies.file("x", { length = 1, chunked = true })
        end, "'length' %(a file that is sent chunked")
        assert.error_matches(function()
            bodies.file("x", { chunked = 1 })
        end, "'chunked'")
    end)

    it("writes forms as browsers do", function()
        assert.equal("a=x&a=1&b=%22%27%28%29%7E%2B*-._&c+d=%C3%BC%0D%0A&e=true", bodies.form({
            a = { "x", 1 }, b = "\"'()~+*-._", ["c d"] = "\195\188\r\n", e = true, f = {},
        }):string())
        assert.equal("z=1&a=2&z=3", bodies.form({ { "z", 1 }, { "a", 2 }, { "z", 3 } }):string())
        for _, bad in ipairs { { a = print }, { a = { {} } }, { { 1, 2 } } } do
            local _, message = pcall(function()
                bodies.form(bad)
            end)
            assert.matches("^[^:]*body_spec.lua:%d+: bad argument 'form' %(bad query", message)
        end
    end)

    it("writes an empty table as an object in JSON", function()
        assert.equal("{}", bodies.json({}):string())
        assert.equal("null", bodies.json(json.null):string())
        local _, message = pcall(function()
            bodies.json { print }
        end)
        assert.matches("^[^:]*body_spec.lua:%d+: bad argument 'json'", message)
    end)

    it("says that a folder can't be read", function()
        local reader, err = bodies.file("/tmp"):open()
        assert.is_nil(reader)
        assert.equal("body", err.kind)
    end)

    it("writes forms and json", function()
        assert.equal("a=1&b=x+y", bodies.form({ b = "x y", a = 1 }):string())
        assert.equal("[1]", bodies.json({ 1 }):string())
        assert.error_matches(function()
            bodies.json(print)
        end, "'json'")
        assert.error_matches(function()
            bodies.form "x"
        end, "'form'")
    end)

    it("keeps a given type", function()
        assert.equal("text/x", bodies.new("x", { content_type = "text/x" }).content_type)
        assert.equal("text/x", requests.new({ method = "PUT", url = "http://a/",
            body = bodies.string("x", { content_type = "text/x" }) }).headers:get "content-type")
    end)

    it("names what has the wrong type", function()
        for _, value in ipairs { 1, true, newproxy(false) } do
            assert.error_matches(function()
                bodies.new(value)
            end, "bad argument 'body' %(string, list of strings")
        end
        assert.error_matches(function()
            bodies.new { "a", 1 }
        end, "'body%[2%]' %(string expected, got number%)")
        assert.error_matches(function()
            bodies.new { name = "value" }
        end, "json = %.%.%. and form = ")
        assert.error_matches(function()
            bodies.new { "a", nil, "c", x = 1 }
        end, "'body'")
        for _, name in ipairs { "string", "generator", "file" } do
            assert.error_matches(function()
                bodies[name](1)
            end, "bad argument")
        end
        assert.error_matches(function()
            bodies.new("x", { content_type = 1 })
        end, "'content_type'")
        assert.error_matches(function()
            bodies.new("x", 1)
        end, "'opts'")
    end)
end)
