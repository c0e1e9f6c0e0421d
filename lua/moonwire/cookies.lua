-- cookies.lua - a cookie jar: which cookies a response may set, and which ones a request is sent
-- with (RFC 6265bis). It sends nothing, and opens nothing but the file it is told to.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local field = require "moonwire.cookies.field"
local files = require "moonwire.cookies.file"
local rules = require "moonwire.cookies.rules"
local shelf = require "moonwire.cookies.shelf"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local cookies = {}

-- What is taken and sent at most; more of it has been an attack or a fault.
local TAKEN_MOST = 50 -- of one response
local SENT_MOST = 150 -- with one request
local SENT_BYTES = 8190 -- of the Cookie field's value

--- A cookie, as a jar knows it.
---@class moonwire.Cookie
---@field name string
---@field value string as it came: nothing is decoded
---@field domain string the host that has set it, or that host and all below it
---@field host_only boolean it is sent to that very host only
---@field path string and what lies below it
---@field expires number? seconds since 1970; nil: it lasts as long as the jar
---@field secure boolean it is sent with https only
---@field http_only boolean
---@field same_site "Strict"|"Lax"|"None"|nil is told, and decides nothing here
---@field private made integer its place in the order of the jar's cookies
---@field private used integer when it was last sent or set

---@class moonwire.CookieJar
---@field private shelf moonwire.cookies.Shelf
---@field private now fun(): number
local methods = {}
local Jar = { __index = methods, __name = "moonwire.CookieJar" }

local function place_of(url, level)
    if type(url) == "table" and type(url.peer) == "string" then
        return url
    end
    errors.check(level + 1, "url", "string", url)
    local place, problem = urls.parse(url)
    if not place then
        error("bad argument 'url' (" .. problem .. ")", level + 1)
    end
    return place
end

-- Setting -----------------------------------------------------------------------------------------

-- Whether a cookie of http would stand in the way of one that only https may set.
local function would_hide(list, cookie)
    for _, other in ipairs(list) do
        if other.secure and other.name == cookie.name
            and (other.domain == cookie.domain or rules.is_below(other.domain, cookie.domain)
                or rules.is_below(cookie.domain, other.domain))
            and rules.path_matches(cookie.path, other.path) then
            return true
        end
    end
    return false
end

-- Whether a response from that place may set the cookie: nil, or why not.
local function forbidden(self, place, cookie, said, now)
    local is_secure = place.scheme == "https"
    if cookie.secure and not is_secure then
        return "it is Secure, and came without TLS"
    elseif rules.breaks_promise(cookie, said.domain, said.path) then
        return "it isn't what its name promises"
    elseif not is_secure and would_hide(self.shelf:near(place.peer, now), cookie) then
        return "a Secure cookie has that name, and this one came without TLS"
    end
end

local function keep(self, place, text)
    local now = self.now()
    local said, problem = field.parse(text, now)
    if not said then
        return nil, problem
    end
    local domain, host_only = rules.reach(place.peer, said.domain)
    if not domain then
        return nil, host_only
    end
    local cookie = {
        name = said.name, value = said.value, domain = domain, host_only = host_only,
        path = said.path or place.path:match "^(/.*)/[^/]*$" or "/", expires = said.expires,
        secure = said.secure, http_only = said.http_only, same_site = said.same_site,
    }
    problem = forbidden(self, place, cookie, said, now)
    if problem then
        return nil, problem
    end
    self.shelf:put(cookie, now)
    return true
end

--- Takes what one Set-Cookie field of a response says.
---@param url string|moonwire.Url where the response came from
---@param value string the field's value
---@return true? kept also when an old cookie was taken away by it
---@return string? problem why it was ignored
function methods:set(url, value)
    local place = place_of(url, 2)
    errors.check(2, "value", "string", value)
    return keep(self, place, value)
end

