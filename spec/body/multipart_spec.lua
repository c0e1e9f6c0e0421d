local bodies = require "moonwire.body"
local core = require "moonwire.core"
local requests = require "moonwire.request"
local support = require "spec.support"

local B = { boundary = "cut" }

-- What a body gives: its bytes, or nil and an error; and in how many chunks.
local function read_all(body)
    local reader, err = body:open()
    if not reader then
        return nil, err
    end
    local chunks = {}
    local chunk, problem = reader:read()
    while chunk do
        chunks[#chunks + 1] = chunk
        chunk, problem = reader:read()
    end
    reader:close()
    reader:close()
    return not problem and table.concat(chunks) or nil, problem, #chunks
end

local function golden(...)
    return table.concat({ ... }, "\r\n")
end

local function written(parts)
    local body = bodies.multipart(parts, B)
    local text = assert(read_all(body))
    assert.equal(#text, body.length or assert(body:open()).length)
    return text
end

-- The line that tells a part's name.
local function disposition(part)
    return written({ part }):match "^%-%-cut\r\nContent%-Disposition: form%-data; (.-)\r\n"
end

-- The same form as node's FormData, which follows WHATWG, writes it.
local NODE = [[
const form = new FormData();
form.append("a\"\r\nX: y", "1\n2\r3\r\n4\n");
form.append("\u00fc\n", "");
form.append("f", new Blob(["\0{}\n"], { type: "application/json" }), "\"\n;\r\u00fc.json");
form.append("f", new Blob(["x"]), "no ending");
const response = new Response(form);
const text = Buffer.from(await response.arrayBuffer()).toString("latin1");
const boundary = response.headers.get("content-type").match(/boundary=(.*)$/)[1];
process.stdout.write(Buffer.from(text.split(boundary).join("cut"), "latin1"));
]]

local function with_file(name, content, f)
    local path = support.temp_dir() .. "/" .. name
    local file = assert(io.open(path, "wb"))
    file:write(content)
    file:close()
    f(path)
    os.remove(path)
end

local function open_files()
    return select(2, io.popen("ls /proc/self/fd"):read("*a"):gsub("\n", ""))
end

describe("a multipart body", function()
    it("is written byte for byte", function()
        with_file("Photo.PNG", "\137PNG\r\n\0", function(path)
            assert.equal(golden("--cut", 'Content-Disposition: form-data; name="title"', "",
                "a title", "--cut",
                'Content-Disposition: form-data; name="photo"; filename="Photo.PNG"',
                "Content-Type: image/png", "", "\137PNG\r\n\0", "--cut",
                'Content-Disposition: form-data; name="data"; filename="blob"',
                "Content-Type: text/x; charset=utf-8", "X-More: 1", "X-More: 2", "", "from a list",
                "--cut--", ""), written {
                    { name = "title", value = "a title" },
                    { name = "photo", file = path },
                    { name = "data", body = { "from ", "a list" }, filename = "blob",
                        content_type = "text/x; charset=utf-8",
                        headers = { { "X-More", "1" }, { "X-More", "2" } } },
                })
        end)
    end)

    it("is what a browser's engine writes", function()
        local code, out, problem = support.run({ "node", "--input-type=module", "-" },
            { stdin = NODE })
        assert.equal(0, code, problem)
        assert.equal(out, written {
            { name = "a\"\r\nX: y", value = "1\n2\r3\r\n4\n" },
            { name = "\195\188\n", value = "" },
            { name = "f", value = "\0{}\n", filename = "\"\n;\r\195\188.json" },
            { name = "f", value = "x", filename = "no ending" },
        })
    end)

    it("has the fields of a table in the order of their names", function()
        assert.equal(golden("--cut", 'Content-Disposition: form-data; name="a"', "", "12",
            "--cut", 'Content-Disposition: form-data; name="b"', "", "true",
            "--cut", 'Content-Disposition: form-data; name="c"', "", "x",
            "--cut", 'Content-Disposition: form-data; name="c"; filename="y.json"',
            "Content-Type: application/json", "", "{}",
            "--cut", 'Content-Disposition: form-data; name="d"', "Content-Type: text/x", "", "z",
            "--cut--", ""), written {
                d = { value = "z", content_type = "text/x" },
                c = { "x", { value = "{}", filename = "y.json" } },
                b = true,
                a = 12,
            })
    end)

    it("may be empty", function()
        assert.equal("--cut--\r\n", written {})
        assert.equal("--cut--\r\n", written { a = {} })
    end)

    it("says its boundary, which is another one each time", function()
        local seen = {}
        for _ = 1, 100 do
            local body = bodies.multipart { a = 1 }
            local boundary = body.content_type:match "^multipart/form%-data; boundary=(%S+)$"
            assert.matches("^moonwire%-%x+$", boundary)
            assert.equal(#"moonwire-" + 32, #boundary)
            assert.equal(boundary, body.boundary)
            assert.matches("--" .. boundary .. "--\r\n", body:string(), 1, true)
            assert.is_nil(seen[boundary])
            seen[boundary] = true
        end
    end)

    it("takes its boundary from the core's random bytes", function()
        local before = core.random_bytes
        core.random_bytes = function(n)
            return ("\171"):rep(n)
        end
        local boundary = bodies.multipart({ a = 1 }).boundary
        core.random_bytes = before
        assert.equal("moonwire-" .. ("ab"):rep(16), boundary)
    end)

    it("is one string where it is small", function()
        local body = bodies.multipart({ { name = "a", value = "x" },
            { name = "b", body = bodies.string("y", { content_type = "text/y" }) } }, B)
        assert.equal(golden("--cut", 'Content-Disposition: form-data; name="a"', "", "x", "--cut",
            'Content-Disposition: form-data; name="b"', "Content-Type: text/y", "", "y",
            "--cut--", ""), body:string())
        assert.is_true(body.rewindable)
    end)

    it("doesn't join what is long", function()
        local long = ("x"):rep(100000)
        local body = bodies.multipart({ a = long, b = long }, B)
        assert.is_nil(body:string())
        for _ = 1, 2 do
            local text, _, count = read_all(body)
            assert.equal(body.length, #text)
            assert.is_true(count >= 3)
        end
    end)
end)

describe("names in a multipart body", function()
    it("are escaped as browsers do, so that none ends its header", function()
        assert.equal('name="a%22; filename=%22x"', disposition {
            name = 'a"; filename="x', value = "" })
        assert.equal('name="a%0D%0AX-Evil: 1%0D%0A%0D%0Abody"', disposition {
            name = "a\r\nX-Evil: 1\n\rbody", value = "" })
        assert.equal('name="a\\b%41"', disposition { name = "a\\b%41", value = "" })
        assert.equal('name="n"; filename="%22%0D%0A%0A%0D;.txt"', disposition {
            name = "n", value = "", filename = "\"\r\n\n\r;.txt" })
        assert.equal('name=""; filename=""', disposition { name = "", value = "", filename = "" })
    end)

    it("are UTF-8 as they stand", function()
        assert.equal('name="gr\195\182\195\159e"; filename="\230\150\135.txt"', disposition {
            name = "gr\195\182\195\159e", value = "", filename = "\230\150\135.txt" })
    end)

    it("come from the path of a file, or not at all", function()
        with_file("a b.txt", "", function(path)
            assert.equal('name="f"; filename="a b.txt"', disposition { name = "f", file = path })
            assert.equal('name="f"', disposition { name = "f", file = path, filename = false })
            assert.equal('name="f"; filename="other"', disposition {
                name = "f", file = path, filename = "other" })
        end)
    end)
end)

describe("what a part has", function()
    local function content(part)
        return written({ part }):match "\r\n\r\n(.*)\r\n%-%-cut%-%-\r\n$"
    end

    it("has CRLF at its line ends where it is a field's text, and no other change", function()
        assert.equal("a\r\nb\r\nc\r\n\r\nd", content { name = "a", value = "a\nb\rc\r\n\nd" })
        assert.equal("a\nb\rc", content { name = "a", value = "a\nb\rc", filename = "f" })
        assert.equal("a\nb\rc", content { name = "a", value = "a\nb\rc", content_type = "x/y" })
        assert.equal("a\nb\rc", content { name = "a", body = "a\nb\rc" })
    end)

    it("has a type by the name's ending, unless one is given", function()
        local function type_of(part)
            part.name = "f"
            return written({ part }):match "\r\n[Cc]ontent%-[Tt]ype: (.-)\r\n"
        end
        assert.is_nil(type_of { value = "x" })
        assert.is_nil(type_of { body = "x" })
        assert.equal("application/pdf", type_of { value = "x", filename = "x.tar.PDF" })
        assert.equal("application/octet-stream", type_of { value = "x", filename = "x.unknown" })
        assert.equal("application/octet-stream", type_of { value = "x", filename = "pdf" })
        assert.equal("text/x", type_of { value = "x", filename = "x.pdf", content_type = "text/x" })
        assert.equal("text/h", type_of { value = "x", filename = "x.pdf",
            headers = { ["content-type"] = "text/h" } })
        assert.equal("application/json", type_of { body = bodies.json { 1 } })
    end)
end)

describe("files and streams in a multipart body", function()
    it("make it one of known length once it is opened, and again", function()
        with_file("a.bin", ("x"):rep(300000), function(path)
            local body = bodies.multipart({ f = { file = path }, g = { file = path } }, B)
            assert.is_nil(body.length)
            assert.is_true(body.measured)
            assert.is_true(body.rewindable)
            for _ = 1, 2 do
                local text = assert(read_all(body))
                assert.equal(assert(body:open()).length, #text)
            end
        end)
    end)

    it("may be open files, a part of a file, functions and other multipart bodies", function()
        with_file("a.bin", "0123456789", function(path)
            local file, once = assert(io.open(path, "rb")), true
            file:seek("set", 8)
            local body = bodies.multipart({
                { name = "a", file = file, filename = "a" },
                { name = "b", body = bodies.file(path, { offset = 2, length = 3 }) },
                { name = "c", body = bodies.generator(function()
                    once = not once
                    return not once and "made" or nil
                end, { length = 4 }) },
                { name = "d", body = bodies.multipart({ x = "nested" }, { boundary = "in" }) },
            }, B)
            assert.is_false(body.rewindable)
            assert.is_true(body.measured)
            local reader = assert(body:open())
            local length, text = reader.length, ""
            for chunk in reader.read, reader do
                text = text .. chunk
            end
            assert.equal(length, #text)
            assert.matches("\r\n\r\n89\r\n--cut\r\n", text, 1, true)
            assert.matches("\r\n\r\n234\r\n--cut\r\n", text, 1, true)
            assert.matches("\r\n\r\nmade\r\n--cut\r\n", text, 1, true)
            assert.matches("; boundary=in\r\n\r\n--in\r\n", text, 1, true)
            reader:close()
            file:close()
            local again, err = body:open()
            assert.is_nil(again)
            assert.matches("can't be sent again", tostring(err))
        end)
    end)

    it("of unknown length make it one", function()
        with_file("a.bin", "0123456789", function(path)
            local body = bodies.multipart({ { name = "a", file = path },
                { name = "b", body = coroutine.wrap(function()
                    coroutine.yield "one "
                    coroutine.yield "two"
                end) } }, B)
            assert.is_nil(body.length)
            assert.is_nil(body.measured)
            assert.equal(golden("--cut",
                'Content-Disposition: form-data; name="a"; filename="a.bin"',
                "Content-Type: application/octet-stream", "", "0123456789", "--cut",
                'Content-Disposition: form-data; name="b"', "", "one two", "--cut--", ""),
                (read_all(body)))
        end)
    end)

    it("that have no length after all make it one by then", function()
        local body = bodies.multipart({ f = { file = "/proc/self/status" } }, B)
        local reader = assert(body:open())
        assert.is_nil(reader.length)
        reader:close()
        assert.matches("Name:", (read_all(body)))
    end)

    it("that can't be opened are named before the first byte, and none stays open", function()
        with_file("a.bin", "x", function(path)
            local body = bodies.multipart({ { name = "here", file = path },
                { name = "not \"here\"", file = path .. ".no" } }, B)
            local before = open_files()
            local reader, err = body:open()
            assert.is_nil(reader)
            assert.equal("body", err.kind)
            assert.matches('^part "not %%22here%%22": the body\'s file can\'t be opened: ',
                tostring(err))
            assert.matches("No such file", tostring(err))
            assert.equal(before, open_files())
        end)
    end)

    it("that give more or less than they said end it with an error", function()
        for code, text in pairs { EBODY_SHORT = "ab", EBODY_LONG = "abcd" } do
            local left = { text }
            local body = bodies.multipart({ p = { body = bodies.generator(function()
                return table.remove(left)
            end, { length = 3 }) } }, B)
            local got, err = read_all(body)
            assert.is_nil(got)
            assert.equal("body", err.kind)
            assert.equal(code, err.code)
            assert.matches('^part "p": ', tostring(err))
        end
    end)

    it("that are shorter by then end it with an error", function()
        with_file("a.bin", ("0123456789"):rep(10000), function(path)
            local reader = assert(bodies.multipart({ f = { file = path } }, B):open())
            assert.matches("filename", reader:read())
            assert(io.open(path, "wb")):close()
            reader:read() -- what had been read ahead
            for _ = 1, 2 do
                local chunk, err = reader:read()
                assert.is_nil(chunk)
                assert.equal("EBODY_SHORT", err.code)
            end
            assert.is_nil(reader:claim())
            reader:close()
        end)
    end)

    it("that fail say why, with the part's name", function()
        local _, err = read_all(bodies.multipart({ p = { body = function()
            error "no more"
        end } }, B))
        assert.matches('^part "p": the body\'s function failed: .*no more', tostring(err))
        assert.matches("traceback", err.cause)
    end)
end)

describe("a multipart option", function()
    local function problem(multipart, more)
        local opts = { method = "POST", url = "http://a/", multipart = multipart }
        for name, value in pairs(more or {}) do
            opts[name] = value
        end
        local ok, message = pcall(requests.new, opts)
        assert.is_false(ok)
        return message
    end

    it("makes the body of a request, with its type", function()
        local request = requests.new { method = "POST", url = "http://a/", multipart = { a = 1 } }
        assert.equal("multipart/form-data; boundary=" .. request.body.boundary,
            request.headers:get "content-type")
        assert.matches("\r\nContent-Length: " .. request.body.length .. "\r\n",
            request.head:bytes(), 1, true)
        local copy = requests.new({ url = "http://a/", body = "x" }):with {
            multipart = { b = 2 } }
        assert.matches('name="b"', copy.body:string())
    end)

    it("names what is wrong with it", function()
        local null = assert(io.open("/dev/null", "rb"))
        assert.matches("one of body, json, form and multipart", problem({ a = 1 }, { body = "" }))
        for _, case in ipairs {
            { 1, "'multipart' %(table of names" }, { "x", "'multipart' %(table of names" },
            { bodies.string "x", "'multipart' %(table of names" },
            { { a = print }, "'multipart%[\"a\"%]' %(string, number, boolean, part or list" },
            { { a = bodies.string "x" }, "'multipart%[\"a\"%]' %(string.*moonwire.Body" },
            { { a = { b = 1 } }, "'multipart%[\"a\"%]' %(string" },
            { { a = { 1, print } }, "'multipart%[\"a\"%]%[2%]' %(string" },
            { { a = { { 1 } } }, "'multipart%[\"a\"%]%[1%]' %(string" },
            { { a = { name = "b", value = 1 } }, "has a name already" },
            { { [true] = 1 }, "'multipart' %(string as name" },
            { { "a" }, "'multipart%[1%]' %(part" },
            { { { value = 1 } }, "'multipart%[1%].name' %(string expected, got nil" },
            { { { name = "a" } }, "'multipart%[1%]' %(give one of value, file and body" },
            { { { name = "a", value = 1, body = "x" } }, "give one of" },
            { { { name = "a", value = 1 }, x = 2 }, "no place for" },
            { { { name = "a", value = {} } }, "'multipart%[1%].value' %(string, number" },
            { { { name = "a", value = 1, typ = 1 } }, "unknown field 'typ'" },
            { { { name = "a", file = 1 } }, "'multipart%[1%].file' %(path or open file" },
            { { { name = "a", body = true } }, "'multipart%[1%].body' %(string, list of" },
            { { { name = "a", file = null } }, "'multipart%[1%].filename' %(an open file" },
            { { { name = "a", value = 1, filename = 1 } }, "filename' %(string expected" },
            { { { name = "a", value = 1, content_type = 1 } }, "content_type' %(string expected" },
            { { { name = "a", value = 1, headers = 1 } }, "'multipart%[1%].headers' %(headers, " },
        } do
            assert.matches(case[2], problem(case[1]))
        end
        null:close()
    end)

    it("is refused where bytes would break the frame", function()
        for _, bad in ipairs { "x\0", "x\r\ny", "x\ny", "x\ry" } do
            assert.matches("'multipart%[1%].content_type' %(",
                problem { { name = "a", value = 1, content_type = bad } })
            assert.matches("'multipart%[1%].headers' %(",
                problem { { name = "a", value = 1, headers = { a = bad } } })
            assert.matches("'multipart%[1%].headers' %(",
                problem { { name = "a", value = 1, headers = { [bad] = "a" } } })
        end
        assert.matches("'multipart%[1%].name' %(it has a NUL",
            problem { { name = "a\0", value = 1 } })
        assert.matches("'multipart%[\"a\\0\"%].name' %(it has a NUL", problem { ["a\0"] = 1 })
        assert.matches("filename' %(it has a NUL",
            problem { { name = "a", value = 1, filename = "\0" } })
        assert.matches("file' %(it has a NUL", problem { { name = "a", file = "a\0b" } })
        for _, name in ipairs { "Content-Disposition", "content-disposition" } do
            assert.matches("comes from name and filename",
                problem { { name = "a", value = 1, headers = { [name] = "x" } } })
        end
        assert.matches("have one as well", problem { { name = "a", value = 1,
            content_type = "a/b", headers = { ["content-type"] = "a/b" } } })
        for _, boundary in ipairs { "", "a b", "a\r\nb", 'a"', ("x"):rep(71), 1 } do
            assert.error_matches(function()
                bodies.multipart({ a = 1 }, { boundary = boundary })
            end, "'boundary'")
        end
    end)

    it("is refused with a content type that hides its boundary", function()
        assert.matches("without the boundary",
            problem({ a = 1 }, { headers = { ["Content-Type"] = "multipart/form-data" } }))
        assert.equal("multipart/related; boundary=cut", requests.new { url = "http://a/",
            body = bodies.multipart({ a = 1 }, B),
            headers = { ["Content-Type"] = "multipart/related; boundary=cut" } }
            .headers:get "content-type")
    end)

    it("blames the line that gave it", function()
        local _, message = pcall(function()
            bodies.multipart { a = print }
        end)
        assert.matches("^[^:]*multipart_spec.lua:%d+: bad argument", message)
        _, message = pcall(function()
            bodies.multipart { { name = "a", value = 1, headers = { ["a b"] = "" } } }
        end)
        assert.matches("^[^:]*multipart_spec.lua:%d+: bad argument", message)
        _, message = pcall(function()
            requests.new { url = "http://a/", multipart = { a = print } }
        end)
        assert.matches("^[^:]*multipart_spec.lua:%d+: bad argument", message)
    end)
end)
