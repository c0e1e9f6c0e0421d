-- url.lua - URLs as values: parse, resolve, write a query. It never opens anything.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local url = {}

local DEFAULT_PORTS = { http = 80, https = 443 }

--- A checked http or https URL.
---@class moonwire.Url
---@field scheme "http"|"https"
---@field userinfo string? what stands before '@', as it was written
---@field host string lower case, other scripts than ASCII in their xn-- form; an IPv6 address
---  without brackets, with its %zone: what is looked up and connected to
---@field host_kind "name"|"ipv4"|"ipv6"
---@field zone string? of an IPv6 address
---@field port integer the scheme's own where none was given
---@field path string "/" at least
---@field query string? without the '?'
---@field fragment string? without the '#'
---@field peer string the host without the dot of the DNS root: who it is, for TLS and cookies
---@field origin string "http://host:port": what connections are shared by
---@field authority string the Host field's value: no default port, no zone
---@field target string path and query, as they stand in a request
---@field href string the whole URL without credentials and fragment, fit for a log

--- Splits and checks an absolute URL. What may not stand in a path or query and has one meaning
--- only (non-ASCII bytes, quotes, brackets) is percent-encoded; what is there as %XX stays. A host
--- name in another script than ASCII is read as UTF-8 and becomes its xn-- form (UTS 46,
--- non-transitional).
---@param text string
---@param raw boolean? leave dot segments in the path, as in "/a/../b"
---@return moonwire.Url? url
---@return string? message what is wrong with it, nil when nothing is
function url.parse(text, raw)
    if type(text) ~= "string" then
        errors.argument(2, "url", "string", text)
    end
    local parts, message = core.parse_url(text, raw)
    if not parts then
        return nil, message
    end
    local scheme, host, zone, port = parts.scheme, parts.host, parts.zone, parts.port
    local default = DEFAULT_PORTS[scheme]
    local path = parts.path
    if path == "" then
        path = "/"
        parts.path = path
    end
    local authority, key, peer = host, host, host
    if parts.host_kind == "ipv6" then
        authority = "[" .. host .. "]"
        key = authority
        if zone then
            peer = host .. "%" .. zone
            parts.host = peer
            key = "[" .. host .. "%25" .. zone .. "]"
        end
    elseif host:byte(-1) == 46 then -- the dot of the DNS root names the same host
        key = host:sub(1, -2)
        peer = key
    end
    if port and port ~= default then
        authority = authority .. ":" .. port
    else
        port = default
        parts.port = default
    end
    parts.peer = peer
    parts.origin = scheme .. "://" .. key .. ":" .. port
    parts.authority = authority
    parts.target = parts.query and path .. "?" .. parts.query or path
    parts.href = scheme .. "://" .. authority .. parts.target
    return parts
end

--- Checks "host:port", which CONNECT asks for: the port must be there (RFC 9110 section 9.3.6).
---@param text string
---@return string? authority as it stands in a request
---@return string? message what is wrong with it, nil when nothing is
function url.authority(text)
    if type(text) ~= "string" then
        errors.argument(2, "text", "string", text)
    end
    local port = tonumber(text:match "^[^/?#@\\]+:(%d%d?%d?%d?%d?)$")
    if not port or port < 1 then
        return nil, "host:port expected, with a port from 1 to 65535"
    end
    local parts, message = url.parse("http://" .. text)
    if not parts then
        return nil, message
    end
    local host = parts.host_kind == "ipv6" and "[" .. parts.host .. "]" or parts.host
    return host .. ":" .. port
end

--- Resolves a reference, such as a Location field's value, against an absolute URL (RFC 3986
--- section 5.2). The result still has to be parsed.
---@param base string
---@param reference string
---@return string? url
---@return string? message
function url.resolve(base, reference)
    if type(base) ~= "string" then
        errors.argument(2, "base", "string", base)
    end
    if type(reference) ~= "string" then
        errors.argument(2, "reference", "string", reference)
    end
    return core.resolve_url(base, reference)
end

local escapes = {}
for byte = 0, 255 do
    escapes[string.char(byte)] = ("%%%02X"):format(byte)
end

--- Percent-encodes all but letters, digits and "-._~": one segment of a path, for example.
---@param text string
---@return string
function url.escape(text)
    if type(text) ~= "string" then
        errors.argument(2, "text", "string", text)
    end
    return (text:gsub("[^A-Za-z0-9%-._~]", escapes))
end

local function unescape_byte(hex)
    return string.char(tonumber(hex, 16))
end

--- Decodes every %XX.
---@param text string
---@return string
function url.unescape(text)
    if type(text) ~= "string" then
        errors.argument(2, "text", "string", text)
    end
    return (text:gsub("%%(%x%x)", unescape_byte))
end

local function number_text(value)
    if value == math.floor(value) and math.abs(value) < 2 ^ 53 then
        return ("%d"):format(value)
    end
    local short = ("%.14g"):format(value)
    return tonumber(short) == value and short or ("%.17g"):format(value)
end

local scalars = {
    string = function(value)
        return value
    end,
    number = number_text,
    boolean = tostring,
}

--- What stands for a string, a number or a boolean in a query or a form.
---@param value any
---@return string? text nil: it is none of them
function url.text(value)
    local convert = scalars[type(value)]
    return convert and convert(value)
end

local function form_escape(value, name)
    local text = url.text(value)
    if not text then
        error(("bad query value for %q (string, number or boolean expected, got %s)"):format(
            name, type(value)), 4)
    end
    return (text:gsub("[^A-Za-z0-9*%-._ ]", escapes):gsub(" ", "+"))
end

local function add_field(out, name, value)
    local left = form_escape(name, name) .. "="
    if type(value) ~= "table" then
        out[#out + 1] = left .. form_escape(value, name)
        return
    end
    for i = 1, #value do
        out[#out + 1] = left .. form_escape(value[i], name)
    end
end

local function by_name(a, b)
    return a < b
end

--- Encodes fields as application/x-www-form-urlencoded. `fields` maps names to a string, a number,
--- a boolean or an array of these, and is written in the names' order; or it is a list of
--- {name, value} pairs, written as it stands.
---@param fields table
---@return string
function url.query(fields)
    if type(fields) ~= "table" then
        errors.argument(2, "fields", "table", fields)
    end
    local out, names = {}, {}
    for i = 1, #fields do
        local pair = fields[i]
        if type(pair) ~= "table" or type(pair[1]) ~= "string" then
            error(("bad query field %d ({name, value} expected)"):format(i), 2)
        end
        add_field(out, pair[1], pair[2])
    end
    for name in each(fields) do
        if type(name) == "string" then
            names[#names + 1] = name
        elseif type(name) ~= "number" or not fields[name] or name > #fields then
            error(("bad query name (string expected, got %s)"):format(type(name)), 2)
        end
    end
    table.sort(names, by_name)
    for i = 1, #names do
        add_field(out, names[i], fields[names[i]])
    end
    return table.concat(out, "&")
end

return url
