-- Servers that lie about the part they send: a download starts over once, and then it is an error.

local kit = require "spec.support.download"

local against, only, path, read = kit.against, kit.only, kit.path, kit.read
local TEXT = kit.text(300000)
local THING = { text = TEXT }
local OTHER = { text = kit.text(300000, 9), tag = '"v2"' }
local URL = "http://h/thing"

local REST = TEXT:sub(100001)
local LIES = {
    { "begins elsewhere", { range = "bytes 100001-299999/300000", body = REST:sub(2) } },
    { "begins at 0", { range = "bytes 0-299999/300000", body = TEXT } },
    { "ends before it begins", { range = "bytes 100000-99999/300000" } },
    { "goes beyond the whole", { range = "bytes 100000-300000/300000" } },
    { "has another length than its body", { range = "bytes 100000-299998/300000" } },
    { "tells another total", { range = "bytes 100000-299999/300001" } },
    { "counts in another unit", { range = "lines 100000-299999/300000" } },
    { "can't be understood", { range = "bytes=100000-299999/300000" } },
    { "is beyond all numbers", { range = "bytes 100000-299999/99999999999999999999999" } },
    { "says that there is none", { range = "bytes */300000" } },
    { "is missing", { range = false } },
    { "is there twice", { more = "Content-Range: bytes 100000-299999/300000\r\n" } },
    { "is missing, as in multipart/byteranges",
        { range = false, more = "Content-Type: multipart/byteranges; boundary=x\r\n" } },
    { "comes along with multipart/byteranges",
        { more = "Content-Type: Multipart/ByteRanges; boundary=x\r\n" } },
}

