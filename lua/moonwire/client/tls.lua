-- client/tls.lua - what a client knows of TLS: the contexts of its options, and the sessions that
-- its connections may resume. It never opens a connection.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local tls = require "moonwire.backend.tls"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local CONTEXTS_MAX = 32 -- of single requests' options
local HOSTS_MAX = 256 -- whose sessions are kept
local SESSIONS_MAX = 4 -- of one host
local OF_ONE_HOST = { "cert", "key", "key_password", "server_name" }
local SPOKEN = { ["http/1.1"] = true, ["http/1.0"] = true }

---@class moonwire.client.Tls
---@field private opts moonwire.TlsOptions? of the client
---@field private own moonwire.TlsContext? nil: the defaults', made when it is first needed
---@field private made table<string, {context: moonwire.TlsContext, id: integer}> by identity
---@field private sessions table<string, moonwire.core.TlsSession[]> by connection key
---@field private warned table<moonwire.core.TlsContext, boolean>
local methods = {}
local Tls = { __index = methods, __name = "moonwire.client.Tls" }

local function text_of(value)
    if type(value) ~= "table" then
        return tostring(value)
    end
    local list = {}
    for i, item in ipairs(value) do
        list[i] = #tostring(item) .. ":" .. tostring(item)
    end
    return table.concat(list)
end

-- Equal for equal options only.
local function identity_of(opts)
    local names, list = {}, {}
    for name in each(opts) do
        names[#names + 1] = tostring(name)
    end
    table.sort(names)
    for i, name in ipairs(names) do
        local text = text_of(opts[name])
        list[i] = ("%s=%s%d:%s"):format(name, type(opts[name]), #text, text)
    end
    return table.concat(list)
end

-- The one without options is kept for all clients of the Lua state: it has read the system's CAs.
local function default_context()
    local context, err = core.state.tls_context, nil
    if not context then
        context, err = tls.context(nil, 1)
        core.state.tls_context = context
    end
    return context, err
end

-- The context of checked options, made once.
local function made_of(self, opts, level)
    local identity = identity_of(opts)
    local made = self.made[identity]
    if not made then
        local context, err = tls.context(opts, level + 1)
        if not context then
            error(err.message, level + 1)
        end
        if self.count >= CONTEXTS_MAX then
            self.made, self.count = {}, 0
        end
        self.last_id, self.count = self.last_id + 1, self.count + 1
        made = { context = context, suffix = " tls" .. self.last_id, identity = identity }
        self.made[identity] = made
    end
    return made.context, made.suffix, made.identity
end

--- The context for a request, and what sets its connections apart from others of the client.
---@param given moonwire.TlsOptions? of the request; they replace the client's of the same name
---@param level integer whose fault a wrong value is: 1 the caller
---@param bare boolean? without what is meant for one host: our certificate, and the server's name
---@return moonwire.TlsContext? context
---@return string|moonwire.Error suffix of the connection's key, or the error
---@return string? identity equal for equal options, whoever's they are
function methods:context_for(given, level, bare)
    if given == nil and not (bare and self.opts) then
        local context, err = self.own, nil
        if not context then
            context, err = default_context()
            self.own = context
        end
        return context, err or "", self.identity
    end
    local opts = {}
    for name, value in each(self.opts or {}) do
        opts[name] = value
    end
    for name, value in each(given or {}) do
        opts[name] = value
    end
    if bare then
        for _, name in ipairs(OF_ONE_HOST) do
            opts[name] = nil
        end
    end
    local context, suffix, identity = made_of(self, opts, level + 1)
    return context, suffix, identity
end

--- The same for whoever stands between us and the hosts: no option of the client's own counts.
---@param opts moonwire.TlsOptions?
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.TlsContext? context
---@return string|moonwire.Error suffix
---@return string? identity
function methods:context_apart(opts, level)
    if opts == nil then
        local context, err = default_context()
        return context, err or "", ""
    end
    local context, suffix, identity = made_of(self, opts, level + 1)
    return context, suffix, identity
end

local function note(self, stream, context, host)
    local trace = core.state.trace
    if not trace then
        return
    end
    local info = stream.tls
    trace:note("%s with %s%s", info.version or "TLS", info.cipher or "what the host has chosen",
        info.resumed and ", resumed" or "")
    if context.verify then
        trace:note("the certificate is for %s; CAs: %s", host, context.source)
    elseif not self.warned[context.core] then
        self.warned[context.core] = true
        trace:note("WARNING: verify = false: nobody knows whether this is %s", host)
    end
end

--- Goes over to TLS on a stream that was just opened.
---@param stream moonwire.Stream
---@param given moonwire.TlsContext
---@param key string what its sessions are kept by
---@param host string
---@param deadline number
---@return true? ok, moonwire.Error? err
function methods:secure(stream, given, key, host, deadline)
    local context = tls.for_host(given, host)
    local kept = self.sessions[key]
    local ok, err = stream:start_tls(context, deadline, kept and table.remove(kept))
    if not ok then
        return nil, err
    end
    note(self, stream, context, context.server_name)
    local chosen = stream.tls.alpn
    if chosen and not SPOKEN[chosen] then
        stream:close()
        return nil, errors.new {
            kind = "tls", phase = "tls", code = "ETLS",
            message = ("TLS handshake with %s (%s): of tls.alpn it chose %q, which is not spoken "
                .. "here"):format(context.server_name, stream.label, chosen),
        }
    end
    return true
end

--- Keeps what a connection may be resumed with.
---@param key string of the connection
---@param stream moonwire.Stream
function methods:keep_session(key, stream)
    local session = stream:take_tls_session()
    if not session then
        return
    end
    local kept = self.sessions[key]
    if not kept then
        if self.hosts >= HOSTS_MAX then
            self.sessions, self.hosts = {}, 0
        end
        kept = {}
        self.sessions[key], self.hosts = kept, self.hosts + 1
    end
    if #kept >= SESSIONS_MAX then
        table.remove(kept, 1)
    end
    kept[#kept + 1] = session
end

local M = {}

--- Makes what one client needs; its options are checked, and their files read.
---@param opts moonwire.TlsOptions?
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.client.Tls
function M.new(opts, level)
    local own, copy, err
    if opts ~= nil then
        own, err = tls.context(opts, level + 1)
        if not own then
            error(err.message, level + 1)
        end
        copy = {}
        for name, value in each(opts) do
            copy[name] = value
        end
    end
    return setmetatable({
        opts = copy, own = own, identity = copy and identity_of(copy) or "", made = {}, count = 0,
        last_id = 0, sessions = {}, hosts = 0, warned = {},
    }, Tls)
end

return M
