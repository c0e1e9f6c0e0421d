-- testing/tape.lua - the file of a cassette: exchanges as JSON that a person can read and edit, and
-- what of them is left out as secret. It sends nothing.

local base64 = require "moonwire.base64"
local core = require "moonwire.core"
local json = require "moonwire.json"
local secrets = require "moonwire.secrets"

local REDACTED = secrets.REDACTED
local VERSION = 1

local tape = {}

---@class moonwire.testing.Exchange
---@field request {method: string, url: string, headers: string[][], body: string}
---@field response {status: integer, reason: string, http_version: string, headers: string[][],
---  trailers: string[][]?, body: string}

-- A cookie keeps its name and attributes: a script may look for them.
local function redact(name, value, more)
    if name:lower() == "set-cookie" then
        return (value:gsub("^([^=;]*=)[^;]*", "%1" .. "redacted"))
    elseif secrets.is_header(name) or more[name:lower()] then
        return REDACTED
    end
    return value
end

local function header_list(headers, more)
    local list = {}
    for name, value in headers:each() do
        list[#list + 1] = { name, redact(name, value, more) }
    end
    return list
end

--- Headers as one text, for a comparison.
---@param list string[][]
---@return string
function tape.header_text(list)
    local lines = {}
    for i, pair in ipairs(list) do
        lines[i] = pair[1]:lower() .. ": " .. pair[2]
    end
    table.sort(lines)
    return table.concat(lines, "\n")
end

--- What is recorded of a request.
---@param call moonwire.testing.Call
---@param more table<string, boolean> further names of secrets, in lower case
---@return table
function tape.request(call, more)
    return {
        method = call.method, url = secrets.url(call.url, more),
        headers = header_list(call.headers, more), body = call.body,
    }
end

--- What is recorded of an exchange.
---@param call moonwire.testing.Call
---@param response moonwire.Response
---@param body string as it came
---@param more table<string, boolean>
---@return moonwire.testing.Exchange
function tape.exchange(call, response, body, more)
    local trailers = response.trailers
    local list = trailers and header_list(trailers, more) or {}
    return {
        request = tape.request(call, more),
        response = {
            status = response.status, reason = response.reason,
            http_version = response.http_version, headers = header_list(response.head, more),
            trailers = #list > 0 and list or nil, body = body,
        },
    }
end

-- JSON --------------------------------------------------------------------------------------------

local function quoted(text)
    return (assert(json.encode(text)):gsub("\\/", "/"))
end

local function body_line(text)
    if json.is_text(text) then
        return '"body": ' .. quoted(text)
    end
    return '"body_base64": ' .. quoted(base64.encode(text))
end

local function header_lines(list)
    local lines = {}
    for i, pair in ipairs(list) do
        lines[i] = ("        [%s, %s]"):format(quoted(pair[1]), quoted(pair[2]))
    end
    return #lines > 0 and "[\n" .. table.concat(lines, ",\n") .. "\n      ]" or "[]"
end

local function encode(exchange)
    local request, response = exchange.request, exchange.response
    local trailers = response.trailers
        and ('\n      "trailers": %s,'):format(header_lines(response.trailers)) or ""
    return ([[
  {
    "request": {
      "method": %s,
      "url": %s,
      "headers": %s,
      %s
    },
    "response": {
      "status": %d,
      "reason": %s,
      "http_version": %s,
      "headers": %s,%s
      %s
    }
  }]]):format(quoted(request.method), quoted(request.url), header_lines(request.headers),
        body_line(request.body), response.status, quoted(response.reason),
        quoted(response.http_version), header_lines(response.headers), trailers,
        body_line(response.body))
end

--- Writes exchanges. Raises when that can't be done; then the old file is as it was.
---@param path string
---@param exchanges moonwire.testing.Exchange[]
function tape.write(path, exchanges)
    local list = {}
    for i, exchange in ipairs(exchanges) do
        list[i] = encode(exchange)
    end
    local text = ('{"moonwire_cassette": %d, "exchanges": [\n%s\n]}\n'):format(VERSION,
        table.concat(list, ",\n"))
    local done, code = core.replace_file(path, text)
    if not done then
        error(("the cassette %s can't be written: %s"):format(path, core.error_text(code)), 0)
    end
end

-- Reading -----------------------------------------------------------------------------------------

local function check_pairs(list)
    if type(list) ~= "table" then
        return false
    end
    for _, pair in ipairs(list) do
        if type(pair) ~= "table" or type(pair[1]) ~= "string" or type(pair[2]) ~= "string" then
            return false
        end
    end
    return true
end

-- The body of a message, or nil.
local function decode_body(message)
    if type(message.body_base64) == "string" then
        return base64.decode(message.body_base64)
    end
    return type(message.body) == "string" and message.body or nil
end

-- What is wrong with an exchange of a file: nil when nothing is, and then its bodies are bytes.
local function check_exchange(exchange)
    local request, response = exchange.request, exchange.response
    if type(request) ~= "table" or type(response) ~= "table" then
        return "has no request or no response"
    elseif type(request.method) ~= "string" or type(request.url) ~= "string"
        or not check_pairs(request.headers) then
        return "has a request without method, url or headers"
    elseif type(response.status) ~= "number" or not check_pairs(response.headers)
        or response.trailers ~= nil and not check_pairs(response.trailers) then
        return "has a response without status or headers"
    end
    request.body, response.body = decode_body(request), decode_body(response)
    if not request.body or not response.body then
        return "has no body, or one that isn't base64"
    end
    response.reason = response.reason or ""
    response.http_version = response.http_version or "1.1"
end

--- Reads the exchanges of a file.
---@param path string
---@return moonwire.testing.Exchange[]? exchanges
---@return string? problem a sentence
function tape.read(path)
    local file, problem = io.open(path, "rb")
    if not file then
        return nil, ("the cassette can't be read: %s"):format(problem)
    end
    local text = file:read "*a"
    file:close()
    local value, err = json.decode(text or "")
    if err then
        return nil, ("the cassette %s is broken: %s"):format(path, err.message)
    elseif type(value) ~= "table" or value.moonwire_cassette ~= VERSION
        or type(value.exchanges) ~= "table" then
        return nil, ("%s is no cassette of this version"):format(path)
    end
    for i, exchange in ipairs(value.exchanges) do
        problem = type(exchange) ~= "table" and "is no table" or check_exchange(exchange)
        if problem then
            return nil, ("the cassette %s is broken: exchange %d %s"):format(path, i, problem)
        end
    end
    return value.exchanges
end

return tape
