-- verb/fetch.lua - what --resume and a folder behind -o ask for: a file that is gone on with where
-- it broke off, or whose name is found out. moonwire.download does it.

local core = require "moonwire.core"

local fetch = {}

local STDERR = 2

--- Whether it is a download that is asked for.
---@param options moonwire.verb.Options
---@return boolean
function fetch.is_wanted(options)
    local path = options.output
    return options.resume or path ~= nil and path ~= "-" and options.method == "GET"
        and (path:sub(-1) == "/" or core.path_kind(path) == "folder")
end

--- Downloads it.
---@param client moonwire.Client
---@param options moonwire.verb.Options
---@param host table from src/main.c
---@return moonwire.Download? download, moonwire.Error? err
function fetch.run(client, options, host)
    return client:download(options.url, options.output, {
        headers = options.request.headers, query = options.request.query,
        resume = options.resume or false, progress = host.is_terminal(STDERR),
    })
end

--- What to say on stderr of one that has ended.
---@param options moonwire.verb.Options
---@param download moonwire.Download?
---@param err moonwire.Error?
---@return string?
function fetch.notice(options, download, err)
    if not download then
        return err.path and ("%s; %s is kept: the same command goes on with it"):format(
            tostring(err), err.path) or tostring(err)
    elseif download.path ~= options.output then
        return "saved as " .. download.path
    end
end

return fetch
