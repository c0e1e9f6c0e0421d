local trace = require "moonwire.trace"
local wire = require "spec.support.wire"

local REPLY = "HTTP/1.1 200 OK\r\nSet-Cookie: secret-a\r\nContent-Length: 1\r\n"
    .. "X-Odd: \195\164\r\n\r\nx"

-- The transcript of two exchanges over one connection.
local function transcript(opts, request_opts)
    local lines = {}
    local function write(text)
        lines[#lines + 1] = text
    end
    opts = opts or {}
    opts.trace = opts.trace == nil and trace.new(write) or opts.trace or nil
    wire.over({ { expect = "\r\n\r\n" }, { send = REPLY }, { expect = "\r\n\r\n" },
        { send = "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" .. REPLY } }, function(connection)
        for _ = 1, 2 do
            assert(connection:request(wire.request("GET", nil, request_opts)))
        end
    end, opts)
    return table.concat(lines)
end

describe("the transcript", function()
    it("shows what is sent, what comes and what becomes of the connection", function()
        local text = transcript()
        assert.matches("^%* connected to 127%.0%.0%.1 port 80\n> GET /path HTTP/1%.1\n", text)
        assert.matches("\n> Host: test.example\n", text, 1, true)
        assert.matches("\n>\n< HTTP/1.1 200 OK\n", text, 1, true)
        assert.matches("\n< Content-Length: 1\n", text, 1, true)
        assert.matches("\n* reusing the connection, request 2 on it\n> GET", text, 1, true)
        assert.matches("\n< HTTP/1.1 103 Hints\n< Link: a\n<\n< HTTP/1.1 200", text, 1, true)
        assert.matches("\n* closed the connection: closed\n$", text)
    end)

    it("leaves secrets out", function()
        local text = transcript(nil, { url = "http://user:secret-b@a/", headers = {
            Cookie = "secret-c", ["proxy-authorization"] = "secret-d",
        } })
        assert.not_matches("secret", text)
        assert.not_matches("Basic", text)
        for _, name in ipairs { "> Cookie", "> proxy-authorization", "> Authorization",
            "< Set-Cookie" } do
            assert.matches(name .. ": <redacted>\n", text, 1, true)
        end
    end)

    it("tells failures, without credentials", function()
        local lines = {}
        wire.over({ wire.ASKED, { send = "nonsense\r\n" } }, function(connection)
            connection:request(wire.request("GET", nil, { url = "http://u:secret@a/" }))
        end, { trace = trace.new(function(text)
            lines[#lines + 1] = text
        end) })
        local text = table.concat(lines)
        assert.matches("\n* failed: bad response", text, 1, true)
        assert.matches("closed the connection: protocol_error", text, 1, true)
        assert.not_matches("secret", text)
    end)

    it("says nothing when it is off", function()
        assert.equal("", transcript { trace = false })
    end)

    it("is turned on for all connections made from then on, and off again", function()
        local lines = {}
        trace.enable(function(text)
            lines[#lines + 1] = text
        end)
        transcript { trace = false }
        trace.disable()
        local count = #lines
        assert.is_true(count > 0)
        transcript { trace = false }
        assert.equal(count, #lines)
    end)

    it("shows control bytes as question marks", function()
        local lines = {}
        trace.new(function(text)
            lines[#lines + 1] = text
        end):note("%s", "a\27[1mb\r\nc\0d\127")
        assert.equal("* a?[1mb??c?d?\n", lines[1])
    end)

    it("goes to a function only", function()
        assert.error_matches(function()
            trace.new "x"
        end, "bad argument 'write'")
    end)
end)
