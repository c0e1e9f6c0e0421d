local core = require "moonwire.core"
local mock = require "moonwire.testing.mock"
local moonwire = require "moonwire"
local progress = require "moonwire.progress"
local support = require "spec.support"
local terminals = require "spec.support.terminal"

local MB = 1024 * 1024

-- Runs f(terminal) on the mock's clock; columns 80, rows 24 unless it says otherwise.
local function on_terminal(f, columns, rows)
    local terminal = terminals.open(columns or 80, rows or 24)
    mock.new():run(f, terminal)
    terminal:close()
end

-- Runs f(out, read) with a plain file; read() is what stands in it.
local function on_file(f)
    local path = support.temp_dir() .. "/out"
    local out = assert(io.open(path, "w"))
    mock.new():run(f, out, function()
        local file = assert(io.open(path))
        local text = file:read "*a"
        file:close()
        return text
    end)
    out:close()
end

describe("core.terminal_size", function()
    it("tells a terminal from a file", function()
        on_terminal(function(terminal)
            assert.same({ 80, 24 }, { core.terminal_size(terminal.out) })
            terminal:resize(0, 0)
            assert.same({ 0, 0 }, { core.terminal_size(terminal.out) })
        end)
        on_file(function(out)
            assert.is_nil(core.terminal_size(out))
        end)
    end)
end)

describe("a bar on a terminal", function()
    it("is a line that is drawn anew in place", function()
        on_terminal(function(terminal)
            local bar = progress.bar { name = "file.iso", out = terminal.out }
            bar(0, 100 * MB)
            assert.equal("file.iso [>                     ]   0%   0.0/100.0 MiB\27[K\r\n\27[J",
                terminal:read())
            moonwire.sleep(1)
            bar(10 * MB, 100 * MB)
            assert.equal("\r\27[1Afile.iso [==>                   ]  10%  10.0/100.0 MiB"
                .. "  10.0 MiB/s  0:09\27[K\r\n\27[J", terminal:read())
            moonwire.sleep(9)
            bar(100 * MB, 100 * MB)
            terminal:read()
            bar:finish()
            assert.equal("\r\27[1Afile.iso [======================] 100% 100.0/100.0 MiB"
                .. "  done in 0:10\27[K\r\n\27[J", terminal:read())
            bar:finish()
            bar(5, 10)
            bar:note "late"
            assert.equal("", terminal:read())
        end)
    end)

    it("is drawn ten times in a second at most", function()
        on_terminal(function(terminal)
            local bar, count = progress.bar { name = "x", out = terminal.out }, 0
            for i = 1, 1000 do
                bar(i * 1000, 1000000)
                moonwire.sleep(0.001)
                if terminal:read() ~= "" then
                    count = count + 1
                end
            end
            assert.is_true(count >= 9 and count <= 11, count)
            bar:finish()
        end)
    end)

    it("has no bar where nobody knows how much there is, or where there is no room", function()
        on_terminal(function(terminal)
            local bar = progress.bar { name = "stream", out = terminal.out }
            bar(0)
            moonwire.sleep(2)
            bar(3 * MB)
            assert.equal("stream 3.0 MiB  1.5 MiB/s\27[K",
                terminal:read():match "stream 3[^\r]*")
            bar:finish()
            terminal:read()
            terminal:resize(30, 24)
            bar = progress.bar { name = "a name that is far too long", out = terminal.out }
            moonwire.sleep(1)
            bar(MB, 2 * MB)
            local line = terminal:read():match "^([^\27]*)\27"
            assert.equal("a name ~  50% 1.0/2.0 MiB", line)
            bar:finish()
        end)
    end)

    it("says what it is told until it gets on", function()
        on_terminal(function(terminal)
            local bar = progress.bar { name = "x", out = terminal.out }
            bar(1, 2)
            moonwire.sleep(1)
            bar:note "again in 3 s\27[2J"
            assert.truthy(terminal:read():find "1/2 B  again in 3 s%?%[2J\27%[K")
            moonwire.sleep(1)
            bar(2, 2)
            assert.is_nil(terminal:read():find "again")
            bar:finish "failed"
            assert.truthy(terminal:read():find "2/2 B  failed\27%[K")
        end)
    end)

    it("stands under the others of its terminal", function()
        on_terminal(function(terminal)
            local one = progress.bar { name = "one", out = terminal.out }
            local two = progress.bar { name = "two", out = terminal.out }
            two(1, 4)
            moonwire.sleep(1)
            one(2, 4)
            local text = terminal:read()
            assert.truthy(text:find "\r\27%[2Aone [^\n]* 2/4 B[^\n]*\ntwo [^\n]* 1/4 B")
            two:finish()
            text = terminal:read()
            assert.truthy(text:find "^\r\27%[2Atwo [^\n]*done in 0:01\27%[K\r\none [^\n]*\n\27%[J$")
            one:finish()
            assert.truthy(terminal:read():find "^\r\27%[1Aone [^\n]*done[^\n]*\n\27%[J$")
        end)
    end)

    it("leaves out what has no place on it", function()
        on_terminal(function(terminal)
            local bars = {}
            for i = 1, 7 do
                bars[i] = progress.bar { name = "bar" .. i, out = terminal.out }
            end
            moonwire.sleep(1)
            bars[7](1, 2)
            local text = terminal:read()
            assert.truthy(text:find "bar3")
            assert.is_nil(text:find "bar4")
            assert.truthy(text:find "%.%.%. and 4 more")
            for i = 1, 7 do
                bars[i]:finish()
            end
            assert.is_nil(terminal:read():match "and %d more[^\n]*\n\27%[J$")
        end, 80, 5)
    end)
end)

