-- Streams, the part for TLS: goes over to it, as either end, over the socket object there is.
local core = require "moonwire.core"
local errors = require "moonwire.error"
local steps = require "moonwire.backend.steps"
local thread = require "moonwire.backend.thread"
local tls = require "moonwire.backend.tls"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local EAGAIN = core.EAGAIN

local own -- what stream.lua has for all of its methods
---@class moonwire.Stream
local methods = {}

local function shake_hands(self, deadline)
    local socket = self.core
    while true do
        local ok, code, direction = socket:handshake()
        if ok then
            return true
        elseif code == EAGAIN then
            local wait = direction == "write" and own.wait_to_write or own.wait_to_read
            code = wait(self, deadline)
        end
        if code < 0 then
            return nil, code
        end
    end
end

-- Puts TLS over the socket and shakes hands.
local function secure(self, context, host, deadline, session, doing)
    thread.check(self.backend)
    if self.buffer ~= "" then
        return nil, errors.new {
            kind = "tls", phase = "tls", code = "ETLS",
            message = doing .. ": bytes came before it",
        }
    end
    local backend, timing = self.backend, self.timing
    local began = backend:now()
    local socket, code = tls.wrap(self.core, context, host, session)
    local ok
    if socket then
        self.core, self.step = socket, socket.wait
        self.steps = steps.of(self)
        ok, code = shake_hands(self, deadline)
    end
    if ok then
        timing = timing or { dns = 0, connect = 0 }
        timing.tls = (timing.tls or 0) + backend:now() - began
        self.timing, self.tls = timing, tls.info(socket)
        return true
    end
    return nil, tls.explain(self.core, code, errors.from_code(code, "tls", doing))
end

--- Goes over to TLS, as a client, and returns once the handshake is done. When that fails the
--- stream is closed. Bytes that were read ahead are refused: they came unprotected.
---@param opts moonwire.TlsOptions|moonwire.TlsContext with server_name, whom the certificate names;
---  the files of one and the same table are read once, unless something in it is changed
---@param deadline number?
---@param session moonwire.core.TlsSession? of an earlier connection; it is used up
---@return true? ok
---@return moonwire.Error? err kind "tls", "closed", "timeout" or "cancelled", phase "tls"
function methods:start_tls(opts, deadline, session)
    own.check_reader(self)
    own.check_writer(self)
    local context, host = tls.context_and_host(opts, 2)
    local ok, err = secure(self, context, host, deadline, session,
        ("TLS handshake with %s (%s)"):format(host, self.label))
    if not ok then
        self:close()
    end
    return ok, err
end

--- Goes over to TLS, as a server. When that fails the stream is without TLS again, and good for
--- nothing but to read on until the client has seen the alert, and to be closed.
---@param opts moonwire.TlsServerOptions|moonwire.TlsServerContext
---@param deadline number?
---@return true? ok
---@return moonwire.Error? err
function methods:accept_tls(opts, deadline)
    own.check_reader(self)
    own.check_writer(self)
    local context, err = tls.server_context(opts, 2)
    if not context then
        error(err.message, 2)
    end
    local plain = self.core
    local ok, problem = secure(self, context, nil, deadline, nil,
        "TLS handshake with " .. self.label)
    if not ok then
        self.core, self.step = plain, plain.wait
        self.steps = steps.of(self)
    end
    return ok, problem
end

--- For connections: about its TLS: what is spoken.
---@return moonwire.TlsInfo? info nil without TLS
function methods:tls_info()
    return self.tls
end

--- For a client: what a later connection to the same host may begin with, once.
---@return moonwire.core.TlsSession? session
function methods:take_tls_session()
    local socket = self.core
    return socket.take_session and socket:take_session()
end

local stream_tls = {}

--- For stream.lua: adds the methods to those of a stream.
---@param to table
---@param functions table<string, function>
function stream_tls.add(to, functions)
    own = functions
    for name, method in each(methods) do
        to[name] = method
    end
end

return stream_tls
