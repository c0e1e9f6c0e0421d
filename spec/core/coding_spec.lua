-- Content codings.

local core = require "moonwire.core"

local support = require "spec.support"

-- The machine's own gunzip is the judge.
local function gunzip(packed)
    local name = os.tmpname()
    local file = assert(io.open(name, "wb"))
    file:write(packed)
    file:close()
    local pipe = assert(io.popen("gzip -dc <" .. support.quote(name)))
    local plain = pipe:read "*a"
    pipe:close()
    os.remove(name)
    return plain
end

describe("gzip", function()
    it("packs what gunzip unpacks", function()
        math.randomseed(7)
        local noise = {}
        for i = 1, 5000 do
            noise[i] = string.char(math.random(0, 255))
        end
        for _, plain in ipairs { "", "x", ("hello "):rep(10000), table.concat(noise) } do
            local packed = core.gzip(plain)
            assert.equal("\31\139", packed:sub(1, 2))
            assert.is_true(gunzip(packed) == plain)
        end
        assert.is_true(#core.gzip(("hello "):rep(10000)) < 1000)
    end)

    it("raises on other types", function()
        assert.has_error(function()
            core.gzip {}
        end)
        assert.has_error(function()
            core.gzip()
        end)
    end)
end)
