-- dial/options.lua - how to dial, as a script says it: checked, and in one form. It never connects.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local options = {}

--- Checked options.
---@class moonwire.dial.Options
---@field resolve table<string, table[]>? "host:port" -> addresses, instead of asking for them
---@field on_resolve (fun(host: string, addresses: table[]): any, string?)?
---@field local_address string? numeric
---@field local_family string? of it

local PATH_MOST = 107 -- bytes; what sockaddr_un has room for

--- A numeric address in the one way of writing it. An IPv4-mapped IPv6 address is the IPv4 address
--- that it stands for: whoever judges addresses needn't know of the other form.
---@param text any
---@return {family: string, address: string}? address nil: it is none
function options.numeric(text)
    local address, family
    if type(text) == "string" then
        address, family = core.parse_address(text)
    end
    return address and { family = family, address = address }
end

--- The family of a numeric address.
---@param text any
---@return "ipv4"|"ipv6"|nil family nil: it is none
function options.family(text)
    local address = options.numeric(text)
    return address and address.family
end

--- Checks the path of a unix socket. A name in Linux's abstract namespace (a NUL byte first) is
--- none.
---@param name string of the argument
---@param path any
---@param level integer whose fault a wrong value is: 1 the caller
function options.check_path(name, path, level)
    if type(path) ~= "string" then
        errors.argument(level + 1, name, "string", path)
    elseif path == "" or #path > PATH_MOST or path:find("\0", 1, true) then
        error(("bad argument '%s' (the path of a socket has 1 to %d bytes and no NUL)"):format(name,
            PATH_MOST), level + 1)
    end
end

--- A list of addresses out of numeric texts, or of tables with such a text in them.
---@param given any
---@return {family: string, address: string}[]? list a new one
---@return string? problem what is wrong with it
function options.addresses(given)
    if type(given) ~= "table" then
        return nil, "a list of numeric addresses expected, got " .. type(given)
    end
    local list = {}
    for i, one in ipairs(given) do
        local text = type(one) == "table" and one.address or one
        local address = options.numeric(text)
        if not address then
            return nil, ("'%s' is no numeric address"):format(tostring(text))
        end
        list[i] = address
    end
    return list
end

--- "host:port" in the one way of writing it.
---@param host string
---@param port integer
---@return string
function options.place(host, port)
    host = host:lower():gsub("%.$", "")
    return host:find(":", 1, true) and ("[%s]:%d"):format(host, port) or host .. ":" .. port
end

local function check_resolve(given, level)
    errors.check(level + 1, "resolve", "table", given)
    local checked = {}
    for place, addresses in each(given) do
        local host, port = tostring(place):match "^(.+):(%d+)$"
        if not host then
            errors.argument(level + 1, "resolve", "table with keys 'host:port'", place)
        end
        local list, problem = options.addresses(addresses)
        if not list or #list == 0 then
            error(("bad argument 'resolve' (%s: %s)"):format(place, problem or "no address"),
                level + 1)
        end
        checked[options.place(host:gsub("^%[(.*)%]$", "%1"), tonumber(port))] = list
    end
    return checked
end

--- Checks the options `resolve`, `on_resolve` and `local_address`.
---@param given table
---@param base moonwire.dial.Options? what they are laid over
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.dial.Options? options nil: there are none
function options.check(given, base, level)
    local resolve, on_resolve, from = given.resolve, given.on_resolve, given.local_address
    if resolve == nil and on_resolve == nil and from == nil then
        return base
    end
    base = base or {}
    if on_resolve ~= nil then
        errors.check(level + 1, "on_resolve", "function", on_resolve)
    end
    local source = options.numeric(from)
    if from ~= nil and not source then
        errors.argument(level + 1, "local_address", "numeric address", from)
    end
    return {
        resolve = resolve ~= nil and check_resolve(resolve, level + 1) or base.resolve,
        on_resolve = on_resolve or base.on_resolve,
        local_address = source and source.address or base.local_address,
        local_family = source and source.family or base.local_family,
    }
end

local numbers, last_number = setmetatable({}, { __mode = "k" }), 0

-- A number for each function, never used twice.
local function number_of(fn)
    if not numbers[fn] then
        last_number = last_number + 1
        numbers[fn] = last_number
    end
    return numbers[fn]
end

local function checked_by(opts)
    return "checked by " .. number_of(opts.on_resolve)
end

--- What tells connections to the same unix socket apart.
---@param opts moonwire.dial.Options?
---@return string key "" when no option matters
function options.path_key(opts)
    return opts and opts.on_resolve and "\0" .. checked_by(opts) or ""
end

--- What tells connections to the same place apart that were dialed with different options.
---@param opts moonwire.dial.Options?
---@param place string "host:port"
---@return string key "" when no option matters
function options.key(opts, place)
    local parts = {}
    local list = opts and opts.resolve and opts.resolve[place]
    for _, address in ipairs(list or {}) do
        parts[#parts + 1] = address.address
    end
    if opts and opts.local_address then
        parts[#parts + 1] = "from " .. opts.local_address
    end
    if opts and opts.on_resolve then
        parts[#parts + 1] = checked_by(opts)
    end
    -- with a byte that no host and no path has
    return #parts > 0 and "\0" .. table.concat(parts, "\0") or ""
end

return options
