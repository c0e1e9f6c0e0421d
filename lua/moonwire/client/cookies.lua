-- client/cookies.lua - the layer that adds cookies to each request of a call, and hands those of
-- each response to the client's jar. It doesn't know what a cookie is for.

local errors = require "moonwire.error"
local jars = require "moonwire.cookies"
local requests = require "moonwire.request"
local urls = require "moonwire.url"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local function check_jar(value, level)
    if value == nil or value == false then
        return false
    elseif value == true then
        return jars.jar()
    elseif not jars.is(value) then
        errors.argument(level + 1, "cookies", "boolean or jar of moonwire.cookies", value)
    end
    return value
end

-- The cookies of one request, as they stand in its field, in the names' order.
local function check_values(value, level)
    if type(value) ~= "table" or jars.is(value) then
        errors.argument(level + 1, "cookies", "table of names and values", value)
    end
    local list = {}
    for name, text in each(value) do
        if type(name) ~= "string" or name == "" or name:find "[%z\1-\32\127=;,]" then
            error(("bad argument 'cookies' (%q is no name of a cookie)"):format(tostring(name)),
                level + 1)
        end
        local shown = ("cookies[%q]"):format(name)
        if type(text) ~= "string" and type(text) ~= "number" then
            errors.argument(level + 1, shown, "string or number", text)
        elseif tostring(text):find "[%z\1-\31\127;]" then
            error(("bad argument '%s' (a ';' or a control character is in it)"):format(shown),
                level + 1)
        end
        list[#list + 1] = name .. "=" .. text
    end
    table.sort(list)
    return list
end

local layer = {
    client_options = { cookies = check_jar }, request_options = { cookies = check_values },
}

--- Whether a client has a jar, or a request cookies of its own.
---@param opts table
---@return boolean
function layer.wants(opts)
    return opts.cookies ~= nil and opts.cookies ~= false
end

-- The names in what a script has written itself: the jar's cookies of these names stay at home.
local function note_names(names, field)
    for pair in field:gmatch "[^;]+" do
        names[pair:match "^%s*([^=]*)"] = true
    end
end

-- The Cookie field: the header of the request, the request's own cookies, those of the jar.
local function field_for(job, headers, place)
    local parts, names = headers:get_all "cookie", {}
    if job.opts.cookies and not job.left_origin then
        for _, pair in ipairs(check_values(job.opts.cookies, 1)) do
            parts[#parts + 1] = pair
        end
    end
    for _, part in ipairs(parts) do
        note_names(names, part)
    end
    local jar = job.settings.cookies
    parts[#parts + 1] = jar and jar:header(place, names) or nil
    return #parts > 0 and table.concat(parts, "; ") or nil
end

--- Sends a request with its cookies; what the response sets is in the jar by then.
---@param job moonwire.client.Job
---@param request moonwire.Request
---@param go moonwire.client.Go
---@return moonwire.Response? response, moonwire.Error? err
function layer.send(job, request, go)
    local data, jar = requests.data(request), job.settings.cookies
    local place = assert(urls.parse(data.url))
    local field = field_for(job, data.headers, place)
    if field and field ~= data.headers:get "cookie" then
        request = request:with { headers = { Cookie = field } }
    end
    local response, err = go(job, request)
    if response and jar then
        jar:receive(place, response.head)
    end
    return response, err
end

return layer
