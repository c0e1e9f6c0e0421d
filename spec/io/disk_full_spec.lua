-- Downloads to places that are full, or that can't be written to: a small tmpfs in a mount
-- namespace of its own, for whoever may make such (elsewhere these specs are skipped, and say so),
-- and a process that may write small files only.

local serve = require "spec.support.serve"
local support = require "spec.support"

local MOUNTS = [[mount -t tmpfs -o size=1m,mode=777 tmpfs "$DIR" && ]]

local SCRIPT = [[
    local http = require "moonwire.http"
    local dir, url = os.getenv "DIR", os.getenv "SERVER"
    local function show(done, err)
        print(done and "done" or err.kind, err and err.code or done.bytes, err and err.message)
        local list = io.popen("cd " .. dir .. " && ls -A | LC_ALL=C sort | tr '\\n' ' '")
        print((list:read "*a"))
        list:close()
    end
    local function download(path, opts)
        show(http.download(url .. path, dir .. "/file", opts))
    end
]]

local function namespace()
    for _, words in ipairs { "unshare -m", "unshare -rm" } do
        local dir = support.temp_dir()
        local code = support.run(words .. " sh -c " .. support.quote(MOUNTS .. "true"),
            { env = { DIR = dir } })
        if code == 0 then
            return words
        end
    end
    print "(spec/io/disk_full_spec.lua: skipped but for one, no tmpfs can be mounted here)"
end

describe("a download to a place that is too small", function()
    local server, url

    setup(function()
        server, url = serve.start()
    end)

    teardown(function()
        server:kill()
    end)

    local function run(before, script, how)
        local dir = support.temp_dir()
        local command = before .. "exec " .. support.quote(support.moonwire()) .. " -"
        if how then
            command = how .. " sh -c " .. support.quote(command)
        end
        local code, out, err = support.run(command, {
            stdin = SCRIPT .. script, env = { DIR = dir, SERVER = url },
        })
        assert.equal("", err)
        assert.equal(0, code)
        return out
    end

    local in_namespace = namespace()
    local on_tmpfs = in_namespace and it or function() end

    on_tmpfs("is refused before a byte is written, where its length is known", function()
        local out = run(MOUNTS, [[
            download "/bytes/2000000"
            download "/bytes/900000"
        ]], in_namespace)
        local first, after, second, left = out:match "^(.-)\n(.-)\n(.-)\n(.-)\n$"
        assert.truthy(first:find "^system\tENOSPC\tthe download can't be saved as .*/file: "
            .. "no space left on the device: it has 1.9 MiB, 0 B of it are here, and 1.0 MiB are "
            .. "free$", first)
        assert.equal("", after)
        assert.equal("done\t900000\tnil", second)
        assert.equal("file ", left)
    end)

    on_tmpfs("fails where the disk turns out to be full, and can be gone on with", function()
        local out = run(MOUNTS, [[
            io.open(dir .. "/file", "w"):write "old"
            download "/bytes/2000000?chunked=1"
            print(io.open(dir .. "/file"):read "*a")
            -- one that can be resumed, of a length that is known too late
            local server = require("moonwire.testing.server").start()
            local text, number = ("x"):rep(1500000), 0
            server:on("/", function(request, respond)
                number = number + 1
                local from = tonumber((request.headers["range"] or ""):match "%d+")
                local part = text:sub((from or 0) + 1)
                respond(from and 206 or 200, function()
                    local piece = part ~= "" and part:sub(1, 65536) or nil
                    part = part:sub(65537)
                    return piece
                end, { ETag = '"1"', ["Content-Range"] = from
                    and ("bytes %d-%d/%d"):format(from, #text - 1, #text) or nil })
            end)
            url = server.url
            download("/", { resume = true })
            os.execute("mount -o remount,size=4m " .. dir)
            local done = assert(http.download(url .. "/", dir .. "/file", { resume = true }))
            print(done.bytes, done.resumed_from > 900000, number,
                io.open(done.path):read "*a" == text)
            server:close()
        ]], in_namespace)
        local lines = {}
        for line in out:gmatch "([^\n]*)\n" do
            lines[#lines + 1] = line
        end
        assert.truthy(lines[1]:find "^system\tENOSPC\t.*no space left on the device", lines[1])
        assert.equal("file ", lines[2])
        assert.equal("old", lines[3])
        assert.truthy(lines[4]:find "^system\tENOSPC\t", lines[4])
        assert.equal("file file.part file.part.info ", lines[5])
        assert.equal("1500000\ttrue\t2\ttrue", lines[6])
    end)

    on_tmpfs("says that nothing can be written there", function()
        local out = run(MOUNTS .. [[mount -o remount,ro "$DIR" && ]], [[
            download "/bytes/10"
        ]], in_namespace)
        assert.truthy(out:find "^system\tEROFS\tthe download can't be saved as .*/file: the file "
            .. "system is read%-only\n\n$", out)
    end)

    it("keeps to the largest file that this process may write", function()
        local limited = "trap '' XFSZ; ulimit -f 2048; " -- of 512 bytes
        local out = run(limited, [[
            download "/bytes/2000000"
            download "/bytes/2000000?chunked=1"
            download "/bytes/1000000"
        ]])
        local lines = {}
        for line in out:gmatch "([^\n]*)\n" do
            lines[#lines + 1] = line
        end
        for i = 1, 3, 2 do
            assert.truthy(lines[i]:find "^system\tEFBIG\t.*/file: the file is too large", lines[i])
            assert.equal("", lines[i + 1])
        end
        assert.equal("done\t1000000\tnil", lines[5])
        assert.equal("file ", lines[6])
    end)
end)
