-- dial/options.lua - how to dial, as a script says it: checked, and in one form. It never connects.

local core = require "moonwire.core"
local errors = require "moonwire.error"

local options = {}

--- Checked options.
---@class moonwire.dial.Options
---@field resolve table<string, table[]>? "host:port" -> addresses, instead of asking for them
---@field on_resolve (fun(host: string, addresses: table[]): any, string?)?
---@field local_address string? numeric
---@field local_family string? of it

--- The family of a numeric address.
---@param text any
---@return "ipv4"|"ipv6"|nil family nil: it is none
function options.family(text)
    if type(text) ~= "string" then
        return nil
    end
    local parts, kind
    if text:find "^[%x:.]+$" and text:find(":", 1, true) then
        parts, kind = core.parse_url("http://[" .. text .. "]/"), "ipv6"
    elseif text:find "^%d+%.%d+%.%d+%.%d+$" then
        parts, kind = core.parse_url("http://" .. text .. "/"), "ipv4"
    end
    return parts and parts.host_kind == kind and kind or nil
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
        local family = options.family(text)
        if not family then
            return nil, ("'%s' is no numeric address"):format(tostring(text))
        end
        list[i] = { family = family, address = text }
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
    for place, addresses in pairs(given) do
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
    if from ~= nil and not options.family(from) then
        errors.argument(level + 1, "local_address", "numeric address", from)
    end
    return {
        resolve = resolve ~= nil and check_resolve(resolve, level + 1) or base.resolve,
        on_resolve = on_resolve or base.on_resolve,
        local_address = from or base.local_address,
        local_family = from and options.family(from) or base.local_family,
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
