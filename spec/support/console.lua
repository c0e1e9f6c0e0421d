-- A program on a terminal of its own, which python3's pty plays.
local support = require "spec.support"

-- Once what it wrote has the text that is given, keys are pressed. Its stdout and stderr are both
-- the terminal.
local PLAYER = [[
import os, pty, select, sys, time
text, keys = sys.argv[1].encode(), sys.argv[2].encode().decode("unicode_escape").encode("latin-1")
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[3], sys.argv[3:])
seen, end = b"", time.time() + 20
while time.time() < end:
    if not select.select([fd], [], [], 0.1)[0]:
        continue
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    seen += data
    if keys and text in seen:
        os.write(fd, keys)
        keys = b""
sys.stdout.buffer.write(seen.replace(b"\r\n", b"\n"))
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
]]

local console = {}

--- Runs a command to its end.
---@param argv string[]
---@param opts {env: table<string, string>?, after: string?, keys: string?}? keys: pressed once it
---  has written `after`
---@return integer code, string screen all that it wrote
function console.run(argv, opts)
    opts = opts or {}
    local path = support.temp_dir() .. "/player.py"
    local file = assert(io.open(path, "w"))
    file:write(PLAYER)
    file:close()
    local env = { TERM = "xterm", NO_COLOR = "" }
    for name, value in pairs(opts.env or {}) do
        env[name] = value
    end
    local code, out, err = support.run({ "python3", path, opts.after or "", opts.keys or "",
        unpack(argv) }, { env = env })
    assert(err == "", err)
    return code, out
end

return console
