-- interop.lua - what moonwire does with any HTTP/1.1 server: the bodies, and the specs that all
-- servers share.  spec/interop has one file for each server.

local assert = require "luassert"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local support = require "spec.support"

local SANITIZED = os.getenv "MOONWIRE_SAN" ~= nil
local PIECE = 64 * 1024
local REQUESTS = 1000 -- over one connection
local SIZES = { 0, 1, 16 * 1024, 1024 * 1024, (SANITIZED and 4 or 64) * 1024 * 1024 }

local M = { folder = support.root .. "/spec/interop" }

local bytes = {}
for i = 1, PIECE do
    bytes[i] = string.char((i * 31 + math.floor(i / 256)) % 256)
end
local BLOCK = table.concat(bytes):gsub("[<\13\10]", "-") -- nothing in it that SSI would look at

---@class spec.interop.Body
---@field name string of its file
---@field path string
---@field size integer
---@field md5 string

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

M.write = write

local function make_body(folder, size)
    local name = ("%d.bin"):format(size)
    local path = folder .. "/" .. name
    local file = assert(io.open(path, "wb"))
    for _ = 1, math.floor(size / PIECE) do
        file:write(BLOCK)
    end
    file:write(BLOCK:sub(1, size % PIECE))
    file:close()
    local _, out = support.run { "md5sum", path }
    return { name = name, path = path, size = size, md5 = assert(out:match "^%x+") }
end

