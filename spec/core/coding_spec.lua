-- Content codings: bytes in, bytes out.

local core = require "moonwire.core"

local codings = require "spec.support.codings"
local support = require "spec.support"

local decode, encode = codings.decode, codings.encode

-- Feeds the bytes in pieces; gives what has come out, and "end" or the name of an error.
local function decode_pieces(names, pieces, max)
    local decoder = core.decoder(unpack(names))
    local out, left = {}, 1
    while true do
        local event, data = decoder:next(max)
        if event == "data" then
            out[#out + 1] = data
        elseif event == "need_data" and pieces[left] then
            decoder:feed(pieces[left])
            left = left + 1
        elseif event == "need_data" then
            decoder:feed_eof()
        else
            return table.concat(out), event or core.error_name(data)
        end
    end
end

local function bytes_of(text)
    local bytes = {}
    for i = 1, #text do
        bytes[i] = text:sub(i, i)
    end
    return bytes
end

-- The machine's own programs are the judges.
local function unpacked_by(program, packed)
    local name = os.tmpname()
    local file = assert(io.open(name, "wb"))
    file:write(packed)
    file:close()
    local pipe = assert(io.popen(program .. " <" .. support.quote(name)))
    local plain = pipe:read "*a"
    pipe:close()
    os.remove(name)
    return plain
end

local TEXT = ("moonwire reads what servers pack, and packs what they read. "):rep(20)
local NOISE = codings.noise(5000)

describe("a content coding", function()
    for _, name in ipairs(codings.NAMES) do
        it("is put on and taken off again: " .. name, function()
            for _, plain in ipairs { "x", TEXT, NOISE, TEXT:rep(300) } do
                assert.is_true(decode({ name }, encode(name, plain)) == plain)
            end
            assert.is_true(#encode(name, TEXT:rep(300)) < 4000)
        end)

        it("decodes nothing to nothing, but no head without a body: " .. name, function()
            assert.same({ "", "end" }, { decode_pieces({ name }, {}) })
            assert.same({ "", "end" }, { decode_pieces({ name }, { encode(name, "") }) })
        end)

        it("gives the same wherever the bytes are cut: " .. name, function()
            local packed = encode(name, TEXT)
            for cut = 1, #packed - 1 do
                local pieces = { packed:sub(1, cut), packed:sub(cut + 1) }
                local text, how = decode_pieces({ name }, pieces)
                assert.is_true(text == TEXT and how == "end", cut)
            end
            local text, how = decode_pieces({ name }, bytes_of(packed), 1)
            assert.is_true(text == TEXT and how == "end")
        end)

        it("is not taken for whole when it is cut off at any byte: " .. name, function()
            local packed = encode(name, TEXT)
            for cut = 1, #packed - 1 do
                local text, how = decode_pieces({ name }, { packed:sub(1, cut) })
                assert.equal("ECODING_TRUNCATED", how, cut)
                assert.is_true(TEXT:sub(1, #text) == text)
            end
        end)

        it("ignores what follows it: " .. name, function()
            for _, garbage in ipairs { "\0", ("\0"):rep(512), "HTTP/1.1 200 OK", NOISE } do
                local packed = encode(name, TEXT) .. garbage
                assert.same({ TEXT, "end" }, { decode_pieces({ name }, { packed }) })
                assert.same({ TEXT, "end" }, { decode_pieces({ name }, bytes_of(packed)) })
            end
        end)

        it("refuses other bytes, and goes on to do so: " .. name, function()
            local decoder = core.decoder(name)
            decoder:feed "\255\255\255\255<html>this is no such thing</html>"
            for _ = 1, 3 do
                local event, code = decoder:next()
                assert.is_nil(event)
                assert.equal("ECODING", core.error_name(code))
            end
        end)

        it("survives any byte of it being another: " .. name, function()
            local packed = encode(name, TEXT)
            for i = 1, #packed do
                local bad = packed:sub(1, i - 1) .. string.char((packed:byte(i) + 85) % 256)
                    .. packed:sub(i + 1)
                local text, how = decode_pieces({ name }, { bad })
                -- a gzip head has bytes that mean nothing here, and br has no checksum
                assert.is_true(how ~= "end" or text == TEXT or name == "br", i)
            end
        end)
    end

    it("is what other programs make and read", function()
        assert.is_true(unpacked_by("gzip -dc", encode("gzip", TEXT)) == TEXT)
        assert.is_true(unpacked_by("zstd -dcq", encode("zstd", TEXT)) == TEXT)
        assert.is_true(decode({ "gzip" }, unpacked_by("gzip -c", TEXT)) == TEXT)
        assert.is_true(decode({ "zstd" }, unpacked_by("zstd -cq", TEXT)) == TEXT)
        local node = "node -e '" .. [=[const z = require("zlib");
            process.stdout.write(z[process.argv[1]](require("fs").readFileSync(0)))]=] .. "' "
        for name, pack in pairs { gzip = "gzipSync", deflate = "deflateSync",
            br = "brotliCompressSync" } do
            assert.is_true(decode({ name }, unpacked_by(node .. pack, TEXT)) == TEXT, name)
        end
        assert.is_true(unpacked_by(node .. "brotliDecompressSync", encode("br", TEXT)) == TEXT)
        assert.is_true(unpacked_by(node .. "inflateSync", encode("deflate", TEXT)) == TEXT)
    end)

    it("is put on piece by piece as well", function()
        for _, name in ipairs(codings.NAMES) do
            local encoder = core.encoder(name)
            local out, count = {}, 0
            while true do
                local event, data = encoder:next(100)
                if event == "data" then
                    out[#out + 1] = data
                elseif event == "need_data" and count < 200 then
                    count = count + 1
                    encoder:feed(TEXT)
                elseif event == "need_data" then
                    encoder:feed_eof()
                else
                    assert.equal("end", event)
                    break
                end
            end
            local came, made = encoder:bytes()
            assert.same({ #TEXT * 200, #table.concat(out) }, { came, made })
            assert.is_true(decode({ name }, table.concat(out)) == TEXT:rep(200), name)
        end
    end)
end)

describe("deflate", function()
    it("is taken without zlib's head too", function()
        local packed = encode("deflate", TEXT)
        local raw = packed:sub(3, -5)
        assert.same({ TEXT, "end" }, { decode_pieces({ "deflate" }, { raw }) })
        assert.same({ TEXT, "end" }, { decode_pieces({ "deflate" }, bytes_of(raw)) })
        assert.same({ "", "end" }, { decode_pieces({ "deflate" }, { "\3\0" }) })
        for cut = 1, #raw - 1 do
            local _, how = decode_pieces({ "deflate" }, { raw:sub(1, cut) })
            assert.equal("ECODING_TRUNCATED", how, cut)
        end
    end)
end)

describe("members one behind the other", function()
    for _, name in ipairs { "gzip", "zstd" } do
        local two = encode(name, TEXT) .. encode(name, "and more")

        it("are one body: " .. name, function()
            for cut = 1, #two - 1 do
                local text, how = decode_pieces({ name }, { two:sub(1, cut), two:sub(cut + 1) })
                assert.is_true(text == TEXT .. "and more" and how == "end", cut)
            end
            assert.same({ TEXT .. "and more", "end" }, { decode_pieces({ name }, bytes_of(two)) })
        end)

        it("are not whole while the second isn't: " .. name, function()
            for cut = #encode(name, TEXT) + 1, #two - 1 do
                local text, how = decode_pieces({ name }, { two:sub(1, cut) })
                assert.equal("ECODING_TRUNCATED", how, cut)
                assert.equal(TEXT, text:sub(1, #TEXT))
            end
        end)

        it("are as many as their bytes are worth: " .. name, function()
            local empty = encode(name, "")
            assert.same({ "", "end" }, { decode_pieces({ name }, { empty:rep(1000) }) })
            assert.same({ "", "ECODING_LIMIT" }, { decode_pieces({ name }, { empty:rep(1001) }) })
            local _, how = decode_pieces({ name }, { encode(name, NOISE):rep(1200) })
            assert.equal("end", how)
        end)
    end

    it("of zstd may be skippable", function()
        local skipped = "\80\42\77\24\3\0\0\0abc"
        assert.same({ TEXT, "end" },
            { decode_pieces({ "zstd" }, bytes_of(skipped .. encode("zstd", TEXT) .. skipped)) })
    end)
end)

describe("a chain of codings", function()
    it("comes off in the other order, wherever it is cut", function()
        for _, first in ipairs(codings.NAMES) do
            for _, second in ipairs(codings.NAMES) do
                local packed = encode(second, encode(first, TEXT))
                local chain = { first, second }
                assert.same({ TEXT, "end" }, { decode_pieces(chain, { packed }) })
                assert.same({ TEXT, "end" }, { decode_pieces(chain, bytes_of(packed), 7) })
                assert.same({ "", "end" }, { decode_pieces(chain, {}) })
                local _, how = decode_pieces(chain, { packed:sub(1, -2) })
                assert.equal("ECODING_TRUNCATED", how)
            end
        end
    end)

    it("tells that the inner one is cut off or wrong", function()
        local cut = encode("br", encode("gzip", TEXT):sub(1, -2))
        assert.same({ TEXT, "ECODING_TRUNCATED" }, { decode_pieces({ "gzip", "br" }, { cut }) })
        assert.same({ "", "ECODING" }, { decode_pieces({ "gzip", "br" }, { encode("br", TEXT) }) })
    end)

    it("spends no time on an inner bomb", function()
        -- 131 MB of a gzip head's file name, which never ends
        local endless = codings.bomb("gzip", "\31\139\8\8\0\0\0\0\0\3", 1, ("a"):rep(65536), 2000)
        local began = os.clock()
        local text, how = decode_pieces({ "gzip", "gzip" }, { endless })
        assert.same({ "", "ECODING_LIMIT" }, { text, how })
        assert.is_true(os.clock() - began < 1)
    end)

    it("stops where the inner one has ended", function()
        local behind = codings.bomb("gzip", encode("br", TEXT), 1, ("\0"):rep(65536), 2000)
        local decoder = core.decoder("br", "gzip")
        decoder:feed(behind)
        assert.same({ "data", TEXT }, { decoder:next() })
        assert.equal("end", (decoder:next()))
        local came = decoder:bytes()
        assert.is_true(came < #behind / 10)
    end)
end)

describe("a bomb", function()
    for _, name in ipairs(codings.NAMES) do
        it("costs as much as is taken of it: " .. name, function()
            local bomb = codings.bomb(name, ("\0"):rep(65536), 400) -- 25 MiB
            assert.is_true(#bomb < 40 * 1024)
            local decoder = core.decoder(name)
            decoder:feed(bomb)
            for _ = 1, 16 do
                local event, data = decoder:next()
                assert.equal("data", event)
                assert.is_true(#data <= 65536)
            end
            local _, made = decoder:bytes()
            assert.is_true(made <= 17 * 65536)
            decoder:close()
        end)
    end

    it("of a window is refused", function()
        -- a frame head that asks for a window of 16 MiB
        local frame = "\40\181\47\253" .. "\0" .. string.char((24 - 10) * 8)
        assert.same({ "", "ECODING_LIMIT" }, { decode_pieces({ "zstd" }, { frame .. "\1\0\0" }) })
        frame = frame:sub(1, 5) .. string.char((23 - 10) * 8)
        assert.same({ "", "end" }, { decode_pieces({ "zstd" }, { frame .. "\1\0\0" }) })
        -- brotli's large window, which RFC 7932 doesn't know
        assert.same({ "", "ECODING" }, { decode_pieces({ "br" }, { "\17\30\0\0\0\0" }) })
    end)
end)

describe("core.decoder and core.encoder", function()
    it("raise on what they don't know", function()
        for _, call in ipairs {
            function() core.decoder() end,
            function() core.decoder "lzma" end,
            function() core.decoder("gzip", "gzip", "gzip") end,
            function() core.encoder() end,
            function() core.encoder "identity" end,
            function() core.encoder("gzip"):feed {} end,
            function() core.decoder("gzip"):next(0) end,
        } do
            assert.has_error(call)
        end
    end)

    it("raise when they are fed out of turn, or used once they are closed", function()
        local decoder = core.decoder "gzip"
        decoder:feed "\31"
        assert.error_matches(function()
            decoder:feed "\139"
        end, "not before next%(%) says")
        assert.equal("need_data", (decoder:next()))
        decoder:feed_eof()
        assert.has_error(function()
            decoder:feed "\139"
        end)
        decoder:close()
        decoder:close()
        assert.error_matches(function()
            decoder:next()
        end, "it is closed")
    end)
end)