--- Takes the Set-Cookie fields of a response, the first 50 of them.
---@param url string|moonwire.Url where the response came from
---@param headers moonwire.core.Headers
---@return integer count how many were not ignored
function methods:receive(url, headers)
    local place, count = place_of(url, 2), 0
    local fields = headers:get_all "set-cookie"
    for i = 1, math.min(#fields, TAKEN_MOST) do
        count = keep(self, place, fields[i]) and count + 1 or count
    end
    return count
end

-- Sending -----------------------------------------------------------------------------------------

local function longest_path_first(a, b)
    if #a.path ~= #b.path then
        return #a.path > #b.path
    end
    return a.made < b.made
end

-- The cookies that a request goes out with, in their order.
local function chosen(self, place)
    local found = {}
    for _, cookie in ipairs(self.shelf:near(place.peer, self.now())) do
        if rules.is_for(cookie, place.peer) and rules.path_matches(place.path, cookie.path)
            and (not cookie.secure or place.scheme == "https") then
            found[#found + 1] = cookie
        end
    end
    table.sort(found, longest_path_first)
    return found
end

--- The value of the cookie of that name that a request would be sent with.
---@param url string|moonwire.Url
---@param name string
---@return string? value
function methods:get(url, name)
    local place = place_of(url, 2)
    errors.check(2, "name", "string", name)
    for _, cookie in ipairs(chosen(self, place)) do
        if cookie.name == name then
            return cookie.value
        end
    end
end

--- The Cookie field's value for a request: "a=1; b=2", those of longer paths first, then the older
--- ones; 150 of them and 8190 bytes at most.
---@param url string|moonwire.Url
---@param except table<string, any>? names that are left out
---@return string? value nil: there are none
function methods:header(url, except)
    local place = place_of(url, 2)
    local out, size = {}, 0
    for _, cookie in ipairs(chosen(self, place)) do
        if not (except and except[cookie.name]) then
            local text = cookie.name .. "=" .. cookie.value
            size = size + #text + (#out > 0 and 2 or 0)
            if size > SENT_BYTES or #out == SENT_MOST then
                break
            end
            out[#out + 1] = text
            self.shelf:use(cookie)
        end
    end
    return #out > 0 and table.concat(out, "; ") or nil
end

-- What is in it -----------------------------------------------------------------------------------

--- Copies of all cookies, the oldest first.
---@return moonwire.Cookie[]
function methods:all()
    local list = self.shelf:all(self.now())
    for i, cookie in ipairs(list) do
        list[i] = {
            name = cookie.name, value = cookie.value, domain = cookie.domain,
            host_only = cookie.host_only, path = cookie.path, expires = cookie.expires,
            secure = cookie.secure, http_only = cookie.http_only, same_site = cookie.same_site,
        }
    end
    return list
end

--- Drops the cookies of that name, whatever their path, that are sent to a URL's host.
---@param url string|moonwire.Url
---@param name string
---@return integer count
function methods:remove(url, name)
    local place = place_of(url, 2)
    errors.check(2, "name", "string", name)
    return self.shelf:remove(place.peer, name)
end

--- Drops all cookies.
function methods:clear()
    self.shelf = shelf.new()
end

-- Files -------------------------------------------------------------------------------------------

local function check_path(path, level)
    errors.check(level + 1, "path", "string", path)
    if path == "" or path:find("\0", 1, true) then
        error("bad argument 'path' (it is empty, or has a byte 0)", level + 1)
    end
end

--- Writes all cookies to a file in Netscape's format, also those that have no time to expire. Only
--- its owner may read it (mode 0600), and nobody finds half of it.
---@param path string
---@return true? done
---@return moonwire.Error? err
function methods:save(path)
    check_path(path, 2)
    local done, code = core.replace_file(path, files.write(self:all()))
    if not done then
        return nil, errors.from_code(code, nil, "the cookies can't be saved as " .. path)
    end
    return true
end

-- Takes one cookie of a file; returns what is wrong with it, if something is.
local function keep_loaded(self, cookie, now)
    local domain = rules.canonical(cookie.domain)
    if not domain then
        return "its domain is no host"
    elseif not cookie.host_only and not rules.may_be_wide(domain) then
        return "its domain is a public suffix or an address, so nothing is below it"
    end
    cookie.domain = domain
    if rules.breaks_promise(cookie, nil, cookie.path) then
        return "it isn't what its name promises"
    end
    self.shelf:put(cookie, now)
end

local function read_all(path)
    local file, problem, errno = io.open(path, "rb")
    local text
    if file then
        text, problem, errno = file:read "*a"
        file:close()
    end
    if not text then
        return nil, errors.new {
            kind = "system", errno = errno, message = "the cookies can't be read: " .. problem,
        }
    end
    return text
end

--- Reads a file in Netscape's format, as curl and wget write it, to what is in the jar already. A
--- line with something wrong in it is left out and told.
---@param path string
---@return integer? count of the cookies that were read and haven't expired; nil: it can't be read
---@return string[]|moonwire.Error problems "cookies.txt:3: it has no name"
function methods:load(path)
    check_path(path, 2)
    local text, err = read_all(path)
    if not text then
        return nil, err
    end
    local now, count, number, problems = self.now(), 0, 0, {}
    for line in (text .. "\n"):gmatch "(.-)\r?\n" do
        number = number + 1
        local cookie, problem = files.read_line(line)
        if cookie and not (cookie.expires and cookie.expires <= now) then
            problem = keep_loaded(self, cookie, now)
            count = problem and count or count + 1
        end
        if problem then
            problems[#problems + 1] = ("%s:%d: %s"):format(path, number, problem)
        end
    end
    return count, problems
end

--- Whether a value is a jar.
---@param value any
---@return boolean
function cookies.is(value)
    return getmetatable(value) == Jar
end

---@class moonwire.CookieJarOptions
---@field now (fun(): number)? seconds since 1970, instead of the system's clock

--- Makes an empty jar.
---@param opts moonwire.CookieJarOptions?
---@return moonwire.CookieJar
function cookies.jar(opts)
    opts = opts == nil and {} or errors.check(2, "opts", "table", opts)
    for name in each(opts) do
        if name ~= "now" then
            error(("unknown option '%s' (known: now)"):format(tostring(name)), 2)
        end
    end
    if opts.now ~= nil then
        errors.check(2, "now", "function", opts.now)
    end
    return setmetatable({ shelf = shelf.new(), now = opts.now or os.time }, Jar)
end

return cookies
