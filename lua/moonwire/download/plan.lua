-- download/plan.lua - checks what a script gives to a download, and sorts it. It opens nothing.

local core = require "moonwire.core"
local errors = require "moonwire.error"
local options = require "moonwire.client.options"
local repeating = require "moonwire.client.retry"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local OWN = { resume = true, sha256 = true, progress = true, overwrite = true, retry = true }
local CONTENT = { headers = true, query = true }
local PASSED_ON = {} -- what says how a request is sent, but for its body
for name in each(options.SENDING) do
    PASSED_ON[name] = name ~= "upload_progress" or nil
end
local OWN_HEADERS = { "range", "if-range", "accept-encoding" }
local POLICY = { attempts = 5, statuses = { 429, 500, 502, 503, 504 } }
local ONCE = { attempts = 1 } -- for each request: it is the download that repeats

---@class moonwire.DownloadOptions: moonwire.RequestOptions
---@field resume boolean? go on with what an earlier run has left, and leave what another one can go
---  on with
---@field sha256 string? of the whole file, in hexadecimal: what has another one isn't kept
---@field progress boolean|moonwire.progress.Bar|fun(info: moonwire.ProgressInfo)|nil  true: a bar
---  on the terminal, or lines now and then where stderr is none
---@field overwrite boolean? replace a file of that name: true for a path that names a file, false
---  where the server has a say in the name
---@field retry boolean|moonwire.RetryOptions|nil {attempts = 5} if not given; they are counted anew
---  after each 64 KiB

--- What was asked for, checked.
---@class moonwire.download.Plan
---@field resume boolean
---@field sha256 string?
---@field progress any
---@field overwrites boolean
---@field policy moonwire.client.RetryPolicy
---@field content table options that make the request
---@field sending table options that say how it is sent
---@field target string? nil: the name comes with the response
---@field folder string? with a slash at its end

local plans = {}

local function check_progress(value, level)
    if value ~= nil and type(value) ~= "boolean" then
        errors.check(level + 1, "progress", "function", value)
    end
end

local function check_sha256(value, level)
    if value == nil then
        return nil
    end
    errors.check(level + 1, "sha256", "string", value)
    if not value:find("^" .. ("%x"):rep(64) .. "$") then
        error("bad argument 'sha256' (64 hexadecimal digits expected)", level + 1)
    end
    return value:lower()
end

local function check_headers(given, level)
    if type(given) ~= "table" and type(given) ~= "userdata" then
        return -- the request says what is wrong with it
    end
    for _, name in ipairs(OWN_HEADERS) do
        for key, value in each(type(given) == "table" and given or {}) do
            key = type(value) == "table" and type(key) == "number" and value[1] or key
            if type(key) == "string" and key:lower() == name then
                error(("bad header %q: a download sets it itself"):format(key), level + 1)
            end
        end
        if type(given) == "userdata" and given:has(name) then
            error(("bad header %q: a download sets it itself"):format(name), level + 1)
        end
    end
end

-- What is repeated: the client's policy where it has one. A policy says what is unlike ours.
local function check_retry(given, own, level)
    if given == nil or given == true then
        if type(own) == "table" then
            return own
        end
        given = own
    end
    local policy = {}
    for name, value in each(POLICY) do
        policy[name] = value
    end
    if given == false then
        policy.attempts = 1
    elseif type(given) == "table" then
        for name, value in each(given) do
            policy[name] = value
        end
    elseif given ~= true then
        policy = given
    end
    local checked = repeating.request_options.retry(policy, level + 1)
    return checked
end

-- Sorts the options: those that make the request, and those that say how it is sent.
local function sort_options(opts, level)
    local content, sending = {}, {}
    for name, value in each(opts) do
        if CONTENT[name] then
            content[name] = value
        elseif not OWN[name] and PASSED_ON[name] then
            sending[name] = value
        elseif not OWN[name] then
            options.unknown(name, level + 1, OWN, CONTENT, PASSED_ON)
        end
    end
    for _, name in ipairs { "resume", "overwrite" } do
        if opts[name] ~= nil then
            errors.check(level + 1, name, "boolean", opts[name])
        end
    end
    options.request(sending, false, true, level + 1)
    return content, sending
end

-- Where it goes: a file, or a folder that it gets a name in.
local function check_path(plan, path, level)
    if path == nil then
        plan.folder = "./"
        return
    end
    errors.check(level + 1, "path", "string", path)
    if path == "" or path:find("%z") then
        error("bad argument 'path' (the name of a file or folder expected)", level + 1)
    elseif path:sub(-1) == "/" or core.path_kind(path) == "folder" then
        plan.folder = path:sub(-1) == "/" and path or path .. "/"
    else
        plan.target = path
    end
end

--- Checks what a script gives.
---@param path string? of a file; of a folder, or nil for the one we are in: the name is found out
---@param opts moonwire.DownloadOptions?
---@param settings moonwire.client.Settings
---@param level integer whose fault a wrong value is: 1 the caller
---@return moonwire.download.Plan
function plans.check(path, opts, settings, level)
    if opts == nil then
        opts = {}
    elseif type(opts) ~= "table" then
        errors.argument(level + 1, "opts", "table", opts)
    end
    local content, sending = sort_options(opts, level + 1)
    check_headers(opts.headers, level + 1)
    check_progress(opts.progress, level + 1)
    content.decompress = false -- the bytes as they are: parts of them are asked for
    sending.cache = false -- it is kept where it is asked to be, and needn't go through Lua for that
    sending.retry = opts.retry ~= false and ONCE or false
    local plan = {
        resume = opts.resume or false, sha256 = check_sha256(opts.sha256, level + 1),
        progress = opts.progress or false,
        policy = check_retry(opts.retry, settings.retry, level + 1),
        content = content, sending = sending,
    }
    check_path(plan, path, level + 1)
    plan.overwrites = opts.overwrite
    if plan.overwrites == nil then
        plan.overwrites = plan.target ~= nil
    end
    return plan
end

return plans
