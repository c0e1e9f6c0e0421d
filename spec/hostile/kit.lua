-- The words in which hostile cases are written: each case becomes one spec on real sockets and one
-- on the mock, run whole, byte by byte and cut in two, with a healthy request behind each.
local errors = require "moonwire.error"
local support = require "spec.support"
local world = require "spec.hostile.world"

local MEMORY = 128 * 1024 -- bytes of Lua that a case may leave
local LONGEST = 100 -- seconds that a timer of these specs runs

--- A case: what the peer sends for one request, and what has to come of it.
---@class hostile.Case
---@field [1] string what is true, as the end of "row n: ..."
---@field row integer|string of the adversarial tests
---@field reply string|fun(peer: hostile.Peer, attempt: integer, head: string): boolean? false: the
---  connection is over
---@field after "eof"|"close"|"reset"|nil what the peer does behind a reply that is a string
---@field method string? GET
---@field opts table? of the request
---@field make_body (fun(w: hostile.World): any)? a body for each delivery
---@field client table? options of the client
---@field error table? fields of the error that has to come; `match`: a part of its message
---@field status integer? otherwise of the response
---@field body string?
---@field informational integer[]?
---@field reason string|nil|fun(delivery: hostile.Delivery, reason: string): string? why the
---  connection is closed; nil: it is kept and used again
---@field attempts integer? how many requests the server sees: 1
---@field check fun(result: table, w: hostile.World)? looks at the rest
---@field accept fun(result: table, w: hostile.World)? in place of `error`, `status` and `body`
---@field once boolean? it is played whole and not cut
---@field prepare fun(w: hostile.World)? called before each delivery
---@field length integer? how many bytes are cut; if not given, all that the peer could send
---@field bulky boolean? it is not cut at every place
---@field only string? the one world that it is played in
---@field not_relayed boolean? it is not played by way of the relay

local kit = {}

-- These are called some hundred thousand times: luassert's own would take most of the time.
local function equal(expected, got, what)
    if expected ~= got then
        error(("%s: %s expected, got %s"):format(what, tostring(expected), tostring(got)), 0)
    end
end

local function matches(pattern, text, what)
    if not text:find(pattern) then
        error(("%s: no match of %s in %s"):format(what, pattern, text), 0)
    end
end

local function play(reply, after)
    return function(peer)
        peer:send(reply)
        if after then
            peer[after](peer)
        end
    end
end

