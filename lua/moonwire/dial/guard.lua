-- dial/guard.lua - asks on_resolve what may be connected to. Whatever it gives but a plain yes or a
-- list of addresses is a refusal; nothing here connects.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local options = require "moonwire.dial.options"
local scope = require "moonwire.scope"
local threads = require "moonwire.backend.thread"

local huge, max = math.huge, math.max

local guard = {}

local function refused(host, reason)
    return nil, errors.new {
        kind = "resolve", phase = "resolve",
        message = ("on_resolve refused %s: %s"):format(host, reason),
    }
end

local function ended(code, host)
    return nil, errors.from_code(code, "resolve", "asking on_resolve about " .. host)
end

-- Calls the hook, which may wait, but not for longer than there is time. Gives what it said unless
-- that is a refusal, or nil and an error.
local function ask(hook, backend, host, addresses, deadline)
    local ok, verdict, reason
    if deadline == huge then
        ok, verdict, reason = pcall(hook, host, addresses)
    else
        ok, verdict, reason = scope.timeout(max(deadline - backend:now(), 0), pcall, hook, host,
            addresses)
    end
    if ok == nil then
        return ended(core.ETIMEOUT, host)
    elseif ok and verdict then
        return verdict
    elseif threads.of(backend).cancelled then
        return ended(core.ECANCELLED, host)
    elseif not ok then
        return refused(host, "it raised " .. tostring(verdict))
    end
    return refused(host, reason ~= nil and tostring(reason) or "it gave no reason")
end

--- Asks which addresses of a host may be used. The hook gets a copy, and gives true, a list, or nil
--- and why not.
---@param hook fun(host: string, addresses: table[]): any, string?
---@param backend moonwire.Backend
---@param host string
---@param addresses {family: string, address: string}[]
---@param deadline number
---@return {family: string, address: string}[]? allowed
---@return moonwire.Error? err kind "resolve", "timeout" or "cancelled"
function guard.addresses(hook, backend, host, addresses, deadline)
    local verdict, err = ask(hook, backend, host, (options.addresses(addresses)), deadline)
    if not verdict then
        return nil, err
    elseif verdict == true then
        return addresses
    end
    local list, problem = options.addresses(verdict)
    if not list then
        return refused(host, "it returned a wrong value: " .. problem)
    elseif #list == 0 then
        return refused(host, "it left no address")
    end
    return list
end

--- Asks whether a unix socket may be used: the same, and a list has the path or not.
---@param hook fun(path: string, addresses: table[]): any, string?
---@param backend moonwire.Backend
---@param path string
---@param deadline number
---@return boolean? ok
---@return moonwire.Error? err kind "resolve", "timeout" or "cancelled"
function guard.path(hook, backend, path, deadline)
    local verdict, err = ask(hook, backend, path, { { family = "unix", address = path } }, deadline)
    if not verdict then
        return nil, err
    elseif verdict == true then
        return true
    elseif type(verdict) ~= "table" then
        return refused(path, "it returned a wrong value: a list expected, got " .. type(verdict))
    end
    for _, one in ipairs(verdict) do
        if one == path or type(one) == "table" and one.address == path then
            return true
        end
    end
    return refused(path, "it left no address")
end

return guard
