-- client/options.lua - checks what a script gives to a client or a request, and names what is
-- wrong. It never fills in what belongs to one exchange.

local coding = require "moonwire.body.coding"
local dial_options = require "moonwire.dial.options"
local errors = require "moonwire.error"
local headers_of = require "moonwire.headers"
local layers = require "moonwire.client.layers"
local pools = require "moonwire.pool"
local proxies = require "moonwire.client.proxy"
local tls = require "moonwire.client.tls"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local options = {}

--- Seconds, each above 0. A table of a request says what is different from its client's.
---@class moonwire.Timeouts
---@field total number? for all of a request, names and the body's last byte included; none
---@field pool number? waiting for a free connection; none
---@field connect number? names and connecting: 10
---@field tls number? the handshake: 10
---@field headers number? from the request's last byte to the response's head: 60
---@field idle number? no byte taken or given by a peer that we wait for: 30
---@field expect number? waiting for a 100 before the body goes: 1

--- What a peer may send.
---@class moonwire.PeerLimits
---@field head_bytes integer? of a response's head with all 1xx heads before it: 64 KiB
---@field header_count integer? fields in them: 256
---@field informational integer? 1xx heads before a response: 32
---@field trailer_bytes integer? 16 KiB
---@field trailer_count integer? fields: 64
---@field chunk_overhead integer? framing of chunks beyond the body's half: 16 KiB

-- Seconds; what has no default never ends by itself.
local TIMEOUTS = { connect = 10, tls = 10, headers = 60, idle = 30, expect = 1 }
local TIMEOUT_NAMES = {
    total = true, connect = true, tls = true, headers = true, idle = true, pool = true,
    expect = true,
}

local CLIENT = {
    base_url = true, headers = true, timeout = true, pool = true, max_body = true, limits = true,
    unix_socket = true, expect = true, compat = true, tls = true, resolve = true,
    on_resolve = true, local_address = true, proxy = true, decompress = true,
    compress = true,
}
local COMPAT = { obs_fold = true }
local LIMITS = {
    head_bytes = true, header_count = true, chunk_overhead = true, trailer_bytes = true,
    trailer_count = true, informational = true,
}

-- What makes the request, and how it is sent.
local CONTENT = {
    headers = true, query = true, body = true, json = true, form = true, multipart = true,
    expect = true, upgrade = true, close = true, trailers = true, raw_target = true,
    decompress = true, compress = true,
}
local SENDING = {
    timeout = true, max_body = true, unix_socket = true, on_informational = true, progress = true,
    upload_progress = true, tls = true, resolve = true, on_resolve = true, local_address = true,
    proxy = true,
}
local REQUEST = { method = true, url = true }
for _, layer in ipairs(layers) do
    for name in each(layer.client_options) do
        CLIENT[name] = true
    end
    for name in each(layer.request_options) do
        SENDING[name] = true
    end
end

