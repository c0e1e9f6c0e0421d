-- cookies/shelf.lua - keeps cookies by site, and makes room where there are too many. It doesn't
-- ask who may set them.

local rules = require "moonwire.cookies.rules"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local SITE_MOST = 180 -- cookies of one registered name and of all below it
local ALL_MOST = 3000

---@class moonwire.cookies.Shelf
---@field private sites table<string, moonwire.Cookie[]>
---@field private count integer of all of them
---@field private steps integer a clock that goes on with each use
local methods = {}
local Shelf = { __index = methods, __name = "moonwire.cookies.Shelf" }

local function is_expired(cookie, now)
    return cookie.expires ~= nil and cookie.expires <= now
end

local function drop(self, site, list, i)
    table.remove(list, i)
    self.count = self.count - 1
    if #list == 0 then
        self.sites[site] = nil
    end
end

local function drop_expired(self, site, list, now)
    for i = #list, 1, -1 do
        if is_expired(list[i], now) then
            drop(self, site, list, i)
        end
    end
end

-- The place of the cookie that wasn't used for longest, of those without Secure if wanted.
local function least_used(list, insecure)
    local found
    for i, cookie in ipairs(list) do
        if not (insecure and cookie.secure) and (not found or cookie.used < list[found].used) then
            found = i
        end
    end
    return found
end

local function names_of(self)
    local names = {}
    for name in each(self.sites) do
        names[#names + 1] = name
    end
    return names
end

local function make_room_in_site(self, site, now)
    local list = self.sites[site]
    if #list > SITE_MOST then
        drop_expired(self, site, list, now)
    end
    if #list > SITE_MOST then
        drop(self, site, list, least_used(list, true) or least_used(list, false))
    end
end

local function make_room(self, now)
    local oldest, oldest_site
    for _, site in ipairs(names_of(self)) do
        local list = self.sites[site]
        drop_expired(self, site, list, now)
        local i = least_used(list, false)
        if i and (not oldest or list[i].used < oldest.used) then
            oldest, oldest_site = list[i], site
        end
    end
    if self.count > ALL_MOST then
        local list = self.sites[oldest_site]
        drop(self, oldest_site, list, least_used(list, false))
    end
end

local function find(list, cookie)
    for i, other in ipairs(list) do
        if other.name == cookie.name and other.domain == cookie.domain
            and other.host_only == cookie.host_only and other.path == cookie.path then
            return i
        end
    end
end

--- Notes that a cookie was used.
---@param cookie moonwire.Cookie
function methods:use(cookie)
    self.steps = self.steps + 1
    cookie.used = self.steps
end

--- Those that a host can have to do with, without the expired ones. They are the shelf's own.
---@param host string
---@param now number
---@return moonwire.Cookie[]
function methods:near(host, now)
    local site = rules.site(host)
    local list = self.sites[site]
    if list then
        drop_expired(self, site, list, now)
    end
    return list or {}
end

--- Takes a cookie, in the place of the one with the same name, domain and path. One that has
--- expired only takes that away.
---@param cookie moonwire.Cookie
---@param now number
function methods:put(cookie, now)
    local site = rules.site(cookie.domain)
    local list = self.sites[site] or {}
    local i = find(list, cookie)
    self:use(cookie)
    cookie.made = i and list[i].made or cookie.used
    if is_expired(cookie, now) then
        if i then
            drop(self, site, list, i)
        end
    elseif i then
        list[i] = cookie
    else
        self.sites[site] = list
        list[#list + 1] = cookie
        self.count = self.count + 1
        make_room_in_site(self, site, now)
        if self.count > ALL_MOST then
            make_room(self, now)
        end
    end
end

local function oldest_first(a, b)
    return a.made < b.made
end

--- All of them, the oldest first.
---@param now number
---@return moonwire.Cookie[]
function methods:all(now)
    local found = {}
    for _, site in ipairs(names_of(self)) do
        local list = self.sites[site]
        drop_expired(self, site, list, now)
        for _, cookie in ipairs(list) do
            found[#found + 1] = cookie
        end
    end
    table.sort(found, oldest_first)
    return found
end

--- Drops those of a name that are for a host.
---@param host string
---@param name string
---@return integer count
function methods:remove(host, name)
    local site, count = rules.site(host), 0
    local list = self.sites[site] or {}
    for i = #list, 1, -1 do
        if list[i].name == name and rules.is_for(list[i], host) then
            drop(self, site, list, i)
            count = count + 1
        end
    end
    return count
end

local shelf = {}

---@return moonwire.cookies.Shelf
function shelf.new()
    return setmetatable({ sites = {}, count = 0, steps = 0 }, Shelf)
end

return shelf
