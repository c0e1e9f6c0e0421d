-- Runs one command on the client's CPU and gives what it has cost; starts servers on the other CPU.

local ffi = require "ffi"
local moonwire = require "moonwire"
local process = require "spec.support.process"

ffi.cdef [[
    int sched_setaffinity(int pid, size_t size, const uint64_t *mask);
]]

local measure = {}

-- The CPUs that this process may use.
local function allowed_cpus()
    local list = {}
    for line in io.lines("/proc/self/status") do
        local words = line:match "^Cpus_allowed_list:%s*(.*)$"
        for word in (words or ""):gmatch "[^,]+" do
            local first, last = word:match "^(%d+)%-?(%d*)$"
            for cpu = tonumber(first), tonumber(last) or tonumber(first) do
                list[#list + 1] = cpu
            end
        end
    end
    return list
end

local cpus = allowed_cpus()

measure.server_cpu = cpus[1]
measure.client_cpu = cpus[2] or cpus[1]
measure.one_cpu = cpus[2] == nil

--- Keeps the harness itself off the client's CPU.
function measure.stay_away()
    if measure.server_cpu < 64 then
        local mask = ffi.new("uint64_t[16]")
        mask[0] = 2ULL ^ measure.server_cpu
        ffi.C.sched_setaffinity(0, 128, mask)
    end
end

local function read_file(path)
    local file = io.open(path, "rb")
    local text = file and file:read "*a" or ""
    if file then
        file:close()
    end
    return text
end

---@class bench.Tools
---@field programs string the folder of measure, floor, sink and slow
---@field dir string for what is written while measuring
---@field root string the project
---@field moonwire string the command

local function wrapped(tools, result, cpu, command)
    local argv = { tools.programs .. "/measure", result, tostring(cpu) }
    for _, word in ipairs(command) do
        argv[#argv + 1] = tostring(word)
    end
    return argv
end

local function environment(tools)
    return {
        LUA_PATH = ("%s/?.lua;%s/lua/?.lua;%s/lua/?/init.lua;;"):format(tools.root, tools.root,
            tools.root),
        LUA_CPATH = tools.build .. "/?.so;;",
        BENCH_CA = tools.ca,
        BENCH_NODE_MODULES = tools.root .. "/.deps/node/node_modules",
    }
end

--- Starts a command beside the harness, on a CPU, with all the files that the system allows.
---@return table process of spec.support.process
---@return string output path of what it writes
function measure.spawn(tools, cpu, command)
    tools.runs = (tools.runs or 0) + 1
    local output = ("%s/output.%d"):format(tools.dir, tools.runs)
    return process.spawn(wrapped(tools, tools.dir .. "/result", cpu, command), {
        env = environment(tools), output = output,
    }), output
end

-- n and seconds of wrk's report; an error where it had one.
local function parse_wrk(text)
    local problem = text:match "(Non%-2xx[^\n]*)" or text:match "(Socket errors[^\n]*)"
    local n, seconds, unit = text:match "(%d+) requests in ([%d.]+)(m?)s"
    if problem or not n then
        return nil, problem or "wrk has made no request"
    end
    return { n = tonumber(n), secs = tonumber(seconds) * (unit == "m" and 60 or 1) }
end

-- The numbers of a line like "n=1 secs=0.5".
local function parse_line(text)
    local sample = {}
    for line in text:gmatch "[^\n]+" do
        if line:find "^%w+=[%d.]" then
            for name, value in line:gmatch "([%w_]+)=([%d.]+)" do
                sample[name] = tonumber(value)
            end
        end
    end
    return sample
end

-- The line of an output that says why it failed, as far as one can tell.
local function complaint(text)
    return text:match "(%a*[Ee]rror:[^\n]*)" or text:match "([^\n]+)\n*$" or ""
end

--- Runs a command to its end on the client's CPU.
---@param tools bench.Tools
---@param command any[]
---@param opts {seconds: number?, wrk: boolean?}? seconds: how long it may take, 120 by itself;
---  wrk: what it prints is wrk's report
---@return table? sample n, secs, cpu (user + system), user, sys, wall, rss, and what it has printed
---@return string? problem
function measure.run(tools, command, opts)
    local result = tools.dir .. "/result"
    os.remove(result)
    local running, output = measure.spawn(tools, measure.client_cpu, command)
    local ends = os.time() + (opts and opts.seconds or 120)
    while running:is_running() do
        if os.time() > ends then
            running:kill()
            return nil, "it did not end in time"
        end
        moonwire.sleep(0.005)
    end
    local text, taken = read_file(output), parse_line(read_file(result))
    os.remove(output)
    if taken.code ~= 0 then
        return nil, ("exit code %s: %s"):format(taken.code or "?", complaint(text))
    end
    local sample = parse_line(text)
    if command[1] == "wrk" or opts and opts.wrk then
        local problem
        sample, problem = parse_wrk(text)
        if not sample then
            return nil, problem
        end
    end
    sample.own_cost = sample.cpu and sample.cpu / sample.counted
    sample.text = text
    sample.user, sample.sys, sample.wall = taken.user, taken.sys, taken.wall
    sample.cpu, sample.rss = taken.user + taken.sys, taken.rss
    sample.n = sample.n or 1
    sample.secs = sample.secs or taken.wall
    return sample
end

measure.read_file = read_file

return measure
