-- The codec's specs once more, with every piece that it is lent right before a page that can't be
-- read: reading one byte too far crashes.

local wrapped = require "spec.support.wrapped"

-- A codec is lent bytes, and somebody reads `%d` bytes behind them.
local OVERREAD = [[
local core = require "moonwire.core"
local path = package.searchpath("moonwire.core", package.cpath)
local h1 = core.h1 "server"
h1:feed "GET / HTTP/1.1\r\n"
local overread = assert(package.loadlib(path, "guard_page_overread"))
for _ = 1, %d do
    overread()
end
print "alive"
]]

local function overread(bytes)
    return wrapped.run_code("guard_page", OVERREAD:format(bytes),
        { ASAN_OPTIONS = "handle_segv=0:detect_leaks=0" })
end

describe("codec input", function()
    it("is read to its end and no byte further", function()
        local status, output = wrapped.run_specs("guard_page", wrapped.codec_specs())
        assert.equal(0, status, output)
        assert.matches("core/h1_spec%.lua +ok %d%d%d in", output)
        assert.matches(" passed, 0 failed\n$", output)
    end)

    it("can't be read further without a crash", function()
        local status, output, errors = overread(0)
        assert.equal(0, status, errors)
        assert.equal("alive\n", output)
        status, output = overread(1)
        assert.not_equal(0, status)
        assert.equal("", output)
    end)
end)
