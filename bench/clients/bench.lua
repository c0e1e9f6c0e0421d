-- A script for `moonwire bench`:  moonwire bench URL -q -c 50 -n 100000 bench.lua
-- It changes nothing, and prints n with its secs and cpu in the end.

function done(summary) -- luacheck: ignore 111 131 (hooks are globals)
    local requests = summary.requests
    if requests.succeeded < requests.answered or requests.failed > 0 then
        error("there were errors: " .. (summary.first_error or "see the statuses"))
    end
    print(("n=%d counted=%d secs=%.6f cpu=%.6f"):format(requests.answered, requests.answered,
        summary.seconds, summary.client.cpu_seconds))
end
