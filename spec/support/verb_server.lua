-- The loopback server with what specs of `moonwire get` and its siblings need: run by the command.
local server = assert(require("moonwire.testing.server").start())
local moonwire = require "moonwire"

server:on("/binary", function(_, respond)
    respond(200, "\137PNG\r\n\0\255 and more", { ["Content-Type"] = "image/png" })
end)
server:on("/unnamed", function(_, respond)
    respond(200, "just text\n", { ["Content-Type"] = "application/octet-stream" })
end)
server:on("/evil", function(_, respond)
    respond(200, "a\27]0;title\7b\r\nc\194\155d é", {
        ["Content-Type"] = "text/plain", ["X-Odd"] = "\194\155x",
    })
end)
server:on("/broken", function(request, respond)
    respond:begin(200, { ["Content-Type"] = "text/plain" }, 1000)
    respond:write "the first part"
    if request.args.hang then
        moonwire.sleep(30)
    end
    error "it breaks off"
end)
server:on("/error", function(_, respond)
    respond(500, '{"why":"because"}', { ["Content-Type"] = "application/json" })
end)
local failures = 0
server:on("/flaky", function(_, respond)
    failures = failures + 1
    if failures % 3 == 0 then
        return respond(200, "at last\n", { ["Content-Type"] = "text/plain" })
    end
    respond(503, "not yet", { ["Content-Type"] = "text/plain", ["Retry-After"] = "0" })
end)
server:on("/ticks", function(_, respond)
    local n = 0
    respond(200, function()
        n = n + 1
        if n > 1 then
            moonwire.sleep(30)
        end
        return "tick " .. n .. "\n"
    end, { ["Content-Type"] = "text/plain" })
end)
print(server.url)
io.flush()
moonwire.sleep(300)
