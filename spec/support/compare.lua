-- Runs a spec file twice, here on ev and in an nginx worker, and declares a spec for each of its
-- tests: both have to come out alike, unless spec/ngx/differences.lua has the test and its reason.

local certs = require "spec.support.certs"
local clients = require "moonwire.client"
local differences = require "spec.ngx.differences"
local nginx_lua = require "spec.support.nginx_lua"
local relay = require "spec.support.relay"
local serve = require "spec.support.serve"
local suite = require "spec.support.suite"
local support = require "spec.support"

local M = {}

local LOCATION = [[
    location = /run {
        default_type text/plain;
        content_by_lua_block {
            require("spec.support.worker").run(ngx.unescape_uri(ngx.var.arg_file), {
                host = "nginx", relay = tonumber(ngx.var.arg_relay),
                server = ngx.unescape_uri(ngx.var.arg_server),
                certs = ngx.unescape_uri(ngx.var.arg_certs),
            })
        }
    }
]]
local LONGEST = 240 -- seconds for all tests of a file

local UNESCAPES = { ["\\"] = "\\", n = "\n", r = "\r", t = "\t" }

local function unescape(text)
    return (text:gsub("\\(.)", UNESCAPES))
end

-- Asks the worker for the outcome of each test, by number.
local function outcomes_in(server, file, place)
    local outcomes, ended, problem = {}, false, nil
    support.in_loop(function()
        local client = clients.new { timeout = LONGEST }
        local ok, err = pcall(function()
            local response = assert(client:get(server.url .. "/run", {
                query = {
                    file = file, relay = tostring(place.relay), server = place.server,
                    certs = place.certs,
                },
            }))
            for line in response:lines() do
                local number, outcome, message = line:match "^(%d+)\t(%l+)\t(.*)$"
                if number then
                    outcomes[tonumber(number)] = { ok = outcome == "ok",
                        message = unescape(message) }
                elseif line == "end" then
                    ended = true
                end
            end
        end)
        problem = not ok and tostring(err) or nil
        client:close()
    end)
    if not ended then
        problem = problem or "the worker's answer broke off"
    end
    return outcomes, problem
end

local function check(name, reason, on_ev, in_nginx)
    if not on_ev.ok then
        error("on ev: " .. on_ev.message, 0)
    elseif reason and in_nginx.ok then
        error(("nginx does the same as ev here: take %q out of spec/ngx/differences.lua"):format(
            name), 0)
    elseif not reason and not in_nginx.ok then
        error("in nginx: " .. in_nginx.message, 0)
    end
end

-- Fails when the table of differences has a name that no test has.
local function check_names(listed, tests)
    local known = {}
    for _, test in ipairs(tests) do
        known[test.name] = true
    end
    for name in pairs(listed) do
        assert(known[name], "spec/ngx/differences.lua lists a test that is not there: " .. name)
    end
end

--- Where a file's tests run; it is given to the file. Nothing may be taken out of it before a test
--- runs.
---@class spec.Place
---@field host "ev"|"nginx"
---@field relay integer the relay's port
---@field server string the URL of a loopback server
---@field certs string the folder of certificates for it, of spec.support.certs

--- Declares the specs of some files.
---@param busted table its words: {describe =, it =, setup =, teardown =}
---@param files string[] paths from the root
function M.declare(busted, files)
    busted.describe("inside an nginx worker", function()
        local service, server, loopback, made
        local place = { host = "ev" } ---@type spec.Place

        busted.setup(function()
            service = relay.start()
            place.relay = service.port
            loopback, place.server = serve.start()
            made = certs.for_loopback()
            place.certs = made.dir
            server = nginx_lua.start(LOCATION, {
                http = ("lua_ssl_trusted_certificate %s;"):format(made:path "root.pem"),
            })
        end)

        busted.teardown(function()
            server:stop()
            service.process:kill()
            loopback:kill()
        end)

        for _, file in ipairs(files) do
            local path = support.root .. "/" .. file
            local here, listed = suite.read(path, place), differences[file] or {}
            local outcomes, problem

            busted.describe(file .. ":", function()
                busted.setup(function()
                    outcomes, problem = outcomes_in(server, path, place)
                end)

                busted.teardown(function()
                    here:finish()
                end)

                for number, test in ipairs(here.tests) do
                    busted.it(test.name, function()
                        local ok, message = here:run(test)
                        local there = outcomes[number]
                            or { ok = false, message = problem or "it did not run" }
                        check(test.name, listed[test.name], { ok = ok, message = message }, there)
                    end)
                end

                busted.it("is run to its end, and its differences are up to date", function()
                    assert(not problem, problem)
                    check_names(listed, here.tests)
                end)
            end)
        end

        busted.it("nothing is logged", function()
            local lines = server:log()
            assert(#lines == 0, table.concat(lines, "\n"))
        end)
    end)
end

return M