local function chunked(status, more, body)
    return ("HTTP/1.1 %d X\r\nETag: \"v1\"\r\n%sTransfer-Encoding: chunked\r\n\r\n"
        .. "%x\r\n%s\r\n0\r\n\r\n"):format(status, more, #body, body)
end

describe("a Content-Range that", function()
    for _, case in ipairs(LIES) do
        it(case[1] .. " makes a download start over", function()
            against(THING, { { cut = 100000 }, case[2], {} }, function(client, _, log)
                local done = assert(client:download(URL, path()))
                assert.equal(3, done.attempts)
                assert.is_nil(log.heads[3]:find("\r\nRange:", 1, true))
                assert.equal(TEXT, read())
                only "file"
            end)
        end)
    end

    it("lies a second time ends it", function()
        against(THING, { { cut = 100000 }, LIES[1][2], { cut = 100000 }, LIES[1][2] },
            function(client, _, log)
                local done, err = client:download(URL, path(), { resume = true })
                assert.is_nil(done)
                assert.equal("protocol", err.kind)
                assert.truthy(err.message:find("bytes from 100000 on were asked for", 1, true))
                assert.equal(4, #log.heads)
            end)
    end)

    it("comes unasked ends it at the second time", function()
        local how = { raw = "HTTP/1.1 206 X\r\nContent-Range: bytes 0-1/2\r\n"
            .. "Content-Length: 2\r\n\r\nab" }
        against(THING, { how }, function(client, _, log)
            local done, err = client:download(URL, path())
            assert.is_nil(done)
            assert.equal("protocol", err.kind)
            assert.equal(2, #log.heads)
            done, err = client:download(URL, path "")
            assert.is_nil(done)
            assert.equal("protocol", err.kind)
            only()
        end)
    end)
end)

describe("a server that", function()
    it("sends parts of another version although it was told which", function()
        for _, how in ipairs {
            { thing = OTHER, ignores_if_range = true },
            { thing = { text = TEXT, tag = false }, ignores_if_range = true },
            { thing = { text = TEXT, tag = 'W/"v1"' }, ignores_if_range = true },
        } do
            against(THING, { { cut = 100000 }, how, {} }, function(client)
                assert(client:download(URL, path()))
                assert.equal(how.thing.text, read())
            end)
        end
    end)

    it("has another version at each look comes to an end", function()
        local versions = {}
        for i = 1, 40 do
            versions[i] = { cut = 150000, thing = {
                text = kit.text(300000, i), tag = ('"%d"'):format(i),
            } }
        end
        against(THING, versions, function(client, _, log)
            local done, err = client:download(URL, path(), { resume = true })
            assert.is_nil(done)
            assert.equal("closed", err.kind)
            assert.is_true(#log.heads <= 10)
        end)
    end)

    it("sends more of a part than it said, or less, in chunks", function()
        local range = "Content-Range: bytes 100000-299999/300000\r\n"
        for _, body in ipairs { REST .. "!", REST:sub(1, -2) } do
            against(THING, { { cut = 100000 }, { raw = chunked(206, range, body) }, {} },
                function(client)
                    assert(client:download(URL, path()))
                    assert.equal(TEXT, read())
                    only "file"
                end)
        end
    end)

    it("has nothing from there on, and says another size", function()
        local none = "HTTP/1.1 416 X\r\nContent-Length: 0\r\n%s\r\n"
        for _, more in ipairs {
            "", "Content-Range: bytes */300000\r\n", "Content-Range: bytes */x\r\n",
            "Content-Range: bytes */99999\r\n",
        } do
            against(THING, { { cut = 100000 }, { raw = none:format(more) }, {} }, function(client)
                assert(client:download(URL, path()))
                assert.equal(TEXT, read())
            end)
        end
        against(THING, { { raw = none:format "Content-Range: bytes */0\r\n" } }, function(client)
            local done, err = client:download(URL, path())
            assert.is_nil(done)
            assert.equal(416, err.status)
            only()
        end)
    end)

    it("sends pieces that never come to an end", function()
        local pieces = { { cut = 100000 } }
        for i = 1, 40 do
            pieces[i + 1] = {
                range = ("bytes %d-%d/300000"):format(99999 + i, 99999 + i),
                body = REST:sub(i, i),
            }
        end
        against(THING, pieces, function(client, _, log)
            local done, err = client:download(URL, path(), { resume = true })
            assert.is_nil(done)
            assert.equal("closed", err.kind)
            assert.is_true(#log.heads <= 6)
            local before = #read "file.part"
            done, err = client:download(URL, path(), { resume = true })
            assert.is_nil(done)
            assert.equal("closed", err.kind)
            assert.equal(5, #read "file.part" - before)
            assert.equal(TEXT:sub(1, #read "file.part"), read "file.part")
        end)
    end)
end)

describe("what stands beside a part", function()
    local function with_info(info, from)
        local heads
        against(THING, { { cut = 100000 }, {} }, function(client, _, log)
            client:download(URL, path(), { resume = true, retry = false })
            kit.write("file.part.info", info(read "file.part.info"))
            assert(client:download(URL, path(), { resume = true }))
            assert.equal(TEXT, read())
            only "file"
            heads = log.heads
        end)
        assert.equal(from, heads[2]:match "\r\nRange: ([^\r]*)")
    end

    it("is taken only where it is whole and makes sense", function()
        with_info(function(text)
            return text
        end, "bytes=100000-")
        with_info(function(text)
            return text:sub(1, -2)
        end)
        with_info(function(text)
            return text:gsub("tag: [^\n]*\n", "")
        end)
        with_info(function(text)
            return text:gsub("url: %x%x", "url: 00")
        end)
        with_info(function(text)
            return text:gsub("total: %d+", "total: 99999")
        end)
    end)

    it("can't put anything into a request", function()
        with_info(function(text)
            return text:gsub('tag: "v1"', 'tag: "v1"\r\1X: y')
        end)
        with_info(function(text)
            return text:gsub('tag: "v1"', 'tag: W/"v1"')
        end)
        with_info(function(text)
            return text:gsub('tag: "v1"', 'date: yesterday')
        end)
    end)
end)
