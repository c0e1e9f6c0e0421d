-- Processes, temporary folders and file descriptors for specs, through the shell and a few calls of
-- the C library. Everything it starts it stops by its pid, at the latest when the Lua state closes.
local ffi = require "ffi"

ffi.cdef [[
    int getpid(void);
    int kill(int pid, int signal);
    int waitpid(int pid, int *status, int options);
    int usleep(unsigned int microseconds);
    int fcntl(int fd, int command, ...);
    long readlink(const char *path, char *buffer, size_t size);
]]

local C = ffi.C
local SIGTERM, SIGKILL, WNOHANG, F_GETFD = 15, 9, 1, 1

local process = {}

-- Has `fn` called when the Lua state closes, or the value is forgotten.
local function at_end(fn)
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = fn
    return proxy
end

local keep = {} -- until the state closes

--- Writes a word for the shell.
---@param word any
---@return string
function process.quote(word)
    return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

local function command_of(argv)
    local words = {}
    for i, word in ipairs(argv) do
        words[i] = process.quote(word)
    end
    return table.concat(words, " ")
end

local function environment_of(env)
    local words = {}
    for name, value in pairs(env or {}) do
        words[#words + 1] = name .. "=" .. process.quote(value)
    end
    return #words > 0 and "env " .. table.concat(words, " ") .. " " or ""
end

---@return integer
function process.pid()
    return C.getpid()
end

--- Open file descriptors of this process and what they are.
---@return table<integer, string>
function process.fds()
    local buffer, open = ffi.new("char[512]"), {}
    for fd = 0, 1023 do
        if C.fcntl(fd, F_GETFD) ~= -1 then
            local length = C.readlink("/proc/self/fd/" .. fd, buffer, 512)
            open[fd] = length > 0 and ffi.string(buffer, length) or "?"
        end
    end
    return open
end

--- How many file descriptors are open.
---@return integer
function process.count_fds()
    local count = 0
    for fd = 0, 1023 do
        if C.fcntl(fd, F_GETFD) ~= -1 then
            count = count + 1
        end
    end
    return count
end

local function read_file(path)
    local file = io.open(path, "rb")
    if not file then
        return ""
    end
    local text = file:read("*a")
    file:close()
    return text
end

--- Makes a temporary folder; it is removed when the Lua state closes.
---@param within string? a folder; the system's for temporary files when not given
---@return string path
function process.temp_dir(within)
    local pipe = assert(io.popen("mktemp -d"
        .. (within and " -p " .. process.quote(within) or "")))
    local path = pipe:read("*l")
    pipe:close()
    local pid = C.getpid()
    keep[#keep + 1] = at_end(function()
        if C.getpid() == pid then
            os.execute("rm -rf " .. process.quote(path))
        end
    end)
    return path
end

local function exit_code(status, _, code)
    if type(status) ~= "number" then
        return code -- as Lua 5.2 does it
    elseif status >= 256 then
        return math.floor(status / 256)
    end
    return status == 0 and 0 or 128 + status
end

--- Runs a command to its end.
---@param command string|string[] shell text, or the words of it
---@param opts {stdin: string?, env: table<string, string>?, timeout: number?}? timeout: 60 s
---@return integer code, string stdout, string stderr
function process.run(command, opts)
    opts = opts or {}
    if type(command) == "table" then
        command = command_of(command)
    end
    local pipe = assert(io.popen("mktemp -d"))
    local folder = pipe:read("*l")
    pipe:close()
    local stdin = "/dev/null"
    if opts.stdin then
        stdin = folder .. "/in"
        local file = assert(io.open(stdin, "wb"))
        file:write(opts.stdin)
        file:close()
    end
    local code = exit_code(os.execute(("%stimeout -k 5 %d sh -c %s <%s >%s/out 2>%s/err"):format(
        environment_of(opts.env), opts.timeout or 60, process.quote(command), stdin, folder,
        folder)))
    local stdout, stderr = read_file(folder .. "/out"), read_file(folder .. "/err")
    os.execute("rm -rf " .. process.quote(folder))
    return code, stdout, stderr
end

local function is_gone(pid)
    return C.waitpid(pid, nil, WNOHANG) ~= 0
end

local methods = {}
local Process = { __index = methods }

--- Whether it still runs.
---@return boolean
function methods:is_running()
    if not self.gone and is_gone(self.pid) then
        self.gone = true
    end
    return not self.gone
end

--- Sends it a signal.
---@param signal integer? 15 when not given
function methods:signal(signal)
    if not self.gone then
        C.kill(self.pid, signal or SIGTERM)
    end
end

--- Stops it, if need be by force, and waits until it is gone. Twice is harmless.
function methods:kill()
    if self.gone then
        return
    end
    C.kill(self.pid, SIGTERM)
    for _ = 1, 500 do
        if not self:is_running() then
            break
        end
        C.usleep(10000)
    end
    if not self.gone then
        C.kill(self.pid, SIGKILL)
        C.waitpid(self.pid, nil, 0)
        self.gone = true
    end
    self.pipe:close()
end

--- Starts a process that runs beside the spec. What a sanitizer preloads into us stays out of it.
---@param argv string[]
---@param opts {env: table<string, string>?, output: string?, cwd: string?}? output: a file for
---  stdout and stderr
---@return {pid: integer, kill: fun(self), signal: fun(self, n), is_running: fun(self)} process
function process.spawn(argv, opts)
    opts = opts or {}
    local script = ("cd %s && echo $$ && exec env -u LD_PRELOAD %s%s </dev/null >%s 2>&1"):format(
        process.quote(opts.cwd or "."), environment_of(opts.env):gsub("^env ", ""),
        command_of(argv), process.quote(opts.output or "/dev/null"))
    local pipe = assert(io.popen("exec sh -c " .. process.quote(script)))
    local self = setmetatable({ pipe = pipe, gone = false }, Process)
    self.pid = assert(tonumber(pipe:read("*l")), "the process did not start")
    keep[#keep + 1] = at_end(function()
        self:kill()
    end)
    return self
end

return process
