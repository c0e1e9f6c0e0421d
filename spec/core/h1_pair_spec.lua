-- Client and server codec face to face: random bodies, framings, chunkings and cuts; what one
-- writes the other reads. A failing seed is printed: MOONWIRE_SEED=n runs it again.

local core = require "moonwire.core"

local ROUNDS = 500

local function body_pieces(random)
    local pieces = {}
    for i = 1, random(0, 6) do
        local size = random() < 0.2 and random(1, 70000) or random(1, 40)
        pieces[i] = string.char(random(0, 255)):rep(size - 1) .. string.char(random(0, 255))
    end
    return pieces
end

local function framing_of(random, pieces, forms)
    local form = forms[random(#forms)]
    return form == "length" and #table.concat(pieces) or form
end

local function random_headers(random)
    local headers = core.headers()
    headers:add("Host", "h")
    for i = 1, random(0, 20) do
        headers:add("X-" .. i, ("v"):rep(random(0, 200)))
    end
    return headers
end

local function random_trailers(random)
    local trailers = core.headers()
    for i = 1, random(0, 3) do
        trailers:add("T-" .. i, ("t"):rep(random(0, 50)))
    end
    return trailers
end

local function text_of(headers)
    local lines = {}
    for name, value in headers:each() do
        lines[#lines + 1] = name .. "=" .. value
    end
    return table.concat(lines, ";")
end

-- One side's message: sends its pieces as the output drains, collects the other side's.
local function side(random, h1, pieces, trailers)
    return { random = random, h1 = h1, pieces = pieces, trailers = trailers, at = 0, body = {} }
end

local function push(self)
    if not self.begun or self.ended or (self.at > 0 and self.h1:has_output()) then
        return
    end
    if self.at < #self.pieces then
        self.at = self.at + 1
        assert(self.h1:send_body(self.pieces[self.at]))
    end
    if self.at == #self.pieces then
        assert(self.h1:send_end(self.trailers))
        self.ended = true
    end
end

local function pull(self)
    while not self.received do
        local event, data = self.h1:next(self.random(1, 20000))
        if event == "body" then
            self.body[#self.body + 1] = data
        elseif event == "need_data" then
            return
        elseif event == "head" then
            self.head = self.h1:head()
        elseif event == "informational" then
            self.informational = (self.informational or 0) + 1
        elseif event == "end" then
            self.received = true
            self.got_trailers = self.h1:trailers()
        else
            error(("%s: %s"):format(core.error_name(data), tostring(self.h1:error_detail())))
        end
    end
end

-- Carries a random part of the output over.
local function carry(from, to)
    local piece = from.h1:output(from.random() < 0.3 and from.random(1, 5) or from.random(1, 30000))
    if #piece > 0 then
        from.h1:output_sent(#piece)
        to.h1:feed(piece)
    end
    return #piece > 0
end

local function begin_request(random, client, method, framing)
    client.headers = random_headers(random)
    local opts = { close = random() < 0.1 }
    local head = core.request_head(method, "/path", client.headers, framing, opts)
    assert(client.h1:send_request(head))
    client.begun = true
    client.ended = framing == nil
end

local function begin_response(random, server, framing)
    for _ = 1, random(0, 2) do
        assert(server.h1:send_response(103, "Early Hints"))
    end
    server.headers = random_headers(random)
    local opts = { close = random() < 0.1 }
    assert(server.h1:send_response(200, "OK", server.headers, framing, opts))
    server.begun = true
    server.ended = framing == nil
end

local function check(sender, receiver, has_body, framing)
    local sent = text_of(sender.headers)
    assert.equal(sent, text_of(receiver.head.headers):sub(1, #sent))
    local body = has_body and framing and table.concat(sender.pieces) or ""
    assert.is_true(body == table.concat(receiver.body))
    local trailers = has_body and framing == "chunked" and text_of(sender.trailers) or ""
    assert.equal(trailers, receiver.got_trailers and text_of(receiver.got_trailers) or "")
end

local METHODS = { "GET", "POST", "PUT", "HEAD", "DELETE" }

local function trailers_for(random, framing)
    return framing == "chunked" and random_trailers(random) or nil
end

-- One exchange; returns whether another one may follow.
local function exchange(random, client_h1, server_h1)
    local method = METHODS[random(#METHODS)]
    local up, down = body_pieces(random), body_pieces(random)
    local up_framing = framing_of(random, up, { "length", "chunked", nil })
    local down_framing = framing_of(random, down, { "length", "chunked", "close" })
    local client = side(random, client_h1, up, trailers_for(random, up_framing))
    local server = side(random, server_h1, down, trailers_for(random, down_framing))
    begin_request(random, client, method, up_framing)
    local early = random() < 0.3 -- the server answers before it has read the request
    for _ = 1, 1e6 do
        push(client)
        if carry(client, server) then
            pull(server)
        end
        if server.head and not server.begun and (early or server.received) then
            begin_response(random, server, down_framing)
        end
        push(server)
        if carry(server, client) then
            pull(client)
        elseif server.ended and down_framing == "close" and not server.eof then
            client.h1:feed_eof()
            server.eof = true
            pull(client)
        end
        if client.received and server.received and client.ended and server.ended then
            break
        end
    end
    assert(client.received and server.received, "the exchange never ended")
    check(client, server, true, up_framing)
    check(server, client, method ~= "HEAD", down_framing)
    local client_ok, server_ok = client.h1:reusable(), server.h1:reusable()
    if not server.eof then
        assert.equal(server_ok, client_ok)
    end
    return client_ok and server_ok
end

describe("client and server codec", function()
    it("agree on random exchanges", function()
        local seed = tonumber(os.getenv "MOONWIRE_SEED") or os.time()
        math.randomseed(seed)
        for round = 1, ROUNDS do
            local client_h1, server_h1 = core.h1 "client", core.h1 "server"
            local ok, problem = pcall(function()
                for _ = 1, 5 do
                    if not exchange(math.random, client_h1, server_h1) then
                        return
                    end
                    assert(client_h1:restart())
                    assert(server_h1:restart())
                end
            end)
            if not ok then
                error(("MOONWIRE_SEED=%d, round %d: %s"):format(seed, round, tostring(problem)), 0)
            end
        end
    end)
end)
