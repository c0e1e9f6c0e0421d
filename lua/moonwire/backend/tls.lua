-- TLS over a socket object of a backend: checks its options, makes contexts, wraps the socket. It
-- never waits and never reads a certificate itself.
local core = require "moonwire.core"
local errors = require "moonwire.error"
local host_program = require "moonwire.backend.host"
local layer = require "moonwire.backend.tls_layer"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local tls = {}

--- Who is trusted and what is shown. `ca_file`, `ca_path` and `ca` stand in for the system's CAs.
---@class moonwire.TlsOptions
---@field verify boolean? false: take any certificate
---@field ca_file string? path of CA certificates (PEM)
---@field ca_path string? path of a folder of them, hashed
---@field ca string? CA certificates (PEM)
---@field cert string? our certificate: a path, or PEM, with those that lead to its CA
---@field key string? its key, a path or PEM; in `cert` when not given
---@field key_password string?
---@field server_name string? whom the certificate must name, instead of the URL's host
---@field min_version "1.2"|"1.3"|nil
---@field max_version "1.2"|"1.3"|nil
---@field ciphers string? as OpenSSL writes them, those of TLS 1.3 too
---@field alpn string[]? protocols to offer: { "http/1.1" }
---@field pins string[]? SHA-256 of the server's public key, "sha256/<base64>": one must fit

--- Options made ready, to be used for any number of streams.
---@class moonwire.TlsContext
---@field core moonwire.core.TlsContext
---@field verify boolean
---@field server_name string?
---@field source string where CAs are looked for
local Context = { __name = "moonwire.TlsContext" }

local OPTIONS = {
    verify = "boolean", ca_file = "string", ca_path = "string", ca = "string", cert = "string",
    key = "string", key_password = "string", server_name = "string", min_version = "string",
    max_version = "string", ciphers = "string", alpn = "table", pins = "table",
}

--- What a server shows. With `ca_file`, `ca_path` or `ca` it takes only clients that show a
--- certificate by one of those.
---@class moonwire.TlsServerOptions
---@field cert string its certificate: a path, or PEM, with those that lead to its CA
---@field key string? its key, a path or PEM; in `cert` when not given
---@field key_password string?
---@field ca_file string?
---@field ca_path string?
---@field ca string?
---@field min_version "1.2"|"1.3"|nil
---@field max_version "1.2"|"1.3"|nil
---@field ciphers string?
---@field alpn string[]? protocols it speaks, { "http/1.1" }; a client that offers others only is
---  refused

---@class moonwire.TlsServerContext
---@field core moonwire.core.TlsContext
local ServerContext = { __name = "moonwire.TlsServerContext" }

local SERVER_OPTIONS = {
    ca_file = "string", ca_path = "string", ca = "string", cert = "string", key = "string",
    key_password = "string", min_version = "string", max_version = "string", ciphers = "string",
    alpn = "table",
}

local BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- The 32 bytes of "sha256/<base64>", or of "sha256//<base64>" as curl has it; nil when it is none.
-- The base64 may itself begin with a slash.
local function pin_bytes(text)
    local encoded = type(text) == "string" and text:match "^sha256/([%w+/]+)=$"
    if encoded and #encoded == 44 then
        encoded = encoded:match "^/(.*)$"
    end
    if not encoded or #encoded ~= 43 then
        return nil
    end
    local bytes, bits, count = {}, 0, 0
    for letter in encoded:gmatch "." do
        bits, count = bits * 64 + BASE64:find(letter, 1, true) - 1, count + 6
        if count >= 8 then
            count = count - 8
            bytes[#bytes + 1] = string.char(math.floor(bits / 2 ^ count))
            bits = bits % 2 ^ count
        end
    end
    return table.concat(bytes)
end

local function joined_pins(pins, level)
    if not pins then
        return nil
    end
    local all = {}
    for i, pin in ipairs(pins) do
        all[i] = pin_bytes(pin)
        if not all[i] then
            error(("bad argument 'tls.pins' (item %d: \"sha256/<base64>\" expected)"):format(i),
                level + 1)
        end
    end
    if #all == 0 or #all > 16 then
        errors.argument(level + 1, "tls.pins", "list of 1 to 16 pins", pins)
    end
    return table.concat(all)
end

-- A list of protocols as it goes over the wire.
local function joined_alpn(alpn, level)
    local all = {}
    for i, name in ipairs(alpn or { "http/1.1" }) do
        if type(name) ~= "string" or name == "" or #name > 255 then
            errors.argument(level + 1, "tls.alpn", "list of protocol names", name)
        end
        all[i] = string.char(#name) .. name
    end
    return #all > 0 and table.concat(all) or nil
end

-- TLS 1.3 has suites of its own, which OpenSSL takes apart from the others.
local function split_ciphers(ciphers)
    local old, new = {}, {}
    for name in (ciphers or ""):gmatch "[^: ,]+" do
        local list = name:find "^TLS_" and new or old
        list[#list + 1] = name
    end
    return old[1] and table.concat(old, ":"), new[1] and table.concat(new, ":")
end

local function names_of(options)
    local names = {}
    for name in each(options) do
        names[#names + 1] = name
    end
    table.sort(names)
    return table.concat(names, " ")
end

local function check_names(opts, known, level)
    for name, value in each(opts) do
        local expected = known[name]
        if not expected then
            error(("unknown option 'tls.%s' (known: %s)"):format(tostring(name), names_of(known)),
                level + 1)
        elseif type(value) ~= expected or value == "" then
            errors.argument(level + 1, "tls." .. name, expected, value)
        elseif expected == "string" and value:find("\0", 1, true) then
            errors.argument(level + 1, "tls." .. name, "string without NUL", value)
        end
    end
    if opts.server_name and not opts.server_name:find "^[%w_:-][%w_.:-]*$" then
        errors.argument(level + 1, "tls.server_name", "host name or address", opts.server_name)
    end
    if opts.key and not opts.cert then
        error("bad argument 'tls.key' (there is no tls.cert that it belongs to)", level + 1)
    end
end

-- Not all can be set where the host does TLS.
local function check_host(opts, level)
    local able = host_program.tls_options
    for name in each(able and opts or {}) do
        if able[name] ~= true then
            error(("tls.%s can't be set inside %s: %s"):format(name, host_program.name, able[name]),
                level + 1)
        end
    end
end

-- The context of the core; files are read now.
local function make(opts, is_server, level)
    local ciphers, suites = split_ciphers(opts.ciphers)
    local made, code, detail = (host_program.tls_context or core.tls_context) {
        server = is_server, unverified = opts.verify == false,
        ca_file = opts.ca_file, ca_path = opts.ca_path, ca = opts.ca,
        cert = opts.cert, key = opts.key, key_password = opts.key_password,
        min_version = opts.min_version, max_version = opts.max_version,
        ciphers = ciphers or nil, suites = suites or nil,
        alpn = joined_alpn(opts.alpn, level + 1), pins = joined_pins(opts.pins, level + 1),
    }
    if made then
        return made
    end
    local err = errors.from_code(code, "tls")
    if detail ~= "" then
        err.message = detail
    end
    return nil, err
end

--- Makes options ready: files are read now.
---@param opts moonwire.TlsOptions?
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.TlsContext? context
---@return moonwire.Error? err kind "tls": a file that isn't there, a key that doesn't fit
function tls.context(opts, level)
    if opts ~= nil and type(opts) ~= "table" then
        errors.argument(level + 1, "tls", "table", opts)
    end
    opts = opts or {}
    check_names(opts, OPTIONS, level + 1)
    check_host(opts, level + 1)
    local made, err = make(opts, false, level + 1)
    if not made then
        return nil, err
    end
    return setmetatable({
        core = made, verify = opts.verify ~= false, server_name = opts.server_name,
        source = made:source(),
    }, Context)
end

--- The same for the server's end.
---@param opts moonwire.TlsServerOptions|moonwire.TlsServerContext
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.TlsServerContext? context, moonwire.Error? err
function tls.server_context(opts, level)
    if getmetatable(opts) == ServerContext then
        return opts
    elseif type(opts) ~= "table" then
        errors.argument(level + 1, "tls", "table", opts)
    end
    check_names(opts, SERVER_OPTIONS, level + 1)
    if not opts.cert then
        errors.argument(level + 1, "tls.cert", "string", nil)
    end
    local made, err = make(opts, true, level + 1)
    return made and setmetatable({ core = made }, ServerContext), err
end

-- What was made of options tables, as long as a table is there and stays as it was then.
local kept = setmetatable({}, { __mode = "k" }) ---@type table<table, {context: table, opts: table}>

-- A copy of options that are nothing but numbers, strings and booleans, and whether another table
-- says the same.
local function copy_plain(opts)
    local copy = {}
    for name, value in each(opts) do
        if type(value) == "table" then
            return nil
        end
        copy[name] = value
    end
    return copy
end

local function says_the_same(copy, opts)
    for name, value in each(opts) do
        if copy[name] ~= value then
            return false
        end
    end
    for name in each(copy) do
        if opts[name] == nil then
            return false
        end
    end
    return true
end

-- The context of an options table. To make one takes reading the CAs, as long as 100 requests do.
local function context_of(opts, level)
    local known = kept[opts]
    if known and says_the_same(known.opts, opts) then
        return known.context
    end
    local context, err = tls.context(opts, level + 1)
    local copy = context and copy_plain(opts)
    kept[opts] = copy and { context = context, opts = copy }
    return context, err
end

--- The context that options stand for, and whom the certificate must name; raises when they are
--- wrong. The same table gives the same context as long as nothing in it changes.
---@param opts moonwire.TlsOptions|moonwire.TlsContext
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.TlsContext context, string host
function tls.context_and_host(opts, level)
    local context = opts
    if getmetatable(opts) ~= Context then
        local err
        errors.check(level + 1, "opts", "table", opts)
        context, err = context_of(opts, level + 1)
        if not context then
            error(err.message, level + 1)
        end
    end
    local host = context.server_name
    if not host then
        error("start_tls needs server_name: whom the certificate must name", level + 1)
    end
    return context, (host:gsub("%%.*$", ""):gsub("(.)%.$", "%1"))
end

--- The same context for another host.
---@param context moonwire.TlsContext
---@param host string
---@return moonwire.TlsContext
function tls.for_host(context, host)
    if context.server_name then
        return context
    end
    return setmetatable({
        core = context.core, verify = context.verify, source = context.source, server_name = host,
    }, Context)
end

--- Wraps a socket object: straight on a socket of the core, else over whatever it is.
---@param socket moonwire.core.Tcp|moonwire.core.Tls|table
---@param context moonwire.TlsContext|moonwire.TlsServerContext
---@param host string? nil for the server's end
---@param session moonwire.core.TlsSession?
---@return table? socket with the same methods, and `handshake`
---@return integer? code
function tls.wrap(socket, context, host, session)
    if host_program.tls_context then
        return socket:start_tls(context, host, session)
    elseif type(socket) == "userdata" and socket.connect_result then
        return core.tls(context.core, socket, host, session)
    end
    local inner, code = core.tls(context.core, nil, host, session)
    if not inner then
        return nil, code
    end
    return layer.new(inner, socket)
end

--- Adds what TLS knows about an error to it.
---@param socket table
---@param code integer
---@param err moonwire.Error
---@return moonwire.Error err the same
function tls.explain(socket, code, err)
    local detail = core.error_kind(code) == "tls" and socket.error_detail and socket:error_detail()
    if detail and detail ~= "" then
        err.message = err.message .. ": " .. detail
    end
    return err
end

---@class moonwire.TlsInfo
---@field version "TLSv1.2"|"TLSv1.3"|nil nil, like the cipher: the host doesn't tell
---@field cipher string?
---@field alpn string? the protocol that was agreed on; nil: the server knows nothing of it
---@field resumed boolean an earlier connection's session was gone on with

--- What is spoken on a socket after the handshake.
---@param socket table
---@return moonwire.TlsInfo
function tls.info(socket)
    local version, cipher, alpn, resumed = socket:info()
    return { version = version, cipher = cipher, alpn = alpn, resumed = resumed }
end

return tls
