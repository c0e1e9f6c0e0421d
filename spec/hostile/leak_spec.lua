-- Thousands of hostile exchanges leave no memory behind: neither Lua's nor the process's.
local assert = require "luassert"
local kit = require "spec.hostile.kit"
local world = require "spec.hostile.world"

local ROUNDS = 4000
local WARM = 1000
local STEP = 250
local LUA_BYTES, PROCESS_BYTES = 128 * 1024, 2 * 1024 * 1024 -- that all rounds may leave

local REPLIES = {
    kit.reply({ "Content-Length: 5", "Transfer-Encoding: chunked" }, "hello"),
    kit.reply("Content-Length: 9007199254740991", "hello"),
    kit.chunked("5\r\nhelloXX"),
    kit.chunked("1;" .. ("x"):rep(4096) .. "\r\na\r\n"):rep(6),
    kit.reply(("X: y\r\n"):rep(300)),
    kit.reply("X: " .. ("y"):rep(70000)),
    kit.reply("Content-Length: 2", "okHTTP/1.1 200 OK\r\n\r\n"),
    ("HTTP/1.1 102 Processing\r\n\r\n"):rep(40),
    kit.chunked("0\r\n" .. ("A: b\r\n"):rep(100)),
    "garbage",
    "",
}

local function lua_bytes(w)
    if w.mock then
        w.mock:advance(100) -- timers that are done with go
    end
    jit.flush()
    collectgarbage()
    collectgarbage()
    return collectgarbage "count" * 1024
end

-- What the process has in memory.
local function process_bytes()
    local file = assert(io.open "/proc/self/statm")
    local pages = file:read "*a":match "^%d+ (%d+)"
    file:close()
    return tonumber(pages) * 4096
end

local function play(w)
    w.script = function(peer)
        peer:write(REPLIES[w.round % #REPLIES + 1])
        peer:eof()
        return false
    end
    local lua, process
    for round = 0, ROUNDS do
        local now = round % STEP == 0 and lua_bytes(w)
        if round == WARM then
            lua, process = now, process_bytes()
        end
        w:begin()
        w.round = round
        local response = w.client:get(w.url .. "/hostile", { timeout = 5 })
        if response then
            response:text()
        end
        w:get_healthy()
    end
    assert.is_true(lua_bytes(w) - lua < LUA_BYTES, "Lua memory grows")
    if not os.getenv "MOONWIRE_SAN" then -- the sanitizers keep what is freed for a while
        assert.is_true(process_bytes() - process < PROCESS_BYTES, "the process grows")
    end
end

describe("memory", function()
    for _, name in ipairs { "mock", "socket" } do
        it(("is where it was after %d hostile exchanges (%s)"):format(ROUNDS, name), function()
            world[name](nil, play)
        end)
    end
end)