--- Makes the request of a case and reads its answer.
---@return table result response, text, err, informational
local function ask(w, case)
    local seen, opts = {}, { timeout = 10 }
    for name, value in pairs(case.opts or {}) do
        opts[name] = value
    end
    if case.make_body then
        opts.body = case.make_body(w)
    end
    opts.on_informational = function(status)
        seen[#seen + 1] = status
    end
    local result = { informational = seen }
    result.response, result.err = w.client:request(case.method or "GET", w.url .. "/hostile", opts)
    if result.response then
        result.text, result.err = result.response:text()
    end
    return result
end

local function check_error(case, err)
    equal(true, errors.is(err), "an error comes")
    for name, value in pairs(case.error) do
        if name == "match" then
            matches(value, err.message, "message")
        elseif value ~= err[name] then
            equal(value, err[name], name .. " in " .. tostring(err))
        end
    end
    if case.error.safe_to_retry == nil then
        equal(false, err.safe_to_retry, "safe_to_retry")
    end
    matches("/hostile$", err.url, "url")
    matches("^%a.*%(https?://", tostring(err), "tostring")
end

local function check_response(case, result)
    if result.err then
        error(result.err, 0)
    end
    equal(case.status or 200, result.response.status, "status")
    equal(case.body or "", result.text, "body")
end

local function check_connection(case, w)
    local connection, reason = w.connections[#w.connections], case.reason
    if type(reason) == "function" then
        reason = reason(w.delivery, connection.close_reason)
    end
    local shown, state = w:expected(reason, connection.close_reason)
    equal(shown, connection.close_reason, "close_reason")
    equal(state, connection.state, "state")
    equal(shown, connection:stats().close_reason, "close_reason of stats()")
    equal(reason == nil, w:get_healthy(), "the connection is used again")
end

-- One delivery of a case, with all that has to be true behind it.
local function try(w, case, delivery, before)
    w:begin(delivery)
    if case.prepare then
        case.prepare(w)
    end
    local result = ask(w, case)
    w:await("the peer sees all attempts", function()
        return w.attempts >= (case.attempts or 1)
    end)
    w:settle()
    if case.accept then
        case.accept(result, w)
    elseif case.error then
        check_error(case, result.err)
    else
        check_response(case, result)
    end
    equal(table.concat(case.informational or {}, " "), table.concat(result.informational, " "),
        "informational")
    equal(case.attempts or 1, w.attempts, "attempts")
    if case.check then
        case.check(result, w)
    end
    check_connection(case, w)
    w:check_nothing_left(before)
end

local function cuts(list, first, last, step)
    for cut = first, last, step do
        list[#list + 1] = { name = "cut at byte " .. cut, cut = cut }
    end
end

-- How so many bytes are cut: on the mock at every place; over sockets, and in bulk, at some.
local function deliveries(length, thorough, places)
    local most = thorough and 20000 or 1500
    local size = math.max(1, math.ceil(length / most))
    local list = {
        { name = "whole" },
        { name = size == 1 and "byte by byte" or "by " .. size .. " bytes", size = size },
    }
    if not thorough then
        cuts(list, 1, length - 1, math.max(1, math.ceil(length / places)))
    elseif length <= 700 then
        cuts(list, 1, length - 1, 1)
    else
        cuts(list, 1, 300, 1)
        cuts(list, 301, length - 101, math.max(1, math.floor(length / 100)))
        cuts(list, length - 100, length - 1, 1)
    end
    return list
end

-- By way of the relay that takes long; and ev is cut at all places without it.
local function few_deliveries(length, place)
    local list, third = {}, math.max(1, math.ceil(length / 3))
    if place.host == "nginx" then
        cuts(list, third, length - 1, third)
    end
    return list
end

local function lua_bytes()
    collectgarbage()
    return collectgarbage "count" * 1024
end

local held -- bytes of Lua at the end of the case before this one

-- A case leaves no memory behind; leak_spec.lua looks closer.
local function check_memory(w)
    w:begin() -- forgets connections and peers
    if w.mock then
        w.mock:advance(LONGEST) -- timers that are done with go
    end
    local before, now = held, lua_bytes()
    if before and now - before > MEMORY then
        jit.flush() -- what the compiler has made is no leak
        for _ = 1, 10 do -- a buffer of the interpreter's shrinks by half each time
            now = lua_bytes()
        end
    end
    held = now
    local grown = now - (before or now)
    assert(grown < MEMORY, ("%d bytes of memory were left behind"):format(grown))
end

-- What is open when nothing is under way.
local function count_at_rest(w)
    w:get_healthy()
    w:end_idle()
    return w:count()
end

local function run(w, case, thorough)
    w.script = type(case.reply) == "string" and play(case.reply, case.after) or case.reply
    local before = count_at_rest(w)
    try(w, case, { name = "whole" }, before)
    local list = case.once and { { name = "whole" } }
        or w.place and few_deliveries(case.length or w.sent, w.place)
        or deliveries(case.length or w.sent, thorough and not case.bulky, w.tls and 3 or 16)
    for _, delivery in ipairs(list) do
        local ok, problem = xpcall(try, errors.handler, w, case, delivery, before)
        if not ok then
            error(delivery.name .. ": " .. tostring(problem), 0)
        end
    end
    check_memory(w)
end

local WORLDS = { "mock", "socket" }
local worlds = WORLDS
local place ---@type spec.Place?

local function declare(describe, it, title, cases, f)
    local where = place
    for _, name in ipairs(worlds) do
        describe(title .. " (" .. name .. "),", function()
            for _, case in ipairs(cases) do
                if (not case.only or name:find("^" .. case.only))
                    and not (where and case.not_relayed) then
                    it(("row %s: %s"):format(case.row, case[1]), function()
                        world[name](case.client, function(w)
                            f(w, case, name)
                        end, where)
                    end)
                end
            end
        end)
    end
end

--- Declares the specs of cases.
---@param describe function busted's
---@param it function
---@param title string
---@param cases hostile.Case[]
function kit.rows(describe, it, title, cases)
    declare(describe, it, title, cases, function(w, case, name)
        run(w, case, name == "mock")
    end)
end

--- Declares specs that play by themselves: {sentence, row =, client =, only = "mock"?,
--- not_relayed = true?, play = fun(w)}. `play` sets w.script and calls w:begin() and w:finish()
--- around each exchange.
---@param describe function busted's
---@param it function
---@param title string
---@param cases table[]
function kit.scenarios(describe, it, title, cases)
    declare(describe, it, title, cases, function(w, case)
        local before = count_at_rest(w)
        function w.finish()
            w:settle()
            w:check_nothing_left(before)
        end
        case.play(w)
        w:get_healthy()
        w:check_nothing_left(before)
    end)
end

-- Declares the cases of another file with the words of whoever calls the caller.
local function declare_file(file, names, where)
    worlds, place = names, where
    local declare_all = assert(loadfile(support.root .. "/spec/hostile/" .. file))
    setfenv(declare_all, getfenv(3))()
    worlds, place = WORLDS, nil
end

--- Declares the cases of another file once more, with TLS.
---@param file string
function kit.with_tls(file)
    declare_file(file, { "mock with TLS", "socket with TLS" })
end

--- Declares the cases of another file by way of the relay, on the backend that this process has.
---@param file string
---@param where spec.Place
---@param tls boolean? the relay speaks TLS with the client
function kit.relayed(file, where, tls)
    declare_file(file, { tls and "relayed with TLS" or "relayed" }, where)
end

--- A response head with these lines, and what follows.
---@param lines string|string[] without their line ends
---@param body string?
---@param start string? HTTP/1.1 200 OK
---@return string
function kit.reply(lines, body, start)
    if type(lines) == "table" then
        lines = table.concat(lines, "\r\n")
    end
    lines = lines == "" and "" or lines .. "\r\n"
    return (start or "HTTP/1.1 200 OK") .. "\r\n" .. lines .. "\r\n" .. (body or "")
end

--- A chunked response whose body, framing and all, is given.
---@param body string
---@return string
function kit.chunked(body)
    return kit.reply("Transfer-Encoding: chunked", body)
end

--- A case that ends in an error of the codec, in the head, with the connection closed.
---@param row integer|string
---@param sentence string
---@param code string? of the error
---@param bytes string|function as `reply` of a case
---@param more table? further fields of the case; `phase` and `match` of its error
---@return hostile.Case
function kit.refused(row, sentence, code, bytes, more)
    local case = {
        sentence, row = row, reply = bytes, reason = "protocol_error",
        error = { kind = "protocol", code = code, phase = "headers", match = "RFC 91%d%d" },
    }
    for name, value in pairs(more or {}) do
        local into = case.error[name] ~= nil and case.error or case
        into[name] = value
    end
    return case
end

return kit
