-- http.lua - the public face: http.get and its siblings over one client that is kept per Lua state,
-- and http.client for another one.

local backends = require "moonwire.backend"
local clients = require "moonwire.client"
local events = require "moonwire.client.events"

local http = {}

--- The client behind http.get and the others. It is made at its first use, and anew once somebody
--- has closed it.
---@return moonwire.Client
function http.default()
    -- kept by the backend: its connections live and end there
    local backend = backends.current()
    local client = backend.http_client
    if not client or client:is_closed() then
        client = clients.new()
        backend.http_client = client
    end
    return client
end

--- Makes a client with defaults and a pool of its own.
---@param opts moonwire.ClientOptions?
---@return moonwire.Client
function http.client(opts)
    return clients.new(opts)
end

--- Sends a GET request and returns as soon as the head of the response is there.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response
---@return moonwire.Error? err
function http.get(url, opts)
    return http.default():get(url, opts)
end

--- The same with HEAD.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function http.head(url, opts)
    return http.default():head(url, opts)
end

--- The same with POST.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function http.post(url, opts)
    return http.default():post(url, opts)
end

--- The same with PUT.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function http.put(url, opts)
    return http.default():put(url, opts)
end

--- The same with PATCH.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function http.patch(url, opts)
    return http.default():patch(url, opts)
end

--- The same with DELETE.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function http.delete(url, opts)
    return http.default():delete(url, opts)
end

--- The same with OPTIONS.
---@param url string
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function http.options(url, opts)
    return http.default():options(url, opts)
end

--- http.request("GET", url, opts), http.request{method =, url =, ...}, or, with a request made by
--- moonwire.request, http.request(request, opts).
---@param method string|table|moonwire.Request
---@param url string|moonwire.RequestOptions|nil
---@param opts moonwire.RequestOptions?
---@return moonwire.Response? response, moonwire.Error? err
function http.request(method, url, opts)
    return http.default():request(method, url, opts)
end

--- Has a function called for each event of all clients of this Lua state: see client:on().
---@param event "request"|"response"|"data"|"finish"|"error"|"redirect"|"retry"|"connect"|"close"
---@param listener fun(event: table)
---@return fun() off takes the listener off
function http.on(event, listener)
    local off = events.on_all(event, listener, 2)
    return off
end

--- Downloads a file: see client:download.
---@param url string
---@param path string? of the file, or of a folder
---@param opts moonwire.DownloadOptions?
---@return moonwire.Download? download, moonwire.Error? err
function http.download(url, path, opts)
    return http.default():download(url, path, opts)
end

--- Closes the connections of the default client that nobody uses.
function http.close_idle()
    http.default():close_idle()
end

return http
