-- client/report.lua - what a client says about itself: numbers for a script, and the same as text
-- for Prometheus. It changes nothing.

local dialer = require "moonwire.dial"
local each = pairs -- a loop over "pairs" may end early: see tools/floors.lua

local ORIGINS_MOST = 50 -- with labels of their own; the others are one more

local report = {}

--- What an origin is called: the pool's key, with the words that set it apart from others.
local function name_of(key)
    return (key:gsub("[^\32-\126]", " "))
end

---@param client moonwire.Client
---@return table
function report.stats(client)
    local supply = client.supply
    local stats, origins = supply.pool:stats(), {}
    for key, numbers in each(stats.origins) do
        origins[name_of(key)] = numbers
    end
    stats.origins = origins
    stats.requests = client.sent
    stats.redirects, stats.retries = client.redirected, client.repeated
    stats.responses, stats.errors = {}, {}
    for class, count in ipairs(client.answered) do
        if count > 0 then
            stats.responses[class .. "xx"] = count
        end
    end
    for kind, count in each(client.failed) do
        stats.errors[kind] = count
    end
    stats.replaced_stale, stats.retries_stale = client.replaced, client.retried
    stats.closed_by = {}
    for reason, count in each(supply.counted) do
        stats.closed_by[reason] = count
    end
    stats.idle_closed_by_peer = supply.counted.peer_closed_idle or 0
    stats.unsolicited = supply.counted.unsolicited or 0
    dialer.stats(supply.backend, stats)
    return stats
end

-- The text format of Prometheus -------------------------------------------------------------------

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local function sorted_keys(set)
    local keys = {}
    for key in each(set) do
        keys[#keys + 1] = key
    end
    table.sort(keys)
    return keys
end

-- {a="1",b="2"}, or nothing.
local function label_text(labels, more)
    local parts = {}
    for _, from in ipairs { labels, more } do
        for _, name in ipairs(sorted_keys(from)) do
            parts[#parts + 1] = ('%s="%s"'):format(name,
                (tostring(from[name]):gsub('[\\"\n]', ESCAPES)))
        end
    end
    return #parts > 0 and "{" .. table.concat(parts, ",") .. "}" or ""
end

local function number_text(value)
    return value == math.floor(value) and ("%d"):format(value) or ("%.9g"):format(value)
end

local Text = {}
Text.__index = Text

function Text:head(name, kind, help)
    self.name = "moonwire_client_" .. name
    self:line(("# HELP %s %s"):format(self.name, help))
    self:line(("# TYPE %s %s"):format(self.name, kind))
end

function Text:line(line)
    self[#self + 1] = line
end

function Text:sample(value, labels, suffix)
    self:line(("%s%s%s %s"):format(self.name, suffix or "", label_text(self.labels, labels or {}),
        number_text(value)))
end

function Text:one(name, kind, help, value)
    self:head(name, kind, help)
    self:sample(value)
end

local STATES = { "opening", "active", "reserved", "idle" }

-- Those with the most connections by name, and the sum of the others.
local function by_size(origins)
    local keys = sorted_keys(origins)
    table.sort(keys, function(a, b)
        local one, two = origins[a].total, origins[b].total
        return one > two or one == two and a < b
    end)
    local chosen, others = {}, nil
    for i, key in ipairs(keys) do
        if i <= ORIGINS_MOST then
            chosen[i] = { key, origins[key] }
        else
            others = others or { opening = 0, active = 0, reserved = 0, idle = 0, waiting = 0 }
            for name in each(others) do
                others[name] = others[name] + origins[key][name]
            end
        end
    end
    chosen[#chosen + 1] = others and { "other", others } or nil
    return chosen
end

local function write_origins(text, origins)
    local chosen = by_size(origins)
    text:head("origin_connections", "gauge", "Connections by origin and state, those of the "
        .. ORIGINS_MOST .. " largest origins and of all others.")
    for _, one in ipairs(chosen) do
        for _, state in ipairs(STATES) do
            text:sample(one[2][state], { origin = one[1], state = state })
        end
    end
    text:head("origin_waiting_requests", "gauge", "Requests without a place, by origin.")
    for _, one in ipairs(chosen) do
        text:sample(one[2].waiting, { origin = one[1] })
    end
end

local function write_waits(text, waits)
    text:head("connection_wait_seconds", "histogram",
        "How long requests waited for a connection where none was idle.")
    local sum = 0
    for i, count in ipairs(waits.buckets) do
        sum = sum + count
        local bound = waits.bounds[i]
        text:sample(sum, { le = bound and ("%.9g"):format(bound) or "+Inf" }, "_bucket")
    end
    text:sample(waits.sum, nil, "_sum")
    text:sample(waits.count, nil, "_count")
end

--- The numbers in the text format of Prometheus, version 0.0.4.
---@param client moonwire.Client
---@param labels table<string, string> put on every sample
---@return string
function report.metrics(client, labels)
    local stats = report.stats(client)
    local text = setmetatable({ labels = labels }, Text)
    text:one("requests_total", "counter", "Requests that were made.", stats.requests)
    text:head("responses_total", "counter", "Responses that calls have given, by class of status.")
    for _, class in ipairs(sorted_keys(stats.responses)) do
        text:sample(stats.responses[class], { class = class })
    end
    text:head("errors_total", "counter", "Calls that have failed, by kind of the error.")
    for _, kind in ipairs(sorted_keys(stats.errors)) do
        text:sample(stats.errors[kind], { kind = kind })
    end
    text:one("redirects_total", "counter", "Redirects that were followed.", stats.redirects)
    text:one("retries_total", "counter", "Requests that were repeated by policy.", stats.retries)
    text:head("connections", "gauge", "Connections by state.")
    for _, state in ipairs(STATES) do
        text:sample(stats[state], { state = state })
    end
    text:one("waiting_requests", "gauge", "Requests without a place.", stats.waiting)
    text:one("connections_opened_total", "counter", "Connections that were opened.", stats.opened)
    text:one("connections_reused_total", "counter", "Requests over a connection that was used "
        .. "before.", stats.reused)
    text:head("connections_closed_total", "counter", "Connections that were closed, by reason.")
    for _, reason in ipairs(sorted_keys(stats.closed_by)) do
        text:sample(stats.closed_by[reason], { reason = reason })
    end
    text:head("stale_connections_total", "counter", "Kept connections that their server had "
        .. "closed: found before the request was sent, or by sending it.")
    text:sample(stats.replaced_stale, { found = "before" })
    text:sample(stats.retries_stale, { found = "sending" })
    write_waits(text, stats.waits)
    write_origins(text, stats.origins)
    text:head("dns_lookups_total", "counter", "Lookups of names by all clients, by how they were "
        .. "answered.")
    for _, result in ipairs { "hits", "negative", "merged", "misses" } do
        text:sample(stats["dns_" .. result], { result = result })
    end
    text:line ""
    return table.concat(text, "\n")
end

return report
