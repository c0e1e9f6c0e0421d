-- The error value: fields, kinds, sentences, and what raises for wrong arguments.
local core = require "moonwire.core"
local errors = require "moonwire.error"

local plain_assert = loadstring("return assert")() -- Lua's, not luassert's
local ECONNREFUSED, ECONNRESET, EPIPE = -(1000 + 111), -(1000 + 104), -(1000 + 32)

describe("an error value", function()
    it("says its message, with url and phase where there is a url", function()
        local err = errors.new { kind = "connect", phase = "connect", message = "no way" }
        assert.equal("no way", tostring(err))
        err.url = "http://127.0.0.1:1/"
        assert.equal("no way (http://127.0.0.1:1/, phase connect)", tostring(err))
        err.phase = nil
        assert.equal("no way (http://127.0.0.1:1/)", tostring(err))
    end)

    it("is what assert prints", function()
        local err = errors.new { kind = "timeout", message = "too late" }
        local ok, raised = pcall(plain_assert, nil, err)
        assert.is_false(ok)
        assert.equal(err, raised)
        assert.equal("too late", tostring(raised))
    end)

    it("knows its kind", function()
        local err = errors.new { kind = "timeout", message = "too late" }
        assert.is_true(err:is("timeout"))
        assert.is_false(err:is("closed"))
        assert.is_true(errors.is(err))
        assert.is_true(errors.is(err, "timeout"))
        assert.is_false(errors.is(err, "closed"))
        assert.is_false(errors.is({ kind = "timeout" }))
        assert.is_false(errors.is("timeout"))
        assert.is_false(errors.is(nil))
    end)

    it("is known by a second copy of its module", function()
        local err = errors.new { kind = "timeout", message = "too late" }
        package.loaded["moonwire.error"] = nil
        local again = require "moonwire.error"
        package.loaded["moonwire.error"] = errors
        assert.is_true(again.is(err, "timeout"))
    end)
end)

describe("an error out of a code", function()
    it("has kind, name and words of the code", function()
        local err = errors.from_code(core.ETIMEOUT, "headers", "reading from 127.0.0.1:80")
        assert.equal("timeout", err.kind)
        assert.equal("headers", err.phase)
        assert.equal("ETIMEOUT", err.code)
        assert.is_nil(err.errno)
        assert.equal("reading from 127.0.0.1:80: timed out", err.message)
    end)

    it("is of kind connect for what the system says while connecting", function()
        local err = errors.from_code(ECONNREFUSED, "connect", "connecting to 127.0.0.1:1")
        assert.equal("connect", err.kind)
        assert.equal("ECONNREFUSED", err.code)
        assert.equal(111, err.errno)
    end)

    it("is of kind closed for a peer that went away", function()
        assert.equal("closed", errors.from_code(ECONNRESET, "body").kind)
        assert.equal("closed", errors.from_code(EPIPE, "write").kind)
        for _, number in ipairs { 100, 101, 102, 110, 112, 113 } do -- ENETDOWN … EHOSTUNREACH
            local err = errors.from_code(-(1000 + number), "body")
            assert.equal("closed", err.kind, err.code)
            assert.equal("connect", errors.from_code(-(1000 + number), "connect").kind)
        end
        assert.equal("closed", errors.from_code(core.EOF, "body").kind)
        assert.equal("system", errors.from_code(ECONNREFUSED, "body").kind)
    end)

    it("takes further fields", function()
        local err = errors.from_code(core.EOF, "body", nil, { partial = "abc", url = "http://x/" })
        assert.equal("abc", err.partial)
        assert.matches("%(http://x/, phase body%)$", tostring(err))
    end)
end)

describe("a wrong argument", function()
    local function get(url)
        errors.check(2, "url", "string", url)
    end

    it("raises with its name, at the caller's line", function()
        local ok, message = pcall(function()
            get(nil)
        end)
        assert.is_false(ok)
        assert.matches("error_spec.lua:%d+: bad argument 'url' %(string expected, got nil%)$",
            message)
    end)

    it("is named by its type, its class or its value", function()
        local function message_for(expected, value)
            return select(2, pcall(errors.argument, 2, "x", expected, value))
        end
        assert.matches("string expected, got number", message_for("string", 7))
        assert.matches("a positive number expected, got %-1", message_for("a positive number", -1))
        local err = errors.new { kind = "closed", message = "x" }
        assert.matches("got moonwire.Error", message_for("string", err))
    end)

    it("passes what has the type, and what can be called for a function", function()
        assert.equal("x", errors.check(2, "url", "string", "x"))
        local callable = setmetatable({}, { __call = function() end })
        assert.equal(callable, errors.check(2, "f", "function", callable))
        assert.has_error(function()
            errors.check(2, "f", "function", {})
        end)
    end)
end)

describe("the handler for what a task raises", function()
    local function through(value)
        return select(2, xpcall(function()
            error(value, 0)
        end, errors.handler))
    end

    it("adds the traceback to a string, once", function()
        local once = through("boom")
        assert.matches("^boom\nstack traceback:\n", once)
        assert.equal(once, through(once))
    end)

    it("notes the first traceback in an error value", function()
        local err = errors.new { kind = "closed", message = "gone" }
        assert.equal(err, through(err))
        assert.matches("^stack traceback:\n.*error_spec", err.traceback)
        local first = err.traceback
        through(err)
        assert.equal(first, err.traceback)
    end)

    it("leaves every other value as it is", function()
        local value = { 1 }
        assert.equal(value, through(value))
        assert.equal(7, through(7))
        assert.is_nil(through(nil))
    end)
end)
