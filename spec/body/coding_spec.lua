-- Request bodies with a content coding.

local bodies = require "moonwire.body"
local clients = require "moonwire.client"
local coding = require "moonwire.body.coding"
local codings = require "spec.support.codings"
local mock = require "moonwire.testing.mock"
local requests = require "moonwire.request"
local support = require "spec.support"
local world = require "spec.support.mock_client"

local decode, fails, with_client = codings.decode, world.fails, world.with_client

local TEXT = ("one line of a text\n"):rep(5000)

local function request_with(opts)
    opts.url, opts.method = "http://h/", opts.method or "POST"
    return requests.new(opts)
end

local function head_of(opts)
    return request_with(opts).head:bytes()
end

local function unchunked(body)
    local pieces, from = {}, 1
    while true do
        local size, next_from = body:match("^(%x+)\r\n()", from)
        size = tonumber(size, 16)
        if size == 0 then
            return table.concat(pieces)
        end
        pieces[#pieces + 1] = body:sub(next_from, next_from + size - 1)
        from = next_from + size + 2
    end
end

-- Sends a request over the mock; gives its head, its body without chunks, and how it ended.
local function send(opts)
    local m = mock.new()
    m:hosts { h = { "127.0.0.1" } }
    local head, body, response, err
    m:listen_at("127.0.0.1", 80, function(peer)
        peer:on_data(function()
            local all = peer:received()
            local stop = all:find("\r\n\r\n", 1, true)
            if stop and (all:find "\r\n0\r\n\r\n$" or not all:find "chunked") then
                head, body = all:sub(1, stop + 3), all:sub(stop + 4)
                peer:send(world.OK)
            end
        end)
    end)
    m:run(function()
        local client = clients.new()
        response, err = client:post("http://h/", opts)
        client:close()
    end)
    if head and head:find "chunked" then
        body = unchunked(body)
    end
    return head, body, response, err
end

local function file_with(text)
    local path = support.temp_dir() .. "/body"
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    return path
end

local function generator_of(text, size)
    local from = 1
    return function()
        local piece = text:sub(from, from + size - 1)
        from = from + size
        return piece ~= "" and piece or nil
    end
end

describe("compress", function()
    for _, name in ipairs(codings.NAMES) do
        it("packs a string at once, so that its length is known: " .. name, function()
            local short = TEXT:sub(1, 60000)
            for _, body in ipairs { short, { short:sub(1, 60), short:sub(61) } } do
                local request = request_with { body = body, compress = name }
                local length = tonumber(request.head:bytes():match "\r\nContent%-Length: (%d+)\r\n")
                local text = request.body:string()
                assert.is_true(length == #text and length < 3000)
                assert.is_true(decode({ name }, text) == short)
                assert.matches("\r\nContent-Encoding: " .. name .. "\r\n",
                    request.head:bytes(), 1, true)
            end
        end)

        it("packs what is sent bit by bit while it is sent: " .. name, function()
            for _, body in ipairs {
                generator_of(TEXT, 777), bodies.file(file_with(TEXT)),
                assert(io.open(file_with(TEXT), "rb")), TEXT:rep(12), { TEXT, TEXT },
                bodies.generator(generator_of(TEXT, 5000), { length = #TEXT }),
            } do
                local head, sent, response = send { body = body, compress = name }
                assert.equal(200, response.status)
                assert.matches("\r\nTransfer%-Encoding: chunked\r\n", head)
                assert.matches("\r\nContent-Encoding: " .. name .. "\r\n", head, 1, true)
                assert.is_nil(head:find "Content%-Length")
                local plain = decode({ name }, sent)
                assert.is_true(#sent < #plain / 10)
                assert.equal("", (plain:gsub("one line of a text\n", "")))
                assert.equal(0, #plain % #TEXT)
            end
        end)
    end

    it("leaves a string alone that would not get shorter", function()
        for _, body in ipairs { "", "short", codings.noise(3000) } do
            local head = head_of { body = body, compress = "gzip" }
            assert.is_nil(head:find "Content%-Encoding")
            assert.matches("Content-Length: " .. #body .. "\r\n", head, 1, true)
        end
    end)

    it("goes with json and form, and keeps their types", function()
        local head = head_of { json = { text = TEXT }, compress = "br" }
        assert.matches("\r\nContent-Type: application/json\r\n", head, 1, true)
        assert.matches("\r\nContent-Encoding: br\r\n", head, 1, true)
        head = head_of { form = { text = TEXT }, compress = "zstd" }
        assert.matches("x-www-form-urlencoded\r\n", head, 1, true)
        assert.matches("\r\nContent-Encoding: zstd\r\n", head, 1, true)
    end)

    it("goes with multipart, whose parts may be files", function()
        local head, sent, response = send { compress = "gzip", multipart = {
            a = TEXT, b = { file = file_with(TEXT) },
        } }
        assert.equal(200, response.status)
        local boundary = head:match "\r\nContent%-Type: multipart/form%-data; boundary=([^\r]+)\r\n"
        assert.matches("\r\nContent-Encoding: gzip\r\n", head, 1, true)
        local plain = decode({ "gzip" }, sent)
        assert.equal("--" .. boundary .. "\r\n", plain:sub(1, #boundary + 4))
        assert.equal(10000, select(2, plain:gsub("one line of a text\r?\n", "")))
    end)

    it("is nothing to a request without a body", function()
        assert.is_nil(head_of({ method = "GET", compress = "gzip" }):find "Content%-Enc")
    end)

    it("may be a client's, and taken back by a request", function()
        with_client({ compress = "gzip" }, function(client, _, log)
            assert(client:post("http://h/", { body = TEXT }))
            assert.matches("\r\nContent%-Encoding: gzip\r\n", log.heads[1])
            assert(client:post("http://h/", { body = TEXT:sub(1, 1000), compress = false }))
            assert.is_nil(log.heads[2]:find "Content%-Encoding")
            assert(client:post("http://h/", { body = TEXT, compress = "br" }))
            assert.matches("\r\nContent%-Encoding: br\r\n", log.heads[3])
            assert(client:get("http://h/"))
            assert.is_nil(log.heads[4]:find "Content%-Encoding")
        end)
    end)

    it("stays with the copies of a request, whose body is packed once", function()
        local request = request_with { body = TEXT, compress = "gzip" }
        local copy = request:with { query = "a" }
        assert.is_true(decode({ "gzip" }, copy.body:string()) == TEXT)
        assert.matches("\r\nContent%-Encoding: gzip\r\n", copy.head:bytes())
        copy = request:with { compress = false }
        assert.is_true(copy.body:string() == TEXT)
        assert.is_nil(copy.head:bytes():find "Content%-Encoding")
        copy = request:with { compress = "br" }
        assert.is_true(decode({ "br" }, copy.body:string()) == TEXT)
    end)

    it("sends what can be read again as often as one likes, and else once", function()
        local request = request_with { body = bodies.file(file_with(TEXT)), compress = "gzip" }
        assert.is_true(request.body.rewindable)
        for _ = 1, 2 do
            local reader, pieces = assert(request.body:open()), {}
            for piece in reader.read, reader do
                pieces[#pieces + 1] = piece
            end
            reader:close()
            assert.is_true(decode({ "gzip" }, table.concat(pieces)) == TEXT)
        end
        request = request_with { body = generator_of(TEXT, 10), compress = "gzip" }
        assert.is_false(request.body.rewindable)
        assert(request.body:open()):close()
        fails("body", "write", request.body:open())
        fails("body", "write", request:with({ query = "a" }).body:open())
    end)

    it("fails as the body itself does", function()
        local _, _, response, err = send { compress = "gzip", body = function()
            return nil, "no more of it"
        end }
        assert.matches("gave up: no more of it", tostring(fails("body", "write", response, err)))
        _, _, response, err = send { compress = "gzip", body = function()
            error "broken"
        end }
        assert.matches("function failed", tostring(fails("body", "write", response, err)))
        _, _, response, err = send { compress = "gzip", body = bodies.file "/nowhere" }
        fails("body", "write", response, err)
    end)

    it("holds a body to the length that it was said to have", function()
        for size, code in pairs { [#TEXT + 1] = "EBODY_SHORT", [#TEXT - 1] = "EBODY_LONG" } do
            local body = bodies.generator(generator_of(TEXT, 5000), { length = size })
            local _, _, response, err = send { body = body, compress = "gzip" }
            assert.equal(code, fails("body", "write", response, err).code)
        end
    end)

    it("raises beside a Content-Encoding of the script's, and for what it doesn't know", function()
        assert.error_matches(function()
            request_with { body = "x", compress = "gzip",
                headers = { ["content-encoding"] = "br" } }
        end, "bad argument 'compress' %(the headers have a Content%-Encoding")
        for _, value in ipairs { "lzma", true, 1, {} } do
            assert.error_matches(function()
                request_with { body = "x", compress = value }
            end, "bad argument 'compress' %(\"gzip\", \"deflate\", \"br\", \"zstd\" or false")
            assert.error_matches(function()
                clients.new { compress = value }
            end, "bad argument 'compress'")
        end
    end)

    it("leaves no reader behind that was closed early", function()
        local body = coding.compressed(bodies.generator(generator_of(codings.noise(300000), 5000)),
            "br")
        local reader = assert(body:open())
        assert.is_string(reader:read())
        reader:close()
        reader:close()
        assert.is_nil(reader:read())
    end)
end)

describe("coding.encode", function()
    it("packs a string", function()
        for _, name in ipairs(codings.NAMES) do
            assert.is_true(decode({ name }, assert(coding.encode(name, TEXT))) == TEXT)
            assert.equal("", decode({ name }, assert(coding.encode(name, ""))))
        end
    end)
end)
