local backends = require "moonwire.backend"
local headers = require "moonwire.headers"
local made = require "moonwire.response.made"
local requests = require "moonwire.request"
local tap = require "moonwire.response.tap"

local function response_of(body, more)
    local parts = {
        request = requests.new { url = "http://h/x" }, status = 201, reason = "Made",
        headers = headers.new { ["X-A"] = "1" }, body = body,
    }
    for name, value in pairs(more or {}) do
        parts[name] = value
    end
    return made.new(backends.current(), parts)
end

-- Gives these pieces one after the other; then an error where there is one.
local function pieces(list, problem)
    local i = 0
    return function()
        i = i + 1
        if list[i] then
            return list[i]
        end
        return nil, problem
    end
end

describe("a response that was made", function()
    it("has all that a response has", function()
        local response = response_of "text"
        assert.equal(201, response.status)
        assert.equal("Made", response.reason)
        assert.is_true(response.ok)
        assert.equal("1.1", response.http_version)
        assert.equal("http://h/x", response.url)
        assert.equal("1", response.headers:get "x-a")
        assert.equal("GET", response.request.method)
        assert.is_nil(response.tls)
        assert.is_true(response.timing.total >= 0)
        assert.equal(0, response.timing.connect)
        assert.is_false(response.timing.reused)
        assert.same({}, response.history)
        assert.is_true(response.upload_complete)
        assert.equal("text", response:text())
        assert.equal("text", response:text())
        response:close()
    end)

    it("reads like any other, of text and of pieces", function()
        for _, body in ipairs { "one\ntwo", false } do
            local function fresh()
                return response_of(body or pieces { "on", "", "e\nt", "wo" })
            end
            assert.equal("one\ntwo", fresh():text())
            local lines = {}
            for line in fresh():lines() do
                lines[#lines + 1] = line
            end
            assert.same({ "one", "two" }, lines)
            local path = os.tmpname()
            assert(fresh():save(path))
            local file = assert(io.open(path))
            assert.equal("one\ntwo", file:read "*a")
            file:close()
            os.remove(path)
            assert.is_true(fresh():discard())
            local response = fresh()
            assert.equal("o", response:read(1):sub(1, 1))
            response:close()
            assert.equal("closed", select(2, response:read()).kind)
        end
        assert.equal("", response_of(nil):text())
        assert.equal("", response_of "":text())
    end)

    it("tells what broke it off, and an end before its length", function()
        local text, err = response_of(pieces({ "a" }, "it is lost")):text()
        assert.is_nil(text)
        assert.equal("body", err.kind)
        assert.equal("it is lost", err.message)
        text, err = response_of(pieces { "a" }, { length = 2 }):text()
        assert.is_nil(text)
        assert.equal("closed", err.kind)
        assert.equal("abc", response_of(pieces { "a", "bc" }, { length = 3 }):text())
    end)

    it("says once that nobody reads on", function()
        local closed = 0
        local function count()
            closed = closed + 1
        end
        local response = response_of(pieces { "a", "b" }, { on_close = count })
        response:read()
        response:close()
        response:close()
        assert.equal(1, closed)
        response_of(pieces { "a" }, { on_close = count }):text()
        assert.equal(2, closed)
        response_of(pieces { "a" }, { on_close = count })
        collectgarbage()
        collectgarbage()
        assert.equal(3, closed)
    end)

    it("keeps to max_body", function()
        local _, err = response_of(pieces { "abc", "def" }, { max_body = 5 }):text()
        assert.equal("limit", err.kind)
    end)
end)

describe("a tap", function()
    local function tapped(body, more)
        local log = {}
        local response = response_of(body, more)
        tap.on(response, function(bytes)
            log[#log + 1] = bytes
        end, function(err)
            log[#log + 1] = err == nil and "END" or type(err) == "string" and err or err.kind
        end)
        return response, log
    end

    it("sees what the reader reads, and the end", function()
        local response, log = tapped(pieces { "a", "b" })
        assert.same({}, log)
        assert.equal("ab", response:text())
        assert.same({ "a", "b", "END" }, log)
        response, log = tapped "text"
        assert.same({ "text", "END" }, log)
        assert.equal("text", response:text())
    end)

    it("sees what is dropped or saved", function()
        local response, log = tapped(pieces { "a", "b" })
        assert.is_true(response:discard())
        assert.same({ "a", "b", "END" }, log)
        response, log = tapped(pieces { "a", "b" })
        local path = os.tmpname()
        assert.is_true(response:save(path))
        os.remove(path)
        assert.same({ "a", "b", "END" }, log)
    end)

    it("is told when the body breaks off, or the reader gives it up", function()
        local response, log = tapped(pieces({ "a" }, "lost"))
        response:text()
        assert.same({ "a", "body" }, log)
        response, log = tapped(pieces { "a", "b" })
        response:read()
        response:close()
        assert.same({ "a", "left" }, log)
        response, log = tapped(pieces { "abc", "def" }, { max_body = 4 })
        response:text()
        assert.same({ "abc", "limit" }, log)
    end)

    it("may be on a tapped response", function()
        local response, log = tapped(pieces { "a" })
        local seen = ""
        tap.on(response, function(bytes)
            seen = seen .. bytes
        end, function() end)
        assert.equal("a", response:text())
        assert.equal("a", seen)
        assert.same({ "a", "END" }, log)
    end)
end)
