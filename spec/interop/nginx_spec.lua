-- nginx, beyond what spec/io/nginx_spec.lua shows.

local interop = require "spec.support.interop"
local nginx = require "spec.support.nginx"
local support = require "spec.support"

local LOCATIONS = [[
keepalive_requests 2000;
client_max_body_size 0;
location = /echo { default_type text/plain; return 200 "$request_method\n"; }
location = /empty { return 204; }
location /files/ { alias %(bodies)/; }
location /chunked/ { ssi on; ssi_types *; alias %(bodies)/; }
location /packed/ { gzip on; gzip_types *; gzip_min_length 2; alias %(bodies)/; }
location /dav/ { dav_methods PUT; create_full_put_path on; }
location /limited/ { dav_methods PUT; client_max_body_size 64k; }
location = /trailers { ssi on; ssi_types *; add_trailer X-Bytes $bytes_sent;
    alias %(bodies)/1.bin; }
}
server {
    listen 127.0.0.1:%(idleport);
    keepalive_timeout 300ms;
    location /files/ { alias %(bodies)/; }
]]

local HUGE = 256 * 1024 * 1024 -- bytes, more than all buffers on the way hold
local PIECE = ("x"):rep(65536)

-- A file of so many bytes that takes no room on the disk.
local function huge_file()
    local path = support.temp_dir() .. "/huge"
    local file = assert(io.open(path, "wb"))
    file:seek("set", HUGE - 1)
    file:write "\0"
    file:close()
    return path
end

local function start(bodies)
    local idle_port = support.free_port()
    local server = nginx.start((LOCATIONS:gsub("%%%((%w+)%)", {
        bodies = bodies.folder, idleport = idle_port,
    })))
    return {
        url = server.url, idle_url = "http://127.0.0.1:" .. idle_port, idle_seconds = 0.6,
        echo = "/echo", files = "/files/", chunked = "/chunked/", empty = "/empty",
        upload = function(client, body, chunked)
            local path = "/dav/" .. (chunked and "chunked" or "length")
            local file = not chunked and assert(io.open(body.path, "rb"))
            local response = assert(client:put(server.url .. path, {
                body = file or interop.generator(body),
            }))
            assert.is_true(response.status == 201 or response.status == 204)
            assert(response:discard())
            if file then
                file:close()
            end
            local _, out = support.run { "md5sum", server.www .. path }
            return out:match "^%x+"
        end,
        processes = { server.process },
    }
end

interop.describe("nginx", start, function(server, bodies)
    interop.coding_specs(it, server, bodies, "/packed/", { "gzip" })

    for _, chunked in ipairs { false, true } do
        it("gets the early 413 for a body sent " .. (chunked and "in chunks" or "with its length"),
            function()
                interop.with_client(function(client)
                    local sent = 0
                    local file = not chunked and assert(io.open(huge_file(), "rb"))
                    local response = assert(client:put(server().url .. "/limited/x", {
                        body = file or function()
                            sent = sent + #PIECE
                            return sent <= HUGE and PIECE or nil
                        end,
                    }))
                    assert.equal(413, response.status)
                    assert.is_false(response.upload_complete)
                    assert.is_true(sent < HUGE)
                    assert.is_truthy(response:text():find "413")
                    if file then
                        file:close()
                    end
                    assert.equal(0, client:stats().total)
                    response = assert(client:get(server().url .. "/echo"))
                    assert.equal("GET\n", response:text())
                end)
            end)
    end

    it("sends nothing of a body that is too large when it has asked before", function()
        interop.with_client(function(client)
            local file = assert(io.open(bodies.large.path, "rb"))
            local response = assert(client:put(server().url .. "/limited/x", {
                body = file, expect = true, timeout = { expect = 20 },
            }))
            assert.equal(413, response.status)
            assert.is_false(response.upload_complete)
            assert.is_truthy(response:text():find "413")
            assert.equal(0, file:seek())
            file:close()
            assert.equal(0, client:stats().total)
            assert.equal("GET\n", assert(client:get(server().url .. "/echo")):text())
        end)
    end)

    it("gives the trailers once the body has ended", function()
        interop.with_client(function(client)
            local response = assert(client:get(server().url .. "/trailers"))
            assert.equal(1, #response:text())
            assert.is_truthy(response.trailers["x-bytes"]:find "^%d+$")
            assert.equal(200, assert(client:get(server().url .. "/echo")).status)
            assert.equal(1, client:stats().opened)
        end)
    end)
end)
