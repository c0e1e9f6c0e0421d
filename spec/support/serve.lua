-- A loopback server in a process of its own, run by the real command.
local support = require "spec.support"

local serve = {}

local CODE = [[
    print(require("moonwire.testing.server").start().url)
    io.flush()
    require("moonwire").sleep(300)
]]

local function first_word(path)
    local file = io.open(path)
    if not file then
        return nil -- the process has not come so far
    end
    local text = file:read "*a"
    file:close()
    return text:match "^(%S+)\n"
end

--- Starts a program and waits for the first word that it prints.
---@param command string[]
---@param opts table? of support.spawn_process
---@return {kill: fun(self)} process
---@return string word
function serve.program(command, opts)
    local output = support.temp_dir() .. "/output"
    opts = opts or {}
    opts.output = output
    local process = support.spawn_process(command, opts)
    for _ = 1, 1000 do
        local word = first_word(output)
        if word then
            return process, word
        end
        require("moonwire").sleep(0.02)
    end
    process:kill()
    error(command[1] .. " did not start: see " .. output)
end

--- Starts it and waits until it listens.
---@return {kill: fun(self)} process
---@return string url
function serve.start()
    return serve.program { support.moonwire(), "-e", CODE }
end

local TLS_CODE = [[
    local tls = { cert = os.getenv "CERT", key = os.getenv "KEY" }
    print(require("moonwire.testing.server").start({ tls = tls }).url)
    io.flush()
    require("moonwire").sleep(300)
]]

--- The same over TLS.
---@param cert string path
---@param key string path
---@return {kill: fun(self)} process
---@return string url
function serve.start_tls(cert, key)
    return serve.program({ support.moonwire(), "-e", TLS_CODE },
        { env = { CERT = cert, KEY = key } })
end

local UNIX_CODE = [[
    local net = require "moonwire.net"
    local listener = assert(net.listen { path = os.getenv "SOCKET" })
    local text = os.getenv "TEXT"
    text = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text)
    print "listening"
    io.flush()
    net.serve(listener, function(stream)
        while stream:read_until "\r\n\r\n" do
            stream:write(text)
        end
    end)
]]

--- Starts a server on a unix socket that answers every request by one text.
---@param text string
---@return {kill: fun(self)} process
---@return string path
function serve.start_unix(text)
    local path = support.temp_dir() .. "/socket"
    local process = serve.program({ support.moonwire(), "-e", UNIX_CODE },
        { env = { SOCKET = path, TEXT = text } })
    return process, path
end

return serve
