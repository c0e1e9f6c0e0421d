-- Plain TCP: an echo server and its client, side by side in one script.
local moonwire = require "moonwire"
local net = require "moonwire.net"

local listener = assert(net.listen("127.0.0.1", 0))

local function echo(stream)
    local line = stream:read_until("\n")
    while line do
        assert(stream:write("echo: " .. line))
        line = stream:read_until("\n")
    end
    stream:close()
end

moonwire.scope(function(scope)
    scope:spawn(function()
        local stream = listener:accept()
        while stream do -- nil once the listener is closed
            scope:spawn(echo, stream)
            stream = listener:accept()
        end
    end)

    local stream = assert(net.connect("127.0.0.1", listener:address().port))
    for _, word in ipairs { "hello", "from", "the", "moon" } do
        assert(stream:write(word .. "\n"))
        io.write(assert(stream:read_until("\n")))
    end
    stream:close()
    listener:close()
end)
