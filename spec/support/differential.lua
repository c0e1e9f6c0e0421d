-- differential.lua - shows the same answers to moonwire, curl and Node's undici, and tells where
-- they disagree.  spec/differential has the answers and the reasons.

local cjson = require "cjson"
local http = require "moonwire.http"
local moonwire = require "moonwire"
local support = require "spec.support"
local trace_of = require "spec.support.trace"

local FOLDER = support.root .. "/spec/differential"
local UNDICI = support.root .. "/.deps/node/node_modules/undici"
local SHOWN = 40 -- bytes of a body
local AT_ONCE = 16
local CURL_BATCH = 100 -- cases for one process

local M = {}

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

local function read(path)
    local file = io.open(path, "rb")
    if not file then
        return ""
    end
    local text = file:read "*a"
    file:close()
    return text
end

local function hex(text)
    return (text:gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end))
end

local function from_hex(text)
    return (text:gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

-- What a client made of an answer, as one line: where these differ, the clients disagree.  Only
-- fields whose names begin with X- count; what else is in a head shows in the body that follows.
local function describe(status, body, fields)
    local words = { tostring(status) }
    if #body > SHOWN then
        words[#words + 1] = ("%d bytes %s..."):format(#body, trace_of.escape(body:sub(1, 16)))
    elseif body ~= "" then
        words[#words + 1] = '"' .. trace_of.escape(body) .. '"'
    end
    table.sort(fields)
    for i, field in ipairs(fields) do
        if i <= 3 then
            words[#words + 1] = "[" .. trace_of.escape(field:sub(1, SHOWN)) .. "]"
        end
    end
    return table.concat(words, " ")
end

local REFUSED = "refused"

local function is_shown(name)
    return name:lower():sub(1, 2) == "x-"
end

-- moonwire ----------------------------------------------------------------------------------------

local function ask_moonwire(client, url, case)
    local response, err = client:request(case.method, url)
    local body
    if response then
        body, err = response:text()
    end
    if not body then
        return REFUSED, err.code or err.kind
    end
    local fields = {}
    for name, value in response.headers:each() do
        if is_shown(name) then
            fields[#fields + 1] = name:lower() .. ": " .. value
        end
    end
    return describe(response.status, body, fields)
end

local function run_moonwire(port, cases)
    local answers, details, numbers = {}, {}, {}
    for i in ipairs(cases) do
        numbers[i] = i
    end
    support.in_loop(function()
        local client = http.client { timeout = 5 }
        moonwire.map(numbers, function(i)
            answers[i], details[i] = ask_moonwire(client,
                ("http://127.0.0.1:%d/%d"):format(port, i), cases[i])
        end, { concurrency = AT_ONCE })
        client:close()
    end)
    return answers, details
end

-- curl --------------------------------------------------------------------------------------------

-- The fields of the last head that curl has written down; it puts trailers behind an empty line.
local function curl_fields(text)
    local fields, at = {}, 1
    for start in text:gmatch "()HTTP/%d" do
        at = start
    end
    local head = text:sub(at)
    head = head:match "^(.-\r?\n)\r?\n" or head
    for name, value in head:gmatch "\n([^\r\n:]+):[ \t]*([^\r\n]*)" do
        if is_shown(name) then
            fields[#fields + 1] = name:lower() .. ": " .. value:gsub("[ \t]+$", "")
        end
    end
    return fields
end

local CURL_CASE = [[
url = "http://127.0.0.1:%d/%d"
http1.1
max-time = 5
silent
%soutput = "%s/%d.body"
dump-header = "%s/%d.head"
write-out = "%d %%{exitcode} %%{http_code}\n"
]]

-- One curl for the cases from `first` to `last`. Gives the last one it has got to: some errors end
-- it at once.
local function run_one_curl(port, cases, dir, first, last, answers, details)
    local config = {}
    for i = first, last do
        config[#config + 1] = CURL_CASE:format(port, i,
            cases[i].method == "HEAD" and "head\n" or "", dir, i, dir, i, i)
    end
    local path, reached = dir .. "/curl.config", nil
    write(path, table.concat(config, "next\n"))
    local _, out = support.run({ "curl", "-q", "-K", path }, { env = { no_proxy = "*" } })
    for number, code, status in out:gmatch "(%d+) (%d+) (%d+)\n" do
        local i = tonumber(number)
        local body = cases[i].method == "HEAD" and "" or read(("%s/%d.body"):format(dir, i))
        if code == "0" then
            answers[i] = describe(tonumber(status), body,
                curl_fields(read(("%s/%d.head"):format(dir, i))))
        else
            answers[i], details[i] = REFUSED, "exit code " .. code
        end
        reached = i
    end
    return reached or error("curl answers nothing")
end

local function run_curl(port, cases, dir)
    local answers, details, first = {}, {}, 1
    while first <= #cases do
        local last = math.min(first + CURL_BATCH - 1, #cases)
        first = run_one_curl(port, cases, dir, first, last, answers, details) + 1
    end
    return answers, details
end

-- undici ------------------------------------------------------------------------------------------

local function run_undici(port, cases, cases_path)
    local _, out, err = support.run({ "node", FOLDER .. "/undici_peer.js", UNDICI, port,
        cases_path }, { timeout = 200 })
    local answers, details = {}, {}
    local results = out ~= "" and cjson.decode(out) or error("undici: " .. err)
    for i in ipairs(cases) do
        local result = results[i]
        if result.error then
            answers[i], details[i] = REFUSED, result.error
        else
            local fields = {}
            for name, values in pairs(result.fields) do
                for _, value in ipairs(is_shown(name) and values or {}) do
                    fields[#fields + 1] = name .. ": " .. from_hex(value)
                end
            end
            answers[i] = describe(result.status, from_hex(result.body), fields)
        end
    end
    return answers, details
end

-- All of them -------------------------------------------------------------------------------------

--- The versions of those that can be asked here: nil where one is missing.
---@return string? curl
---@return string? undici
function M.versions()
    local _, curl = support.run "curl --version"
    local _, node = support.run "node --version"
    local major, minor = node:match "^v(%d+)%.(%d+)"
    local undici
    if major and tonumber(major) * 100 + tonumber(minor) >= 2018 then -- as undici 7 wants it
        undici = read(UNDICI .. "/package.json"):match '"version": *"([^"]+)"'
    end
    return curl:match "^curl (%S+)", undici
end

---@class spec.differential.Result
---@field name string
---@field moonwire string
---@field curl string?
---@field undici string?
---@field details table<string, string> why they refused

--- Shows all the cases to those that are here.
---@param cases table[] of spec/differential/cases.lua
---@return spec.differential.Result[]
function M.run(cases)
    local dir, port = support.temp_dir(), support.free_port()
    local list = {}
    for i, case in ipairs(cases) do
        list[i] = { bytes = hex(case.bytes), method = case.method }
    end
    local path = dir .. "/cases.json"
    write(path, cjson.encode(list))
    local server = support.spawn_process({ "/usr/bin/python3", FOLDER .. "/server.py", port, path },
        { output = dir .. "/server.output" })
    support.in_loop(support.wait_port, port)
    local curl_version, undici_version = M.versions()
    local answers, details = {}, {}
    answers.moonwire, details.moonwire = run_moonwire(port, cases)
    if curl_version then
        answers.curl, details.curl = run_curl(port, cases, dir)
    end
    if undici_version then
        answers.undici, details.undici = run_undici(port, cases, path)
    end
    server:kill()
    local results = {}
    for i, case in ipairs(cases) do
        results[i] = { name = case.name, details = {} }
        for who, all in pairs(answers) do
            results[i][who] = all[i] or "no answer"
            results[i].details[who] = details[who][i]
        end
    end
    return results
end

--- The peers that see a case otherwise than moonwire does.
---@param result spec.differential.Result
---@return string[] peers
function M.others(result)
    local list = {}
    for _, who in ipairs { "curl", "undici" } do
        if result[who] and result[who] ~= result.moonwire then
            list[#list + 1] = who
        end
    end
    return list
end

--- The reason why moonwire's answer is right: the first whose pattern fits the case's name and
--- whose verdict is moonwire's.
---@param reasons table[] of spec/differential/reasons.lua
---@param result spec.differential.Result
---@return table? reason
function M.reason(reasons, result)
    local verdict = result.moonwire == REFUSED and "refuses" or "takes"
    for _, reason in ipairs(reasons) do
        if reason.moonwire == verdict then
            for _, pattern in ipairs(reason) do
                if result.name:find(pattern) then
                    return reason
                end
            end
        end
    end
    return nil
end

--- How many cases there are, and in how many somebody sees it otherwise.
---@return {cases: integer, disagreements: integer}
function M.count(results)
    local disagreements = 0
    for _, result in ipairs(results) do
        disagreements = disagreements + (#M.others(result) > 0 and 1 or 0)
    end
    return { cases = #results, disagreements = disagreements }
end

local function cell(text)
    return (text:gsub("[|`]", { ["|"] = "\\|", ["`"] = "'" }))
end

local function add_row(lines, result)
    local words = { cell(#result.name > 70 and result.name:sub(1, 67) .. "..." or result.name) }
    for _, who in ipairs { "moonwire", "curl", "undici" } do
        local same = who ~= "moonwire" and result[who] == result.moonwire
        words[#words + 1] = same and "the same" or cell(result[who] or "not asked")
    end
    lines[#lines + 1] = "| " .. table.concat(words, " | ") .. " |"
end

local INTRODUCTION = [[
# Where moonwire, curl and undici disagree

Written by `make differential`. %d answers were shown to moonwire, to curl %s and to Node's
undici %s, each over a connection of its own that the server closes behind the answer. In %d of
them the others don't make of it what moonwire does: listed are the status, the body in quotes,
and fields whose names begin with `X-`. For each group there is the reason why moonwire's answer
is the right one (`spec/differential/reasons.lua`); `spec/differential_spec.lua` fails when one is
missing.
]]

--- The report, and the disagreements that have no reason.
---@param results spec.differential.Result[]
---@param reasons table[]
---@return string text
---@return string[] unexplained
function M.report(results, reasons, curl, undici)
    local rows, unexplained = {}, {}
    for _, result in ipairs(results) do
        local others = M.others(result)
        if #others > 0 then
            local reason = M.reason(reasons, result)
            if reason then
                rows[reason] = rows[reason] or {}
                add_row(rows[reason], result)
            else
                unexplained[#unexplained + 1] = ("%s: moonwire %s, curl %s, undici %s"):format(
                    result.name, result.moonwire, result.curl or "?", result.undici or "?")
            end
        end
    end
    local counts = M.count(results)
    local lines = { INTRODUCTION:format(counts.cases, curl or "(none)", undici or "(none)",
        counts.disagreements) }
    for _, reason in ipairs(reasons) do
        if rows[reason] then
            lines[#lines + 1] = ("## %s\n\n%s\n\n| answer | moonwire | curl | undici |\n"
                .. "|---|---|---|---|\n%s\n"):format(reason.title, reason.why,
                table.concat(rows[reason], "\n"))
        end
    end
    return table.concat(lines, "\n"), unexplained
end

return M