--- Makes the files that servers send and that are sent to them.
---@return spec.interop.Body[] bodies also folder, small and large
function M.bodies()
    local folder = support.temp_dir()
    local list = { folder = folder }
    for i, size in ipairs(SIZES) do
        list[i] = make_body(folder, size)
    end
    list.small, list.large = list[3], list[#list]
    os.execute("chmod 755 " .. support.quote(folder)) -- servers may run as somebody else
    return list
end

--- Fills the words in %(...) of a server's configuration and writes it to a file.
---@return string path
function M.configure(path, text, words)
    write(path, (text:gsub("%%%((%w+)%)", words)))
    return path
end

--- Starts a server and waits until it answers.
---@param argv string[]
---@param dir string where its output goes
---@param ports integer[]
---@param opts table? of support.spawn_process
---@return table process
function M.start(argv, dir, ports, opts)
    opts = opts or {}
    opts.output, opts.cwd = dir .. "/output", dir
    os.execute("chmod 755 " .. support.quote(dir)) -- a server that root starts gives that up
    local process = support.spawn_process(argv, opts)
    for _, port in ipairs(ports) do
        local listens, tries = false, 0
        while not listens and tries < 100 and process:is_running() do
            listens, tries = pcall(support.wait_port, port, 0.2), tries + 1
        end
        if not listens then
            local _, out = support.run { "tail", "-n", "20", dir .. "/output" }
            error(argv[1] .. " does not listen: " .. out)
        end
    end
    return process
end

--- Starts Node's server: `port` keeps connections, `idle_port` ends those that are idle.
---@return {process: table, port: integer, idle_port: integer}
function M.start_node(bodies)
    local dir, port, idle_port = support.temp_dir(), support.free_port(), support.free_port()
    return {
        port = port, idle_port = idle_port,
        process = M.start({ "node", M.folder .. "/node_server.js", port, bodies.folder, idle_port },
            dir, { port, idle_port }),
    }
end

--- Copies the CGI program to a folder of the server's.
---@return string path
function M.install_cgi(bodies, dir)
    local source = assert(io.open(M.folder .. "/echo.cgi"))
    local text = source:read "*a":gsub("BODIES_FOLDER", (bodies.folder:gsub("%%", "%%%%")))
    source:close()
    local path = dir .. "/echo.cgi"
    write(path, text)
    os.execute("chmod 755 " .. support.quote(path))
    return path
end

--- Runs f(client) and leaves nothing open.
function M.with_client(f, opts)
    support.in_loop(function()
        opts = opts or { timeout = 30 }
        local client = http.client(opts)
        f(client)
        client:close()
    end)
end

-- Reads a response to its end; what comes must be the file's bytes.
local function check_body(response, body)
    local at = 0
    while true do
        local chunk, err = response:read(PIECE)
        if not chunk then
            assert.is_nil(err)
            break
        end
        local from = at % PIECE
        local part = BLOCK:sub(from + 1, from + #chunk)
        part = part .. BLOCK:sub(1, #chunk - #part)
        if chunk ~= part then -- a message with both would be long
            error(("the body differs between bytes %d and %d"):format(at, at + #chunk))
        end
        at = at + #chunk
    end
    assert.equal(body.size, at)
end

--- A request body of unknown length: the file's bytes in pieces.
---@param body spec.interop.Body
---@param max integer? bytes to a piece
---@return fun(): string?
function M.generator(body, max)
    local left, piece = body.size, max or PIECE
    return function()
        if left == 0 then
            return nil
        end
        local data = BLOCK:sub(1, math.min(left, piece))
        left = left - #data
        return data
    end
end

local function size_name(size)
    if size >= 1024 * 1024 then
        return size / 1024 / 1024 .. " MiB"
    end
    return size >= 1024 and size / 1024 .. " KiB" or size .. " B"
end

-- Sends a body with its length or in chunks and gives what the server made of it: its MD5.
local function upload(server, client, body, chunked)
    if server.upload then
        return server.upload(client, body, chunked)
    end
    local file = not chunked and assert(io.open(body.path, "rb"))
    local response = assert(client:post(server.url .. server.echo, {
        body = file or M.generator(body),
    }))
    assert.equal(200, response.status)
    assert.is_true(response.upload_complete)
    if file then
        file:close()
    end
    return assert(response:text()):match "^POST (%x+)"
end

--- Specs for Node's server, alone or behind a proxy.
---@param it function busted's
---@param server fun(): spec.interop.Server
function M.node_specs(it, server)
    it("gives the trailers once the body has ended", function()
        M.with_client(function(client)
            local response = assert(client:get(server().url .. "/trailers"))
            assert.equal("with trailers", response:text())
            assert.equal("13", response.trailers["x-count"])
            assert.equal("a b", response.trailers["x-sum"])
            assert.is_nil(response.headers["x-count"])
        end)
    end)

    it("takes 103 for what it is", function()
        M.with_client(function(client)
            local seen = {}
            local response = assert(client:get(server().url .. "/hints", {
                on_informational = function(status, headers)
                    seen[#seen + 1] = status .. " " .. headers["link"]
                end,
            }))
            assert.equal(200, response.status)
            assert.equal("late", response:text())
            assert.same({ "103 </style.css>; rel=preload" }, seen)
            assert.equal(1, client:stats().opened)
        end)
    end)
end

--- Specs for Node's server, alone or behind a proxy that lets Expect through: what a server may say
--- other than 100.
function M.expect_specs(it, server, bodies)
    local function put(client, path)
        local sent, source = 0, M.generator(bodies.small)
        local response = assert(client:put(server().url .. path, {
            expect = true, timeout = { expect = 20 },
            body = function()
                local data = source()
                sent = sent + (data and #data or 0)
                return data
            end,
        }))
        return response, sent
    end

    it("keeps the body when the answer comes without 100", function()
        M.with_client(function(client)
            local response, sent = put(client, "/refused")
            assert.equal(403, response.status)
            assert.equal("no", response:text())
            assert.is_false(response.upload_complete)
            assert.equal(0, sent)
            assert.equal(0, client:stats().total)
            response = assert(client:get(server().url .. "/echo"))
            assert.equal("GET", response:text():match "^%u+")
        end)
    end)

    it("goes without asking when that is answered by 417", function()
        M.with_client(function(client)
            local response = assert(client:put(server().url .. "/unexpected", {
                expect = true, timeout = { expect = 20 }, body = ("x"):rep(100000),
            }))
            assert.equal(200, response.status)
            assert.is_true(response.upload_complete)
            assert.equal("PUT", response:text():match "^%u+")
            assert.equal(200, assert(client:get(server().url .. "/echo")).status)
        end)
    end)
end

--- Specs for a server that packs what it sends.
---@param it function busted's
---@param server fun(): spec.interop.Server
---@param path string of a folder with the bodies, packed as a client wishes
---@param codings string[]
function M.coding_specs(it, server, bodies, path, codings)
    for _, coding in ipairs(codings) do
        it("reads what it has packed: " .. coding, function()
            M.with_client(function(client)
                for i = 3, #bodies - 1 do
                    local response = assert(client:get(server().url .. path .. bodies[i].name, {
                        headers = { ["Accept-Encoding"] = coding },
                    }))
                    assert.equal(coding, response.raw_headers["content-encoding"])
                    assert.is_nil(response.headers["content-encoding"])
                    check_body(response, bodies[i])
                end
                assert.equal(1, client:stats().opened)
            end)
        end)
    end

    it("asks it for all of them, saves what comes and leaves the rest unread", function()
        M.with_client(function(client)
            local url = server().url .. path .. bodies.small.name
            local saved = support.temp_dir() .. "/saved"
            local response = assert(client:get(url))
            assert.is_string(response.raw_headers["content-encoding"])
            assert(response:save(saved))
            local _, out = support.run { "md5sum", saved }
            assert.equal(bodies.small.md5, out:match "^%x+")
            response = assert(client:get(url, { decompress = false }))
            check_body(response, bodies.small)
            response = assert(client:head(url))
            assert.equal("", response:text())
            response = assert(client:get(url, { headers = { Range = "bytes=0-9" } }))
            assert.equal(BLOCK:sub(1, 10), response:text():sub(1, 10))
            assert(assert(client:get(url)):discard())
            assert.equal(1, client:stats().opened)
        end)
    end)
end

local METHODS = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" }

---@class spec.interop.Server
---@field url string
---@field idle_url string of a server that soon closes idle connections
---@field idle_seconds number after so long it has closed them
---@field echo string a path that answers any method with "METHOD ..."
---@field files string path of the folder with the bodies, each sent with its length
---@field chunked string path of the folder with the bodies, sent in chunks
---@field empty string a path that answers 204
---@field upload (fun(client, body, chunked): string)? gives the MD5 of what arrived
---@field always_chunked boolean? even the smallest body of unknown length
---@field processes table[] what is stopped in the end

--- Describes how moonwire gets along with a server.
---@param name string
---@param start fun(bodies): spec.interop.Server
---@param more fun(get: fun(): spec.interop.Server, bodies: table)? specs of this server's own
function M.describe(name, start, more)
    setfenv(1, getfenv(2)) -- busted gives its words to a spec file alone
    describe("moonwire against " .. name, function()
        local bodies = M.bodies()
        local server
        local with_client = M.with_client

        setup(function()
            server = start(bodies)
        end)

        teardown(function()
            for _, process in ipairs(server and server.processes or {}) do
                process:kill()
            end
        end)

        for _, method in ipairs(METHODS) do
            it("is understood when it says " .. method, function()
                with_client(function(client)
                    for i = 1, 2 do
                        local response = assert(client:request(method, server.url .. server.echo))
                        assert.equal(2, math.floor(response.status / 100))
                        if method == "HEAD" then
                            assert.equal("", response:text())
                        else
                            assert.equal(method, response:text():match "^%u+")
                        end
                        assert.equal(i > 1, response.timing.reused)
                    end
                    assert.equal(1, client:stats().opened)
                end)
            end)
        end

        for i, body in ipairs(bodies) do
            it("receives " .. size_name(body.size) .. " both ways", function()
                with_client(function(client)
                    local response = assert(client:get(server.url .. server.files .. body.name))
                    assert.equal(tostring(body.size), response.headers["content-length"])
                    check_body(response, body)
                    response = assert(client:get(server.url .. server.chunked .. body.name))
                    if i >= (server.always_chunked and 2 or 4) then
                        assert.equal("chunked", response.headers["transfer-encoding"])
                        assert.is_nil(response.headers["content-length"])
                    end
                    check_body(response, body)
                    assert.equal(1, client:stats().opened)
                end)
            end)

            it("sends " .. size_name(body.size) .. " both ways", function()
                with_client(function(client)
                    for _, chunked in ipairs { false, true } do
                        assert.equal(body.md5, upload(server, client, body, chunked))
                    end
                    assert.equal(1, client:stats().opened)
                end)
            end)
        end

        it("knows that HEAD, 204 and 304 have no body", function()
            with_client(function(client)
                local url = server.url .. server.files .. bodies.small.name
                for _ = 1, 2 do
                    local response = assert(client:head(url))
                    assert.equal(200, response.status)
                    assert.equal(tostring(bodies.small.size), response.headers["content-length"])
                    assert.equal("", response:text())
                    response = assert(client:get(server.url .. server.empty))
                    assert.equal(204, response.status)
                    assert.equal("", response:text())
                    response = assert(client:get(url))
                    local tag = response.headers["etag"]
                    check_body(response, bodies.small)
                    response = assert(client:get(url, { headers = { ["If-None-Match"] = tag } }))
                    assert.equal(304, response.status)
                    assert.equal("", response:text())
                end
                assert.equal(1, client:stats().opened)
            end)
        end)

        it(("sends %d requests over one connection"):format(REQUESTS), function()
            with_client(function(client)
                local url = server.url .. server.files .. bodies[2].name
                for i = 1, REQUESTS do
                    local response
                    if i % 3 == 0 then
                        response = assert(client:head(url))
                        assert(response:discard())
                    else
                        response = assert(client:get(url))
                        check_body(response, bodies[2])
                    end
                    if response.status ~= 200 then
                        error(("request %d: status %d"):format(i, response.status))
                    end
                end
                assert.equal(1, client:stats().opened)
            end)
        end)

        it("asks before it sends a body, and is told to go on", function()
            local opts = { expect = true, timeout = { total = 30, expect = 20 } }
            with_client(function(client)
                local began = moonwire.now()
                for _, chunked in ipairs { false, true } do
                    assert.equal(bodies[4].md5, upload(server, client, bodies[4], chunked))
                end
                assert.is_true(moonwire.now() - began < 10)
                assert.equal(1, client:stats().opened)
            end, opts)
        end)

        it("goes on when the server has closed an idle connection", function()
            with_client(function(client)
                local url = server.idle_url .. server.files .. bodies.small.name
                check_body(assert(client:get(url)), bodies.small)
                check_body(assert(client:get(url)), bodies.small)
                assert.equal(1, client:stats().opened)
                moonwire.sleep(server.idle_seconds)
                local response = assert(client:get(url))
                check_body(response, bodies.small)
                assert.is_false(response.timing.reused)
                assert.equal(2, client:stats().opened)
                assert.equal(1, client:stats().total)
            end)
        end)

        if more then
            more(function()
                return server
            end, bodies)
        end
    end)
end

return M
