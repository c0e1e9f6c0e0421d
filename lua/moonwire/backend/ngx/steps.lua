-- What a cosocket does inside nginx: connects, shakes hands, reads and writes once, each for some
-- milliseconds at most, and what nginx's words about it mean.
local core = require "moonwire.core"

local EOF, ECLOSED, ETIMEOUT = core.EOF, core.ECLOSED, core.ETIMEOUT
local codes = core.codes
local READ_MOST = 65536 -- bytes in one piece

local M = {}

--- The code for what a cosocket says.
---@param words string
---@return integer
function M.code_of(words)
    local code = core.error_code(words)
    if words == "timeout" then
        return ETIMEOUT
    elseif words == "closed" then
        return EOF
    elseif code then
        return code
    elseif words:find "no resolver defined" or words:find "could not be resolved" then
        return words:find("3: Host not found", 1, true) and codes.ENOTFOUND or codes.ERESOLVE
    elseif words:find "too many waiting connect" then
        return codes.EBUSY
    end
    return codes.ESTATE
end

-- Steps: each waits in nginx for `ms` at most, and gives a code -----------------------------------

local function set_timeouts(self, read, write)
    self.read_ms, self.write_ms = read or self.read_ms, write or self.write_ms
    self.sock:settimeouts(self.connect_ms, self.write_ms, self.read_ms)
end

local steps = {}

function steps.connect(self, ms)
    local address = self.address
    self.connect_ms = ms
    set_timeouts(self)
    local ok, words
    if address.from then
        if not self.sock.bind then
            self.detail = "its cosockets have no bind(): leave local_address out"
            return codes.ESTATE
        end
        ok, words = self.sock:bind(address.from)
        if not ok then
            self.detail = words
            return M.code_of(words)
        end
    end
    local pool = address.pool
    local opts = pool and { pool = pool.name, pool_size = pool.size, backlog = pool.queue } or nil
    if address.family == "unix" then
        ok, words = self.sock:connect("unix:" .. address.address, opts)
    elseif address.family == "ipv6" then
        ok, words = self.sock:connect("[" .. address.address .. "]", address.port, opts)
    else
        ok, words = self.sock:connect(address.address, address.port, opts)
    end
    if ok then
        self.connected = true
        return 0
    end
    self.detail = words
    return M.code_of(words)
end

-- What was wrong with a handshake: a code, and words.
local function explain_handshake(words)
    local what = words:gsub("^%d+: ", "")
    if words == "timeout" then
        return ETIMEOUT, words
    elseif words == "closed" or core.error_code(words) then
        return M.code_of(words), words
    elseif what:find "^ssl set client" then
        return codes.ETLS, what .. " (does tls.key belong to tls.cert?)"
    elseif what ~= words or what:find("certificate", 1, true) then
        return codes.ETLS_CERTIFICATE, what .. " (CAs: lua_ssl_trusted_certificate)"
    end
    return codes.ETLS, what
end

function steps.handshake(self, ms)
    local wanted = self.shaking
    set_timeouts(self, ms, ms)
    self.connect_ms = ms -- what nginx takes for a handshake
    set_timeouts(self)
    local ok, words
    if wanted.cert and not self.sock.setclientcert then
        self.detail = "this nginx's cosockets have no setclientcert(): leave tls.cert out"
        return codes.ETLS
    elseif wanted.cert then
        ok, words = self.sock:setclientcert(wanted.cert, wanted.key)
        if not ok then
            self.detail = words
            return codes.ETLS
        end
    end
    ok, words = self.sock:sslhandshake(wanted.session, wanted.server_name, wanted.verify)
    if ok then
        self.shaking = false
        self.session = type(ok) == "userdata" and ok
        return 0
    end
    local code
    code, self.detail = explain_handshake(words)
    return code
end

function steps.read(self, ms)
    if self.read_ms ~= ms then
        set_timeouts(self, ms)
    end
    local data, words = self.sock:receiveany(READ_MOST)
    if data then
        self.data, self.burst = data, 0
        return 0
    elseif words == "timeout" then
        return ETIMEOUT
    end
    self.read_code = M.code_of(words)
    return 0
end

function steps.write(self, ms)
    if self.write_ms ~= ms then
        set_timeouts(self, nil, ms)
    end
    local out = self.out
    local n, words = self.sock:send(out)
    self.out = false
    if n then
        self.sent, self.burst = #out, self.burst + #out
        return 0
    elseif words == "closed" then
        self.write_code = core.error_code "broken pipe"
        return 0
    end
    self.write_code = M.code_of(words) -- nobody knows how much of it has gone
    return words == "timeout" and ETIMEOUT or 0
end

--- Takes one step. A cosocket raises in any request but its own: there it counts as closed.
---@param self moonwire.Cosocket
---@param name "connect"|"handshake"|"read"|"write"
---@param ms integer
---@return integer code
function M.take(self, name, ms)
    local ok, code = pcall(steps[name], self, ms)
    if ok then
        return code
    elseif type(code) ~= "string" or not code:find "bad request$" then
        error(code, 0)
    end
    self.read_code, self.write_code, self.out = ECLOSED, ECLOSED, false
    self.detail = "it belongs to another request of nginx"
    return ECLOSED
end

return M
