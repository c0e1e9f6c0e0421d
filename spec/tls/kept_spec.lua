-- The contexts of options tables: made once as long as the table says the same.

local certs = require "spec.support.certs"
local tls = require "moonwire.backend.tls"

local made = certs.new()
made:root "root"
made:root "other"

local function context(opts)
    return (tls.context_and_host(opts, 1))
end

describe("the context of an options table", function()
    it("is the same as long as nothing in it changes", function()
        local opts = { ca_file = made:path "root.pem", server_name = "a.example" }
        local first = context(opts)
        assert.equal(first, context(opts))
        local other = { ca_file = made:path "root.pem", server_name = "a.example" }
        assert.are_not.equal(first, context(other))
    end)

    it("is another when a field is changed, added or taken away", function()
        local opts = { ca_file = made:path "root.pem", server_name = "a.example" }
        local first = context(opts)
        opts.ca_file = made:path "other.pem"
        local second = context(opts)
        assert.are_not.equal(first, second)
        opts.min_version = "1.3"
        local third = context(opts)
        assert.are_not.equal(second, third)
        opts.min_version = nil
        assert.are_not.equal(third, context(opts))
    end)

    it("is made anew where a list may have changed inside", function()
        local opts = { server_name = "a.example", alpn = { "http/1.1" } }
        assert.are_not.equal(context(opts), context(opts))
    end)

    it("is an error again and again when the options are wrong", function()
        local opts = { server_name = "a.example", ca_file = "/nowhere/ca.pem" }
        for _ = 1, 2 do
            assert.has_error(function()
                context(opts)
            end)
        end
    end)

    it("goes with its table", function()
        local kept = setmetatable({}, { __mode = "v" })
        do
            local opts = { ca_file = made:path "root.pem", server_name = "a.example" }
            kept[1] = context(opts)
        end
        collectgarbage()
        collectgarbage()
        assert.is_nil(kept[1])
    end)
end)
