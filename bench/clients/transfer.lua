-- One large body with moonwire:  moonwire transfer.lua HOW URL [FILE]
-- HOW is "discard", "save" or "chunks" for a download, "length", "chunked" or "function" for an
-- upload: an open file, the same in chunks, or a function that reads it.

local bodies = require "moonwire.body"
local common = require "bench.clients.common"
local http = require "moonwire.http"

local how, url, path = arg[1], arg[2], arg[3]
local client = http.client { tls = common.tls() }

local ways = {}

function ways.discard()
    assert(assert(client:get(url)):discard())
end

function ways.save()
    assert(assert(client:get(url)):save(path))
end

function ways.chunks()
    local bytes, res = 0, assert(client:get(url))
    for chunk in res:chunks() do
        bytes = bytes + #chunk
    end
    assert(bytes == tonumber(res.headers["content-length"]))
end

local function answered(res, size)
    assert(res.status == 200)
    assert(tonumber(res:text()) == size, "the server has got something else")
end

function ways.length()
    local file = assert(io.open(path, "rb"))
    local size = file:seek "end"
    file:seek "set"
    answered(assert(client:put(url, { body = file })), size)
end

function ways.chunked()
    local file = assert(io.open(path, "rb"))
    local size = file:seek "end"
    file:seek "set"
    answered(assert(client:put(url, { body = bodies.file(file, { chunked = true }) })), size)
end

ways["function"] = function()
    local file = assert(io.open(path, "rb"))
    local size = file:seek "end"
    file:seek "set"
    answered(assert(client:put(url, {
        body = function()
            return file:read(256 * 1024)
        end,
    })), size)
end

local finish = common.start()
ways[how]()
finish(1)
client:close()
