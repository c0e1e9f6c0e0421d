-- What specs ask of a socket of the core, that no script asks: to break off, to hold little.
local ffi = require "ffi"

ffi.cdef [[
    struct spec_linger { int on; int seconds; };
    int setsockopt(int fd, int level, int name, const void *value, unsigned int length);
]]

local SOL_SOCKET, SO_SNDBUF, SO_RCVBUF, SO_LINGER = 1, 7, 8, 13
local LITTLE = 65536 -- bytes

local sockets = {}

--- Has it end with a RST when it is closed, whatever was sent before.
---@param socket moonwire.core.Tcp
function sockets.linger(socket)
    local linger = ffi.new("struct spec_linger", 1, 0)
    assert(ffi.C.setsockopt(socket:fd(), SOL_SOCKET, SO_LINGER, linger, 8) == 0)
end

--- Has it hold few bytes, so that back-pressure comes soon.
---@param socket moonwire.core.Tcp
function sockets.hold_little(socket)
    local bytes = ffi.new("int[1]", LITTLE)
    for _, name in ipairs { SO_SNDBUF, SO_RCVBUF } do
        assert(ffi.C.setsockopt(socket:fd(), SOL_SOCKET, name, bytes, 4) == 0)
    end
end

return sockets
