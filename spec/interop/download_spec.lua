-- Downloads from real servers, which are killed meanwhile, or change what they have.

local http = require "moonwire.http"
local interop = require "spec.support.interop"
local kit = require "spec.support.download"
local moonwire = require "moonwire"
local nginx = require "spec.support.nginx"
local support = require "spec.support"

local SIZE = 8 * 1024 * 1024
local TEXT, OTHER = kit.text(SIZE), kit.text(SIZE, 3)
local SIGKILL = 9

local LOCATIONS = [[
location /slow/ { alias %(dir)/www/; limit_rate 8m; limit_rate_after 3m; }
location /whole/ { alias %(dir)/www/; max_ranges 0; limit_rate 64m; }
location /plain/ { alias %(dir)/www/; etag off; }
location /zipped/ { alias %(dir)/www/; gzip on; gzip_types *; }
]]

local CADDY = [[
{
    admin off
    auto_https off
}
http://127.0.0.1:%(port) {
    root * %(dir)
    file_server
}
]]

local LIGHTTPD = [[
server.document-root = "%(dir)"
server.bind = "127.0.0.1"
server.port = %(port)
server.errorlog = "%(dir)/error.log"
mimetype.assign = ("" => "application/octet-stream")
]]

local function write(path, text)
    interop.write(path, text)
    os.execute("touch -d '2 hours ago' " .. support.quote(path)) -- a date that is a validator
end

-- Runs f(client), which leaves nothing open.
local function with_client(f)
    support.in_loop(function()
        local client = http.client { timeout = 30 }
        f(client)
        client:close()
    end)
end

-- Breaks a download off once so much is here.
local function break_off(client, url, path, bytes)
    local ok, problem = pcall(client.download, client, url, path, {
        resume = true, progress = function(info)
            if info.bytes >= bytes then
                error "enough"
            end
        end,
    })
    assert.is_false(ok)
    assert.truthy(tostring(problem):find "enough", problem)
end

local function is(path, text)
    local file = assert(io.open(path, "rb"))
    assert.is_true(file:read "*a" == text)
    file:close()
    for _, name in ipairs { ".part", ".part.info" } do
        assert.is_nil(io.open(path .. name))
    end
end

describe("a download from nginx", function()
    local server, folder

    setup(function()
        server, folder = nginx.start(LOCATIONS), support.temp_dir()
    end)

    before_each(function()
        write(server.www .. "/file", TEXT)
    end)

    teardown(function()
        server.process:kill()
    end)

    -- Downloads; f() is called once half is here.
    local function meanwhile(client, url, path, f)
        local done, err = client:download(server.url .. url, path, {
            retry = { base = 0.3 }, progress = function(info)
                if f and info.bytes > SIZE / 2 then
                    f()
                    f = nil
                end
            end,
        })
        return assert(done, err)
    end

    it("goes on when the server was killed in between", function()
        with_client(function(client)
            local path = folder .. "/killed"
            local done = meanwhile(client, "/slow/file", path, function()
                server.process:signal(SIGKILL)
                server.start_again()
            end)
            assert.equal(206, done.response.status)
            assert.is_true(done.attempts >= 2)
            is(path, TEXT)
        end)
    end)

    it("begins anew when the file is another one by then", function()
        with_client(function(client)
            local path = folder .. "/changed"
            local done = meanwhile(client, "/slow/file", path, function()
                server.process:signal(SIGKILL)
                os.remove(server.www .. "/file")
                write(server.www .. "/file", OTHER .. "!")
                server.start_again()
            end)
            assert.equal(200, done.response.status)
            assert.is_true(done.attempts >= 2)
            is(path, OTHER .. "!")
        end)
    end)

    it("goes on with what a process that was killed has left, and not before that", function()
        local path, url = folder .. "/left", server.url .. "/slow/file"
        local child = support.spawn_process({ support.moonwire(), "-e", ([[
            require("moonwire.http").download(%q, %q, { resume = true })
        ]]):format(url, path) })
        for _ = 1, 500 do
            local part = io.open(path .. ".part", "rb")
            local size = part and part:seek "end" or 0
            if part then
                part:close()
            end
            if size > 1000000 then
                break
            end
            moonwire.sleep(0.01)
        end
        with_client(function(client)
            local done, err = client:download(url, path, { resume = true })
            assert.is_nil(done)
            assert.equal("EBUSY", err.code)
        end)
        child:signal(SIGKILL)
        child:kill()
        with_client(function(client)
            local done = assert(client:download(url, path, { resume = true }))
            assert.equal(206, done.response.status)
            assert.is_true(done.resumed_from > 1000000)
            is(path, TEXT)
        end)
    end)

    it("begins anew where it knows no ranges", function()
        with_client(function(client)
            local path = folder .. "/whole"
            break_off(client, server.url .. "/whole/file", path, 1000000)
            local done = assert(client:download(server.url .. "/whole/file", path,
                { resume = true }))
            assert.equal(200, done.response.status)
            assert.equal(0, done.resumed_from)
            is(path, TEXT)
        end)
    end)

    it("goes on by date, and with what is whole already", function()
        with_client(function(client)
            local path, url = folder .. "/dated", server.url .. "/plain/file"
            break_off(client, url, path, 1000000)
            local done = assert(client:download(url, path, { resume = true }))
            assert.equal(206, done.response.status)
            assert.is_true(done.resumed_from >= 1000000)
            is(path, TEXT)
            os.remove(path)
            break_off(client, url, path, SIZE)
            done = assert(client:download(url, path, { resume = true }))
            assert.equal(416, done.response.status)
            assert.equal(SIZE, done.resumed_from)
            is(path, TEXT)
        end)
    end)

    it("gets the bytes as they are, whatever the server would compress", function()
        with_client(function(client)
            local done = assert(client:download(server.url .. "/zipped/file", folder))
            assert.equal(folder .. "/file", done.path)
            assert.is_nil(done.response.headers["content-encoding"])
            is(done.path, TEXT)
        end)
    end)
end)

local SERVERS = {
    caddy = { "Caddyfile", CADDY, function(path)
        return { "caddy", "run", "--config", path, "--adapter", "caddyfile" }
    end },
    lighttpd = { "lighttpd.conf", LIGHTTPD, function(path)
        return { "/usr/sbin/lighttpd", "-D", "-f", path }
    end },
}

for name, how in pairs(SERVERS) do
    describe("a download from " .. name, function()
        it("goes on where an earlier one has stopped", function()
            local dir, port = support.temp_dir(), support.free_port()
            local config = interop.configure(dir .. "/" .. how[1], how[2], {
                dir = dir, port = port,
            })
            write(dir .. "/file", TEXT)
            local process = interop.start(how[3](config), dir, { port },
                { env = { HOME = dir, XDG_DATA_HOME = dir } })
            with_client(function(client)
                local path, url = dir .. "/copy", ("http://127.0.0.1:%d/file"):format(port)
                break_off(client, url, path, 2000000)
                local done = assert(client:download(url, path, { resume = true }))
                assert.equal(206, done.response.status)
                assert.is_true(done.resumed_from >= 2000000)
                is(path, TEXT)
            end)
            process:kill()
        end)
    end)
end
