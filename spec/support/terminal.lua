-- A terminal for specs: one end for what is under test to write to, the other to see what came.

local ffi = require "ffi"

ffi.cdef [[
    int posix_openpt(int flags);
    int grantpt(int fd);
    int unlockpt(int fd);
    char *ptsname(int fd);
    int ioctl(int fd, unsigned long request, ...);
    int close(int fd);
    ssize_t read(int fd, void *buffer, size_t size);
    int fcntl(int fd, int command, ...);
    struct spec_winsize { unsigned short rows, columns, x, y; };
]]

local C = ffi.C
local O_RDWR, O_NOCTTY, O_NONBLOCK, F_SETFL, TIOCSWINSZ = 2, 256, 2048, 4, 0x5414

local methods = {}
local Terminal = { __index = methods }

--- What was written since the last time; lines end with "\r\n" as on every terminal.
---@return string
function methods:read()
    local buffer, out = ffi.new "char[65536]", {}
    while true do
        local n = tonumber(C.read(self.fd, buffer, 65536))
        if n <= 0 then
            return table.concat(out)
        end
        out[#out + 1] = ffi.string(buffer, n)
    end
end

function methods:resize(columns, rows)
    local size = ffi.new("struct spec_winsize", { rows = rows, columns = columns })
    assert(C.ioctl(self.fd, TIOCSWINSZ, size) == 0)
end

function methods:close()
    self.out:close()
    C.close(self.fd)
end

local M = {}

---@return {out: file*, read: function, resize: function, close: function}
function M.open(columns, rows)
    local fd = C.posix_openpt(O_RDWR + O_NOCTTY)
    assert(fd >= 0 and C.grantpt(fd) == 0 and C.unlockpt(fd) == 0)
    assert(C.fcntl(fd, F_SETFL, ffi.cast("int", O_NONBLOCK)) == 0)
    local self = setmetatable({ fd = fd }, Terminal)
    self.out = assert(io.open(ffi.string(C.ptsname(fd)), "w"))
    self:resize(columns, rows)
    return self
end

return M