local function names(...)
    local list, seen = {}, {}
    for _, set in ipairs { ... } do
        for name in each(set) do
            if not seen[name] then
                seen[name], list[#list + 1] = true, name
            end
        end
    end
    table.sort(list)
    return table.concat(list, " ")
end

local function unknown(name, level, ...)
    error(("unknown option '%s' (known: %s)"):format(tostring(name), names(...)), level + 1)
end

local function check_seconds(name, value, level)
    if type(value) ~= "number" or value ~= value or value <= 0 then
        errors.argument(level + 1, name, "number of seconds above 0", value)
    end
end

--- A whole table of timeouts.
---@param given number|table|nil a number means total
---@param defaults table
---@param level integer whose fault a wrong value is: 1 the caller
---@return table timeouts {total?, connect, tls, headers, idle, pool?, expect}
local function merge_timeouts(given, defaults, level)
    if given == nil then
        return defaults
    end
    local merged = {}
    for name, value in each(defaults) do
        merged[name] = value
    end
    if type(given) ~= "table" then
        check_seconds("timeout", given, level + 1)
        merged.total = given
        return merged
    end
    for name, value in each(given) do
        if not TIMEOUT_NAMES[name] then
            error(("unknown timeout '%s' (known: %s)"):format(tostring(name),
                names(TIMEOUT_NAMES)), level + 1)
        end
        check_seconds("timeout." .. name, value, level + 1)
        merged[name] = value
    end
    return merged
end

local function check_max_body(value, level)
    if value ~= nil and (type(value) ~= "number" or value ~= value or value < 0) then
        errors.argument(level + 1, "max_body", "number of bytes", value)
    end
end

local function check_unix_socket(value, level)
    if value ~= nil then
        dial_options.check_path("unix_socket", value, level + 1)
    end
end

-- What the layers make of their options for all requests of a client.
local function settle_layers(settings, opts, level)
    for _, layer in ipairs(layers) do
        for name, check in each(layer.client_options) do
            settings[name] = check(opts[name], level + 1)
        end
    end
end

local function check_layers(opts, level)
    for _, layer in ipairs(layers) do
        for name, check in each(layer.request_options) do
            if opts[name] ~= nil then
                check(opts[name], level + 1)
            end
        end
    end
end

local function check_expect(value, level)
    if value ~= nil and type(value) ~= "boolean" and not (type(value) == "number" and value >= 0)
    then
        errors.argument(level + 1, "expect", "true, false or a number of bytes", value)
    end
end

local function check_compat(value, level)
    if value == nil then
        return
    end
    errors.check(level + 1, "compat", "table", value)
    for name, wanted in each(value) do
        if not COMPAT[name] then
            unknown("compat." .. tostring(name), level + 1, { ["compat.obs_fold"] = true })
        elseif type(wanted) ~= "boolean" then
            errors.argument(level + 1, "compat." .. name, "boolean", wanted)
        end
    end
end

local function check_limits(value, level)
    if value == nil then
        return
    end
    errors.check(level + 1, "limits", "table", value)
    for name, limit in each(value) do
        if not LIMITS[name] then
            unknown("limits." .. tostring(name), level + 1, LIMITS)
        elseif type(limit) ~= "number" or limit < 1 then
            errors.argument(level + 1, "limits." .. name, "number from 1", limit)
        end
    end
end

local function check_base_url(value, level)
    if value == nil then
        return
    end
    errors.check(level + 1, "base_url", "string", value)
    local url, problem = urls.parse(value)
    if not url then
        error("bad argument 'base_url' (" .. problem .. ")", level + 1)
    elseif url.query or url.fragment then
        error("bad argument 'base_url' (a query or fragment can't be a part of it)", level + 1)
    end
end

---@class moonwire.client.Settings
---@field base_url string?
---@field headers moonwire.core.Headers?
---@field timeouts table
---@field max_body integer?
---@field limits table?
---@field compat {obs_fold: boolean?}?
---@field unix_socket string?
---@field pool moonwire.Pool
---@field longest_idle number?
---@field expect boolean|integer|nil
---@field redirect moonwire.client.RedirectPolicy|false
---@field retry moonwire.client.RetryPolicy|boolean
---@field auth moonwire.Auth|false
---@field auth_kept table? what its requests have learned: see client/auth.lua
---@field retry_tokens number? repetitions that its policies may still make
---@field cookies moonwire.CookieJar|false
---@field decompress boolean
---@field compress string|false|nil
---@field cache moonwire.Cache|false
---@field tls moonwire.client.Tls
---@field dialing moonwire.dial.Options?
---@field proxy moonwire.proxy.Rules|"environment"|false|nil nil: as the backend has it
---@field environment moonwire.proxy.Rules|false|nil what its proxies are, once somebody has asked

--- The settings of a client out of its options.
---@param opts moonwire.ClientOptions?
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.client.Settings
function options.client(opts, level)
    if opts == nil then
        opts = {}
    elseif type(opts) ~= "table" then
        errors.argument(level + 1, "opts", "table", opts)
    end
    for name in each(opts) do
        if not CLIENT[name] then
            unknown(name, level + 1, CLIENT)
        end
    end
    check_base_url(opts.base_url, level + 1)
    check_max_body(opts.max_body, level + 1)
    check_unix_socket(opts.unix_socket, level + 1)
    check_expect(opts.expect, level + 1)
    check_compat(opts.compat, level + 1)
    coding.check(opts, level + 1)
    check_limits(opts.limits, level + 1)
    if opts.pool ~= nil then
        errors.check(level + 1, "pool", "table", opts.pool)
    end
    local ok, pool = pcall(pools.new, opts.pool)
    if not ok then
        error(tostring(pool):gsub("^[^:]+:%d+: ", ""), level + 1)
    end
    local settings = {
        base_url = opts.base_url,
        headers = opts.headers ~= nil and headers_of.new(opts.headers, level + 1) or nil,
        timeouts = merge_timeouts(opts.timeout, TIMEOUTS, level + 1),
        max_body = opts.max_body,
        limits = opts.limits,
        compat = opts.compat,
        unix_socket = opts.unix_socket,
        pool = pool,
        longest_idle = opts.pool and opts.pool.idle_timeout,
        expect = opts.expect,
        decompress = opts.decompress ~= false,
        compress = opts.compress,
        tls = tls.new(opts.tls, level + 1),
        dialing = dial_options.check(opts, nil, level + 1),
        proxy = proxies.check(opts, level + 1),
    }
    proxies.check_tls(settings.tls, settings.proxy, level + 1)
    settle_layers(settings, opts, level + 1)
    return settings
end

--- Checks the options of one request but for those that moonwire.request checks itself.
---@param opts table
---@param in_one boolean method and url may be among them
---@param prepared boolean the request is made already: only how it is sent is left to say
---@param level integer whose fault a wrong value is: 1 the caller
function options.request(opts, in_one, prepared, level)
    if type(opts) ~= "table" then
        errors.argument(level + 1, "opts", "table", opts)
    end
    for name in each(opts) do
        if not SENDING[name] and (prepared or not CONTENT[name])
            and not (in_one and REQUEST[name]) then
            if prepared then
                unknown(name, level + 1, SENDING)
            end
            unknown(name, level + 1, CONTENT, SENDING)
        end
    end
    check_max_body(opts.max_body, level + 1)
    check_unix_socket(opts.unix_socket, level + 1)
    check_layers(opts, level + 1)
    if opts.proxy ~= nil then
        proxies.check(opts, level + 1)
    end
    if opts.tls ~= nil then
        errors.check(level + 1, "tls", "table", opts.tls)
    end
    if opts.on_informational ~= nil then
        errors.check(level + 1, "on_informational", "function", opts.on_informational)
    end
    if opts.progress ~= nil then
        errors.check(level + 1, "progress", "function", opts.progress)
    end
    if opts.upload_progress ~= nil then
        errors.check(level + 1, "upload_progress", "function", opts.upload_progress)
    end
end

options.timeouts = merge_timeouts

-- For calls with options of their own beside these: what says how a request is sent, and the error
-- for what nobody knows.
options.SENDING, options.unknown = SENDING, unknown

return options
