-- The short version of `make soak`; and that it would see what it is for.
local support = require "spec.support"

local under_sanitizers = os.getenv "MOONWIRE_SAN" == "1"

-- Runs one variant in a process of its own: without compiled traces its memory is told closer.
local function run(variant, requests, code)
    return support.run(("%s -e %s tools/soak.lua %d %s"):format(support.luajit(),
        support.quote("jit.off() " .. (code or "")), requests, variant), { timeout = 240 })
end

local CASES = {
    { "plain", 20000, "20 000 requests over 50 connections" },
    { "errors", 6000, "resets, timeouts, cancelled requests and refused connections" },
    { "new", 3000, "a connection for each request" },
    { "tls", 3000, "TLS" },
    { "tls-new", 200, "a handshake for each request" },
}

describe("after", function()
    for _, case in ipairs(CASES) do
        local variant, requests, name = unpack(case)
        it(name .. ", nothing has grown", function()
            local count = math.ceil(requests / (under_sanitizers and 10 or 1))
            local status, output, errors = run(variant, count)
            assert.equal("", errors)
            assert.matches("^" .. variant:gsub("%-", "%%-") .. ": [1-9]%d* requests over"
                .. " [1-9]%d* connections .*: flat\n$", output)
            assert.equal(0, status)
        end)
    end

    it("requests that each leave something behind, it is told", function()
        local status, output = run("plain", 20000, [[
            package.path = "./?.lua;lua/?.lua;lua/?/init.lua;" .. package.path
            package.cpath = (os.getenv "MOONWIRE_BUILD" or "build") .. "/?.so;" .. package.cpath
            local responses, kept = require "moonwire.response", {}
            local new = responses.new
            responses.new = function(...)
                local response = new(...)
                kept[#kept + 1] = response
                return response
            end
        ]])
        assert.matches(": Lua's memory has grown", output, 1, true)
        assert.equal(1, status)
    end)
end)
