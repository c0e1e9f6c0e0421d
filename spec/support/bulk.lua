-- Large bodies over real sockets, for specs: a text that nothing in it repeats, files of it, and a
-- connection against a peer that a spec writes.

local assert = require "luassert"
local connections = require "moonwire.connection"
local moonwire = require "moonwire"
local net = require "moonwire.net"
local requests = require "moonwire.request"
local support = require "spec.support"

local M = {}

local SIZE = 3 * 1024 * 1024 + 17

local function numbers(size)
    local lines = {}
    for i = 1, math.ceil(size / 16) do
        lines[i] = ("%015d\n"):format(i * 7919)
    end
    return table.concat(lines):sub(1, size)
end

M.text = numbers(SIZE)
M.size = SIZE
M.last = M.text:sub(-20)

--- Runs f(path) with a file that has the text so many times: 11 are more than sockets hold.
function M.with_file(times, f)
    local path = support.temp_dir() .. "/body"
    local file = assert(io.open(path, "wb"))
    for _ = 1, times do
        file:write(M.text)
    end
    file:close()
    f(path)
    os.remove(path)
end

--- Runs client(connection) against peer(stream), in a loop that must be left clean.
---@param opts table? of the connection; path: over a unix socket; tls: {server =, client =} options
---@return any result the peer's
function M.against(peer, client, opts)
    return support.in_loop(function()
        local path, tls = opts and opts.path, opts and opts.tls
        local listener = path and assert(net.listen { path = path })
            or assert(net.listen("127.0.0.1", 0))
        local task = moonwire.spawn(function()
            local stream = assert(listener:accept())
            if tls then
                assert(stream:accept_tls(tls.server))
            end
            local result = peer(stream)
            stream:close()
            return result
        end)
        local stream = path and assert(net.connect { path = path })
            or assert(net.connect("127.0.0.1", listener:address().port))
        if tls then
            assert(stream:start_tls(tls.client))
        end
        local connection = connections.new(stream, opts)
        client(connection)
        connection:close()
        local result = task:join()
        listener:close()
        return result
    end)
end

--- Writes a response whose body is slow in the middle: behind its first bytes 20 times 100 come, a
--- fiftieth of a second apart, then the rest.
function M.write_slowly(stream, head, body, first)
    assert(stream:write(head .. body:sub(1, first)))
    local from = first + 1
    for _ = 1, 20 do
        moonwire.sleep(0.02)
        stream:write(body:sub(from, from + 99))
        from = from + 100
    end
    stream:write(body:sub(from))
end

--- A request.
function M.request(method, body)
    return requests.new { method = method, url = "http://h/", body = body }
end

--- Sends a request that fails; gives the error.
function M.failing(connection, request, opts)
    local response, err = connection:request(request, opts)
    assert.is_nil(response)
    assert.is_true(connection:is_closed())
    return err
end

return M
