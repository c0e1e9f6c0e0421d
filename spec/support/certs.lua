-- Certificates for specs, made with the openssl command in a temporary folder.

local support = require "spec.support"

local certs = {}

local CONFIG = [[
[ca]
default_ca = x
[x]
new_certs_dir = %(dir)
database = %(dir)/index
serial = %(dir)/serial
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = optional
[req]
distinguished_name = name
[name]
]]

local KEYS = {
    ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256",
    rsa = "-newkey rsa:2048",
    short = "-newkey rsa:1024",
}

local methods = {}
local Certs = { __index = methods }

local function write(path, text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
end

local function run(self, command)
    local code, _, problem = support.run("cd " .. support.quote(self.dir) .. " && " .. command)
    assert(code == 0, problem)
end

--- The path of a file of it: "root.pem", "root.key".
function methods:path(name)
    return self.dir .. "/" .. name
end

--- Makes a CA that trusts itself.
function methods:root(name)
    run(self, ("openssl req -x509 -config config -nodes %s -keyout %s.key -out %s.pem -days 30"
        .. " -subj '/CN=%s' -addext basicConstraints=critical,CA:TRUE"
        .. " -addext keyUsage=keyCertSign"):format(KEYS.ec, name, name, name))
end

--- Makes a certificate. `by`: its CA's name; san, from, till (YYMMDD), key, md, constraints, usage
--- (extended); ca: it is a CA.
---@param name string
---@param opts table
function methods:issue(name, opts)
    local lines = { "basicConstraints = CA:" .. (opts.ca and "TRUE" or "FALSE") }
    if opts.constraints then
        lines[#lines + 1] = "nameConstraints = critical," .. opts.constraints
    end
    if opts.usage then
        lines[#lines + 1] = "extendedKeyUsage = " .. opts.usage
    end
    if opts.san then
        lines[#lines + 1] = "subjectAltName = " .. opts.san
    end
    write(self:path(name .. ".ext"), table.concat(lines, "\n") .. "\n")
    run(self, ("openssl req -new -config config -nodes %s -keyout %s.key -out %s.csr"
        .. " -subj '/CN=%s'"):format(KEYS[opts.key or "ec"], name, name, opts.cn or name))
    run(self, ("openssl ca -batch -config config -cert %s.pem -keyfile %s.key -in %s.csr"
        .. " -out %s.pem -notext -md %s -startdate %s000000Z -enddate %s000000Z"
        .. " -extfile %s.ext"):format(
        opts.by, opts.by, name, name, opts.md or "sha256", opts.from or "200101",
        opts.till or "400101", name))
end

--- The pin of a certificate's key.
---@return string
function methods:pin(name)
    local _, out = support.run(("openssl x509 -in %s -noout -pubkey | openssl pkey -pubin"
        .. " -outform DER | openssl dgst -sha256 -binary | openssl base64"):format(
        self:path(name .. ".pem")))
    return "sha256/" .. out:gsub("%s", "")
end

---@return table certs a folder without any
function certs.new()
    local self = setmetatable({ dir = support.temp_dir() }, Certs)
    write(self:path "config", (CONFIG:gsub("%%%((%w+)%)", { dir = self.dir })))
    write(self:path "index", "")
    write(self:path "serial", "01\n")
    return self
end

--- Those of a server on 127.0.0.1: "root.pem", "server.pem", "server.key". (nginx takes an address
--- for a name.)
---@return table certs
function certs.for_loopback()
    local self = certs.new()
    self:root "root"
    self:issue("server", { by = "root", san = "IP:127.0.0.1,DNS:127.0.0.1" })
    return self
end

return certs
