-- testing/cassette.lua - records what a script and real servers say to each other, and replays it
-- where there is no network. Secrets are left out of the recording.

local errors = require "moonwire.error"
local headers_of = require "moonwire.headers"
local made = require "moonwire.response.made"
local routes = require "moonwire.testing.routes"
local tape = require "moonwire.testing.tape"
local tap = require "moonwire.response.tap"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local MATCH = { method = true, url = true, body = true, headers = true }

---@class moonwire.testing.CassetteOptions
---@field mode "auto"|"record"|"replay"|nil auto: replay when the file is there, else record; where
---  CI is set in the environment, replay
---@field match string[]? what of a request has to be that of the recorded one: { "method", "url" };
---  also possible: "body", "headers"
---@field secrets string[]? further names whose values are left out, of headers and of queries
---@field filter (fun(exchange: moonwire.testing.Exchange): moonwire.testing.Exchange?)? changes
---  what is recorded; nil: nothing is

---@class moonwire.testing.Cassette: moonwire.client.Transport
---@field path string
---@field mode "record"|"replay"
---@field private exchanges moonwire.testing.Exchange[]
---@field private used table<moonwire.testing.Exchange, boolean>
---@field private match table<string, boolean>
---@field private secrets table<string, boolean>
---@field private filter function?
local methods = {}
local Cassette = { __index = methods, __name = "moonwire.testing.Cassette" }

local function differences(self, wanted, exchange)
    local list, has = {}, exchange.request
    for _, name in ipairs { "method", "url", "body" } do
        if self.match[name] and wanted[name] ~= has[name] then
            list[#list + 1] = ("%s: %q, recorded was %q"):format(name, wanted[name], has[name])
        end
    end
    if self.match.headers then
        local now, then_ = tape.header_text(wanted.headers), tape.header_text(has.headers)
        if now ~= then_ then
            list[#list + 1] = ("headers: %q, recorded were %q"):format(now, then_)
        end
    end
    return list
end

-- Each exchange is replayed once; the last one that fits again and again.
local function find(self, wanted)
    local nearest, fewest, again
    for _, exchange in ipairs(self.exchanges) do
        local list = differences(self, wanted, exchange)
        if #list == 0 and not self.used[exchange] then
            self.used[exchange] = true
            return exchange
        elseif #list == 0 then
            again = exchange
        elseif not fewest or #list < fewest then
            nearest, fewest = list, #list
        end
    end
    return again, nearest
end

local function replay(self, call, job)
    local wanted = tape.request(call, self.secrets)
    local exchange, nearest = find(self, wanted)
    if not exchange then
        return nil, errors.new {
            kind = "system", phase = "connect", url = call.url,
            message = ("%s has no recording of %s %s%s (mode = \"record\" makes one)"):format(
                self.path, wanted.method, wanted.url, nearest
                    and "; the nearest differs in " .. table.concat(nearest, "; ") or ""),
        }
    end
    local response = exchange.response
    return made.new(job.backend, {
        request = call.request, status = response.status, reason = response.reason,
        http_version = response.http_version, headers = headers_of.new(response.headers),
        trailers = response.trailers and headers_of.new(response.trailers) or nil,
        body = response.body, max_body = job.opts.max_body or job.settings.max_body,
    })
end

-- Reads the whole body as it came, so that the recording is whole whatever the script reads.
local function read_raw(response)
    local pieces, problem = {}, nil
    tap.on(response, function(bytes)
        pieces[#pieces + 1] = bytes
    end, function(err)
        problem = err
    end)
    if response.connection then
        local _, err = response.connection:pull_nothing(response)
        problem = problem or err
    end
    if problem then
        return nil, problem
    end
    return table.concat(pieces)
end

local function record(self, call, job, go)
    local request = call.request
    local response, err = go(job, request)
    if not response then
        return nil, err
    end
    local body
    body, err = read_raw(response)
    if not body then
        return nil, err
    end
    local trailers = response.trailers
    local exchange = tape.exchange(call, response, body, self.secrets)
    if self.filter then
        exchange = self.filter(exchange)
    end
    if exchange then
        self.exchanges[#self.exchanges + 1] = exchange
    end
    return made.new(job.backend, {
        request = request, status = response.status, reason = response.reason,
        http_version = response.http_version, headers = response.head:copy(), trailers = trailers,
        body = body, max_body = job.opts.max_body or job.settings.max_body,
    })
end

--- For the client: answers a request.
---@package
---@param request moonwire.Request
---@param job moonwire.client.Job
---@param go moonwire.client.Go
---@return moonwire.Response? response, moonwire.Error? err
function methods:send(request, job, go)
    local body = request.body
    if self.mode == "record" and body and not body.rewindable then
        return nil, errors.new {
            kind = "body", phase = "write", url = request.url,
            message = "a body that can't be read twice can't be recorded: give a string or "
                .. "body.file(path)",
        }
    end
    local call, err = routes.call(request)
    if not call then
        return nil, err
    elseif self.mode == "replay" then
        return replay(self, call, job)
    end
    return record(self, call, job, go)
end

--- Writes the recording: into a new file, which takes the old one's place once it is whole. Of a
--- cassette that replays nothing is written. Raises when it can't.
function methods:finish()
    if self.mode == "record" then
        tape.write(self.path, self.exchanges)
    end
end

local function set_of(list, name, level)
    errors.check(level + 1, name, "table", list)
    local set = {}
    for _, one in ipairs(list) do
        errors.check(level + 1, name, "string", one)
        set[one:lower()] = true
    end
    return set
end

local function mode_of(opts, path, level)
    local mode = opts.mode or "auto"
    if mode ~= "auto" and mode ~= "record" and mode ~= "replay" then
        errors.argument(level + 1, "mode", '"auto", "record" or "replay"', mode)
    elseif mode ~= "auto" then
        return mode
    end
    local ci, file = os.getenv "CI", io.open(path)
    if file then
        file:close()
    end
    return (file or ci and ci ~= "" and ci ~= "false") and "replay" or "record"
end

local KNOWN = { mode = true, match = true, secrets = true, filter = true }

local cassette = {}

--- Opens a cassette. Raises when the file that it is to replay can't be read, or is broken.
---@param path string of the file
---@param opts moonwire.testing.CassetteOptions?
---@return moonwire.testing.Cassette
function cassette.new(path, opts)
    errors.check(2, "path", "string", path)
    opts = opts or {}
    errors.check(2, "opts", "table", opts)
    for name in each(opts) do
        if not KNOWN[name] then
            error(("unknown option '%s' (known: filter match mode secrets)"):format(
                tostring(name)), 2)
        end
    end
    local match = set_of(opts.match or { "method", "url" }, "match", 2)
    for name in each(match) do
        if not MATCH[name] then
            error(("bad argument 'match' (%q isn't one of body headers method url)"):format(name),
                2)
        end
    end
    if opts.filter ~= nil then
        errors.check(2, "filter", "function", opts.filter)
    end
    local mode = mode_of(opts, path, 2)
    local exchanges = {}
    if mode == "replay" then
        local problem
        exchanges, problem = tape.read(path)
        if not exchanges then
            error(problem, 2)
        end
    end
    return setmetatable({
        path = path, mode = mode, exchanges = exchanges, used = {}, match = match,
        secrets = set_of(opts.secrets or {}, "secrets", 2), filter = opts.filter,
    }, Cassette)
end

return cassette
