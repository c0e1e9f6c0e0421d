-- busted's output as moonwire wants it: one line for a file, failures in full at once, and the
-- counts in a file for tools/spec.  An error outside of a test is a failure, and so is a test that
-- was put off (pending).

return function(options)
    local busted = require "busted"
    local handler = require "busted.outputHandlers.base"()
    local passed, failed = 0, 0
    local started

    local function report(what, element, message, trace)
        failed = failed + 1
        io.stdout:write(("%s: %s\n"):format(what, handler.getFullName(element)))
        if type(message) ~= "string" then
            message = message == nil and "(no message)" or require "pl.pretty".write(message)
        end
        local text = message
        if trace and trace.traceback then
            text = text .. "\n" .. trace.traceback:gsub("^%s*", "")
        end
        io.stdout:write("    ", (text:gsub("%s+$", ""):gsub("\n", "\n    ")), "\n")
        io.stdout:flush()
    end

    local function on_test_end(element, _, status)
        if status == "success" then
            passed = passed + 1
        elseif status == "pending" then
            report("FAILED", element, "it was put off (pending)")
        end
        return nil, true
    end

    local function on_failure(element, _, message, trace)
        report("FAILED", element, message, trace)
        return nil, true
    end

    local function on_start()
        started = busted.monotime()
        return nil, true
    end

    local function on_end()
        local file = options.arguments[2] or "specs"
        local seconds = busted.monotime() - (started or busted.monotime())
        local verdict = failed == 0 and "ok" or failed .. " FAILED of"
        local line = "%-40s %s %d in %.2f s\n"
        io.stdout:write(line:format(file, verdict, passed + failed, seconds))
        io.stdout:flush()
        local counts = assert(io.open(options.arguments[1], "w"))
        counts:write(("%d %d\n"):format(passed, failed))
        counts:close()
        return nil, true
    end

    busted.subscribe({ "suite", "start" }, on_start)
    busted.subscribe({ "test", "end" }, on_test_end)
    busted.subscribe({ "failure" }, on_failure)
    busted.subscribe({ "error" }, on_failure)
    busted.subscribe({ "suite", "end" }, on_end)
    return handler
end
