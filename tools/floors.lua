-- Checks the picture in which every arrow points down:  luajit tools/floors.lua [root]
-- It reads each #include and require under src/, lua/, examples/ and bench/clients/ as text, and
-- fails on an arrow upwards and on what must never stand on a floor.  It runs nothing of what it
-- reads.

local root = arg[1] or "."
local problems, seen = {}, 0

local function complain(file, line, text)
    problems[#problems + 1] = { file = file, line = line, text = text }
end

local function list(command)
    local pipe = assert(io.popen(command))
    local lines = {}
    for line in pipe:lines() do
        lines[#lines + 1] = line
    end
    pipe:close()
    table.sort(lines)
    return lines
end

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The files below a folder of the root, as paths from the root; none where it does not exist.
local function files(folder, pattern)
    local found = {}
    local command = "cd %s && find %s -type f -name '%s' 2>/dev/null"
    for _, path in ipairs(list(command:format(quote(root), folder, pattern))) do
        found[#found + 1] = path
    end
    return found
end

local function read(path)
    local file = assert(io.open(root .. "/" .. path, "rb"))
    local text = file:read("*a")
    file:close()
    seen = seen + 1
    return text
end

local function each_line(text)
    local number = 0
    return function()
        local line = text:match("^([^\n]*)\n?")
        if text == "" then
            return nil
        end
        text = text:sub(#line + 2)
        number = number + 1
        return number, line
    end
end

-- Blanks out a piece but keeps its newlines, so that the line numbers stay right.
local function blank(piece)
    return (piece:gsub("[^\n]", " "))
end

-- What is code in a C file: comments and the insides of strings become blanks.
local function c_code(text)
    local out, at = {}, 1
    while at <= #text do
        local from = text:find("[\"'/]", at)
        if not from then
            break
        end
        out[#out + 1] = text:sub(at, from - 1)
        local two, one = text:sub(from, from + 1), text:sub(from, from)
        local to = from
        if two == "/*" then
            to = select(2, text:find("*/", from + 2, true)) or #text
        elseif two == "//" then
            to = (text:find("\n", from, true) or #text + 1) - 1
        elseif one ~= "/" then
            to = from + 1
            while to < #text and text:sub(to, to) ~= one do
                to = to + (text:sub(to, to) == "\\" and 2 or 1)
            end
        end
        local piece = text:sub(from, to)
        out[#out + 1] = to == from and piece or blank(piece)
        at = to + 1
    end
    out[#out + 1] = text:sub(at)
    return table.concat(out)
end

-- What is code in a Lua file, and the strings in it: strings become ' blanks ', comments blanks.
local function lua_code(text)
    local out, at = {}, 1
    while at <= #text do
        local from = text:find("[\"'%-%[]", at)
        if not from then
            break
        end
        out[#out + 1] = text:sub(at, from - 1)
        local one, to = text:sub(from, from), from
        local level = text:match("^%[(=*)%[", from)
        local comment_level = text:match("^%-%-%[(=*)%[", from)
        if comment_level or level then
            local close = "]" .. (comment_level or level) .. "]"
            to = select(2, text:find(close, from + 2, true)) or #text
        elseif text:sub(from, from + 1) == "--" then
            to = (text:find("\n", from, true) or #text + 1) - 1
        elseif one == '"' or one == "'" then
            to = from + 1
            while to < #text and text:sub(to, to) ~= one do
                to = to + (text:sub(to, to) == "\\" and 2 or 1)
            end
        end
        local piece = text:sub(from, to)
        out[#out + 1] = to == from and piece or blank(piece)
        at = to + 1
    end
    out[#out + 1] = text:sub(at)
    return table.concat(out)
end

-- C -----------------------------------------------------------------------------------------------

local lua_headers = { "^lua", "^lauxlib%.h$" }
local network = {
    "^ev%.h$", "^ares", "^openssl/", "^sys/socket%.h$", "^sys/un%.h$", "^sys/epoll%.h$",
    "^netdb%.h$", "^netinet/", "^arpa/", "^poll%.h$", "^sys/select%.h$", "^unistd%.h$",
}
local clocks = { "^time%.h$", "^sys/time%.h$" }

-- For each folder: what it may not include from the system, and what it may include of ours.
local c_floors = {
    ["src/core"] = {
        never = { lua_headers, network, clocks },
        ours = { "^core/", "^headers%.h$" }, -- the installed ones find each other as neighbours
    },
    ["src/io"] = {
        never = { lua_headers, { "^llhttp" } },
        ours = { "^io/", "^core/err%.h$", "^core/buf%.h$", "^core/alloc%.h$" },
    },
    ["src/lua"] = {
        never = { { "^llhttp", "^ev%.h$", "^ares", "^openssl/" } },
        ours = { "^lua/", "^io/", "^core/", "^moonwire%.h$" },
    },
    ["include"] = { never = { { "^llhttp", "^ares", "^openssl/" } }, ours = {} },
    ["src"] = {
        never = { { "^llhttp", "^ev%.h$" } },
        ours = { "^moonwire%.h$", "^host_modules%.h$", "^core/err%.h$", "^lua/util%.h$" },
    },
}

local socket_calls = {
    "socket", "connect", "bind", "listen", "accept", "accept4", "send", "sendto", "sendmsg", "recv",
    "recvfrom", "recvmsg", "setsockopt", "getsockopt", "shutdown", "sendfile", "splice", "read",
    "write", "writev", "readv", "close", "poll", "epoll_wait", "getaddrinfo",
}

local function matches(name, patterns)
    for _, pattern in ipairs(patterns) do
        if name:find(pattern) then
            return true
        end
    end
    return false
end

local function check_include(file, number, line, floor)
    local system = line:match('^%s*#%s*include%s*<([^>]+)>')
    local ours = line:match('^%s*#%s*include%s*"([^"]+)"')
    if system then
        for _, patterns in ipairs(floor.never) do
            if matches(system, patterns) then
                complain(file, number, "may not include <" .. system .. "> on this floor")
            end
        end
    elseif ours and not matches(ours, floor.ours) then
        complain(file, number, 'may not include "' .. ours .. '": the arrow does not point down')
    end
end

local function check_c_code(file, folder, number, line)
    if line:find("%f[%w_]lua_yield%f[^%w_]") and not file:find("src/lua/loop_lua%.[ch]$") then
        complain(file, number, "yields from C: only src/lua/loop_lua.c does")
    end
    if folder == "src/lua" then
        for _, name in ipairs(socket_calls) do
            if line:find("%f[%w_]" .. name .. "%f[^%w_]%s*%(") and
                not line:find("[.>]%s*" .. name .. "%s*%(") then
                complain(file, number, "calls " .. name .. "(): the border calls src/io for that")
            end
        end
    end
end

local function check_size(file, number)
    if number > 600 then
        complain(file, number, "is longer than 600 lines")
    end
end

local function check_c(file)
    local folder = file:match("^src/%w+/") or file:match("^%w+/")
    folder = folder:gsub("/$", "")
    local floor = c_floors[folder]
    if not floor then
        return complain(file, 1, "lies in a folder that is on no floor (see tools/floors.lua)")
    end
    local text = read(file)
    local code = c_code(text)
    local last, body = 0, nil
    for number, line in each_line(text) do
        check_include(file, number, line, floor)
        last = number
    end
    for number, line in each_line(code) do
        check_c_code(file, folder, number, line)
        if line:find("^{") then
            body = number
        elseif line:find("^}") and body then
            if number - body - 1 > 80 then
                complain(file, body, "has a function of more than 80 lines")
            end
            body = nil
        end
    end
    check_size(file, last)
end

-- Lua ---------------------------------------------------------------------------------------------

-- The floor of each module; the first pattern that fits counts.
local lua_floors = {
    { "^moonwire%.core$", 1 },
    { "^moonwire%.error$", 1.1, "value" }, { "^moonwire%.version$", 1.1, "value" },
    { "^moonwire%.url$", 1.2, "value" }, { "^moonwire%.headers$", 1.2, "value" },
    { "^moonwire%.deadline$", 1.2, "value" }, { "^moonwire%.json$", 1.2, "value" },
    { "^moonwire%.date$", 1, "value" }, { "^moonwire%.base64$", 1, "value" },
    { "^moonwire%.secrets$", 1, "value" },
    { "^moonwire%.body%.", 1.3, "value" }, { "^moonwire%.body$", 1.4, "value" },
    { "^moonwire%.cookies%.", 1.3, "value" }, { "^moonwire%.cookies$", 1.4, "value" },
    { "^moonwire%.request$", 1.5, "value" },
    { "^moonwire%.auth%.", 1.6, "value" }, { "^moonwire%.auth$", 1.7, "value" },
    { "^moonwire%.cache%.", 1.6, "value" }, { "^moonwire%.cache$", 1.7, "value" },
    { "^moonwire%.backend%.", 2.1 }, { "^moonwire%.backend$", 2.2 },
    { "^moonwire%.waiters$", 2.25 },
    { "^moonwire%.task$", 2.3 }, { "^moonwire%.scope$", 2.3 }, { "^moonwire%.channel$", 2.3 },
    { "^moonwire%.semaphore$", 2.3 }, { "^moonwire%.signal$", 2.3 },
    { "^moonwire%.gather$", 2.4 },
    { "^moonwire%.dial%.", 2.4 }, { "^moonwire%.dial$", 2.5 },
    { "^moonwire%.response$", 3 }, { "^moonwire%.response%.", 3 },
    { "^moonwire%.connection$", 3 }, { "^moonwire%.connection%.", 3 },
    { "^moonwire%.proxy%.", 3.5 },
    { "^moonwire%.pool$", 4 }, { "^moonwire%.pool%.", 4 },
    { "^moonwire%.download$", 5 }, { "^moonwire%.download%.", 5 },
    { "^moonwire%.progress$", 5 }, { "^moonwire%.progress%.", 5 },
    { "^moonwire%.net$", 5 }, { "^moonwire%.trace$", 5 },
    { "^moonwire%.client$", 5 }, { "^moonwire%.client%.", 5 }, { "^moonwire%.http$", 5 },
    { "^moonwire%.har$", 5.1 },
    { "^moonwire%.resty$", 5.2 }, { "^moonwire%.resty%.", 5.1 },
    { "^moonwire$", 5.5 },
    { "^moonwire%.host$", 5.5 },
    { "^moonwire%.testing%.", 6 }, { "^moonwire%.testing$", 6.1 },
    { "^moonwire%.cli$", 6 }, { "^moonwire%.cli%.", 6 },
    { "^moonwire%.bench$", 6 }, { "^moonwire%.bench%.", 6 },
    { "^moonwire%.verb$", 6 }, { "^moonwire%.verb%.", 6 },
    { "^moonwire%.editor$", 6 }, { "^moonwire%.repl$", 6 }, { "^moonwire%.repl%.", 6 },
}

local outside = {
    cjson = true, ["cjson.safe"] = true, ffi = true, bit = true, jit = true,
    ["string.buffer"] = true, ["table.new"] = true, ["table.clear"] = true,
}

-- What comes with nginx's Lua module.
local of_nginx = { ["resty.core.base"] = true, ["ngx.semaphore"] = true, ["ngx.ssl"] = true }

-- What examples and the benchmark's scripts, as users write them, may require of moonwire.
local public = {
    moonwire = true, ["moonwire.http"] = true, ["moonwire.request"] = true,
    ["moonwire.headers"] = true, ["moonwire.body"] = true, ["moonwire.cookies"] = true,
    ["moonwire.auth"] = true, ["moonwire.net"] = true, ["moonwire.connection"] = true,
    ["moonwire.pool"] = true, ["moonwire.progress"] = true, ["moonwire.resty"] = true,
    ["moonwire.cache"] = true,
    ["moonwire.testing"] = true, ["moonwire.testing.mock"] = true,
    ["moonwire.testing.server"] = true,
}

-- What a module may not require although it lies below.
local never_requires = {
    ["^moonwire%.pool"] = {
        "^moonwire%.backend", "^moonwire%.connection", "^moonwire%.net$", "^moonwire%.task$",
        "^moonwire%.scope$", "^moonwire%.core$",
    },
}

local function floor_of(module)
    for _, entry in ipairs(lua_floors) do
        if module:find(entry[1]) then
            return entry[2], entry[3]
        end
    end
end

local function module_of(file)
    return (file:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
end

local graph = {} -- module -> { {module, file, line} ... }

local function check_arrow(file, number, from, to)
    if not to:find("^moonwire") then
        local is_known = outside[to] or from:find "^moonwire%.backend%.ngx" and of_nginx[to]
        if not is_known then
            complain(file, number, 'requires "' .. to .. '", which moonwire does not depend on')
        end
        return
    end
    local floor, target = floor_of(from), floor_of(to)
    if not target then
        complain(file, number, 'requires "' .. to .. '", which is on no floor')
    elseif target > floor then
        complain(file, number, ('requires "%s": the arrow points up'):format(to))
    end
    for pattern, forbidden in pairs(never_requires) do
        if from:find(pattern) and matches(to, forbidden) then
            complain(file, number, ('%s may not require "%s"'):format(from, to))
        end
    end
    graph[from][#graph[from] + 1] = { to = to, file = file, line = number }
end

-- Which names a line requires: literal strings, and pcall(require, "x").
local function required_names(line)
    local names = {}
    for _, pattern in ipairs({
        '%f[%w_]require%f[^%w_]%s*%(?%s*["\']([^"\']+)["\']',
        '%f[%w_]require%s*,%s*["\']([^"\']+)["\']',
    }) do
        for name in line:gmatch(pattern) do
            names[#names + 1] = name
        end
    end
    return names
end

-- LuaJIT has an instruction of its own for a loop whose iterator is written "pairs" or "next". Up
-- to April 2022 (Debian 12's luajit is of March; LuaJIT issue 827) such a loop ends early, in every
-- run from then on, once the compiler has given up on it for a loop inside it. So tables are looped
-- over under another name, which costs about 15 ns an entry.
local function check_loop(file, number, code)
    if code:find("%f[%w_]pairs%f[^%w_]") and not code:find("^local each = pairs%s*$") then
        complain(file, number, 'loops over "pairs": say local each = pairs on top, then each(t)')
    elseif code:find("%f[%w_]in%s+next%f[^%w_]") then
        complain(file, number, 'loops over "next": say local raw_each = next, then raw_each, t')
    end
end

local function check_lua_code(file, module, number, code)
    check_loop(file, number, code)
    if code:find("%f[%w_]ngx%f[^%w_]") and not code:find("[.:]ngx%f[^%w_]") and
        not module:find("^moonwire%.backend%.ngx") and not file:find("^examples/nginx/") then
        complain(file, number, "knows of ngx: only backend/ngx does")
    end
    if code:find("%f[%w_]coroutine%s*%.%s*yield%f[^%w_]") and
        not module:find("^moonwire%.backend%.") and module ~= "moonwire.task" then
        complain(file, number, "yields: only backend/ and task do")
    end
    if code:find("%f[%w_]core%s*%.%s*h1%f[^%w_]") and not module:find("^moonwire%.connection") and
        not module:find("^moonwire%.testing%.") then
        complain(file, number, "holds a codec: only the connection and testing/ do")
    end
end

local function check_lua(file)
    local module = module_of(file)
    if module:find("^moonwire%._meta") then
        return
    end
    if not floor_of(module) then
        return complain(file, 1, module .. " is on no floor (see tools/floors.lua)")
    end
    local text = read(file)
    local lines, last, below_functions = {}, 0, false
    for number, line in each_line(text) do
        lines[number], last = line, number
    end
    graph[module] = {}
    for number, code in each_line(lua_code(text)) do
        check_lua_code(file, module, number, code)
        if code:find("%f[%w_]require%f[^%w_]") and not code:find("[.:]require%f[^%w_]") then
            local names = required_names(lines[number])
            if #names == 0 or code:find("^%s") or below_functions then
                complain(file, number, "requires elsewhere than at the top of the file")
            end
            for _, name in ipairs(names) do
                check_arrow(file, number, module, name)
            end
        end
        if code:find("^function ") or code:find("^local function ") then
            below_functions = true
        end
    end
    check_size(file, last)
end

local function check_example(file)
    local text = read(file)
    local lines = {}
    for number, line in each_line(text) do
        lines[number] = line
    end
    for number, code in each_line(lua_code(text)) do
        if code:find("%f[%w_]require%f[^%w_]") then
            for _, name in ipairs(required_names(lines[number])) do
                if name:find("^moonwire") and not public[name] then
                    complain(file, number, 'requires "' .. name .. '", which is not public')
                end
            end
        end
    end
end

-- A cycle inside one floor is as bad as an arrow upwards.
local function check_cycles()
    local state = {}
    local function visit(module, file, line)
        if state[module] == "open" then
            return complain(file, line, "requires " .. module .. " in a cycle")
        elseif state[module] then
            return
        end
        state[module] = "open"
        for _, arrow in ipairs(graph[module] or {}) do
            visit(arrow.to, arrow.file, arrow.line)
        end
        state[module] = "done"
    end
    local modules = {}
    for module in pairs(graph) do
        modules[#modules + 1] = module
    end
    table.sort(modules)
    for _, module in ipairs(modules) do
        visit(module)
    end
end

for _, folder in ipairs({ "src", "include" }) do
    for _, file in ipairs(files(folder, "*.[ch]")) do
        check_c(file)
    end
end
for _, file in ipairs(files("lua", "*.lua")) do
    check_lua(file)
end
for _, folder in ipairs({ "examples", "bench/clients" }) do
    for _, file in ipairs(files(folder, "*.lua")) do
        check_example(file)
    end
end
check_cycles()

for _, problem in ipairs(problems) do
    print(("%s:%d: %s"):format(problem.file, problem.line or 1, problem.text))
end
if #problems > 0 then
    print(("floors: %d arrows or rules broken"):format(#problems))
    os.exit(1)
end
if seen == 0 then
    print("floors: nothing to read under " .. root)
    os.exit(1)
end
print(("floors: %d files, every arrow points down"):format(seen))
