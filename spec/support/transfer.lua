-- Run by specs in a process of its own: one large transfer, then a line with what came of it and
-- the most memory the process has ever had, in KiB.
--   luajit transfer.lua discard|read|save|put-generator|put-file|post-multipart URL [BYTES|PATH]

local http = require "moonwire.http"

local mode, url, more = arg[1], arg[2], arg[3]

local function peak()
    for line in io.lines "/proc/self/status" do
        local kib = line:match "^VmHWM:%s*(%d+)"
        if kib then
            return tonumber(kib)
        end
    end
end

local function generator(bytes)
    local chunk, left = ("0123456789abcdef"):rep(4096), bytes
    return function()
        if left <= 0 then
            return nil
        end
        left = left - #chunk
        return left >= 0 and chunk or chunk:sub(1, #chunk + left)
    end
end

local transfers = {}

function transfers.discard()
    local received = 0
    local response = assert(http.get(url, { progress = function(bytes)
        received = bytes
    end }))
    assert(response:discard())
    return response.status, received
end

function transfers.read()
    local received = 0
    local response = assert(http.get(url))
    for chunk in response:chunks() do
        received = received + #chunk
    end
    return response.status, received
end

function transfers.save()
    local response = assert(http.get(url))
    assert(response:save(more))
    local file = assert(io.open(more))
    return response.status, file:seek "end"
end

transfers["put-generator"] = function()
    local response = assert(http.put(url, { body = generator(tonumber(more)) }))
    assert(response:discard())
    return response.status, tonumber(more)
end

transfers["put-file"] = function()
    local file = assert(io.open(more, "rb"))
    local response = assert(http.put(url, { body = file }))
    assert(response:discard())
    assert(response.upload_complete)
    return response.status, file:seek "end"
end

transfers["post-multipart"] = function()
    local told, total = 0, nil
    local response = assert(http.post(url, {
        multipart = { a = "text", f = { file = more } },
        upload_progress = function(bytes, all)
            assert(bytes > told and bytes <= all)
            told, total = bytes, all
        end,
    }))
    assert(response.upload_complete and told == total)
    assert(assert(response:json()).bytes == told)
    return response.status, told
end

local status, bytes = transfers[mode]()
print(("%d %.0f %d"):format(status, bytes, peak()))
