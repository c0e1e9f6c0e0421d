-- TLS as nginx's cosockets do it: which of moonwire's options can be set there, and what to do
-- about the others; certificates made ready for setclientcert. It opens no connection.
local core = require "moonwire.core"
local is_here = require "moonwire.backend.ngx.here"

local ssl = is_here and require "ngx.ssl"
local codes = core.codes

local IN_CONF = "it is set in nginx.conf, with "
local TLS_OPTIONS = {
    verify = true, server_name = true, cert = true, key = true,
    ca_file = IN_CONF .. "lua_ssl_trusted_certificate",
    ca_path = IN_CONF .. "lua_ssl_trusted_certificate",
    ca = IN_CONF .. "lua_ssl_trusted_certificate",
    min_version = IN_CONF .. "lua_ssl_protocols",
    max_version = IN_CONF .. "lua_ssl_protocols",
    ciphers = IN_CONF .. "lua_ssl_ciphers",
    key_password = "the key has to be without a password",
    alpn = "cosockets offer no protocols, and speak HTTP/1.1",
    pins = "cosockets don't show the certificate",
}

local TlsContext = {}
TlsContext.__index = TlsContext

function TlsContext:source() -- luacheck: ignore 212
    return "lua_ssl_trusted_certificate"
end

-- PEM, out of a file unless it is PEM itself.
local function pem_of(text, name)
    if text:find("-----BEGIN", 1, true) then
        return text
    end
    local file, problem = io.open(text, "rb")
    if not file then
        return nil, ("tls.%s: %s"):format(name, problem)
    end
    local pem = file:read "*a"
    file:close()
    return pem
end

-- What stands for moonwire.core.TlsContext: our certificate, ready for setclientcert.
local function tls_context(opts)
    local self = setmetatable({}, TlsContext)
    if opts.cert then
        local cert, problem = pem_of(opts.cert, "cert")
        local key = cert
        if cert and opts.key then
            key, problem = pem_of(opts.key, "key")
        end
        if key then
            self.cert, problem = ssl.parse_pem_cert(cert)
        end
        if self.cert then
            self.key, problem = ssl.parse_pem_priv_key(key)
        end
        if not self.key then
            return nil, codes.ETLS, problem
        end
    end
    return self
end

return { options = TLS_OPTIONS, context = tls_context }