describe("a bar elsewhere", function()
    it("is a line every five seconds, and one at the end", function()
        on_file(function(out, read)
            local bar = progress.bar { name = "file", out = out }
            for i = 0, 60 do
                bar(i * MB, 60 * MB)
                moonwire.sleep(0.2)
            end
            bar:finish()
            assert.equal("file: 41%, 25.0/60.0 MiB, 5.0 MiB/s, 0:07 to go\n"
                .. "file: 83%, 50.0/60.0 MiB, 5.0 MiB/s, 0:02 to go\n"
                .. "file: 100%, 60.0/60.0 MiB, done in 0:12\n", read())
        end)
    end)

    it("says nothing of what takes no time but its end", function()
        on_file(function(out, read)
            local bar = progress.bar { name = "a\nb", out = out }
            bar { bytes = 5 }
            bar:finish()
            assert.equal("a?b: 5 B, done in 0:00\n", read())
        end)
    end)
end)

describe("progress.bar", function()
    it("counts as fast as it goes lately, and anew where it begins anew", function()
        on_file(function(out, read)
            local bar = progress.bar { name = "x", out = out }
            bar(50 * MB, 100 * MB) -- those were here before
            for i = 1, 40 do
                moonwire.sleep(0.25)
                bar((50 + i / 4) * MB, 100 * MB)
            end
            assert.truthy(read():find("60.0/100.0 MiB, 1.0 MiB/s, 0:40 to go", 1, true), read())
            moonwire.sleep(5)
            bar(0, 100 * MB)
            assert.truthy(read():find "\nx: 0%%, 0%.0/100%.0 MiB\n$")
            bar:finish()
        end)
    end)

    it("raises on wrong arguments", function()
        for _, wrong in ipairs {
            { "bad argument 'opts'", 5 }, { "bad argument 'name'", {} },
            { "unknown option 'nam'", { nam = "x" } },
            { "bad argument 'out'", { name = "x", out = "stderr" } },
        } do
            local ok, problem = pcall(progress.bar, wrong[2])
            assert.is_false(ok)
            assert.truthy(problem:find(wrong[1], 1, true), problem)
        end
        on_file(function(out)
            local bar = progress.bar { name = "x", out = out }
            for _, call in ipairs { bar.note, bar.finish, bar } do
                assert.is_false((pcall(call, bar, {})))
            end
            bar:finish()
        end)
    end)

    it("is taken as `progress` of any request", function()
        on_file(function(out, read)
            local m = mock.new()
            local client = require("moonwire.client").new()
            m:hosts { h = { "127.0.0.1" } }
            m:listen_at("127.0.0.1", 80, {
                { expect = "\r\n\r\n" },
                { send = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody" },
            })
            m:run(function()
                local bar = progress.bar { name = "x", out = out }
                assert(assert(client:get("http://h/", { progress = bar })):text())
                bar:finish()
                client:close()
            end)
            assert.equal("x: 100%, 4/4 B, done in 0:00\n", read())
        end)
    end)
end)
