-- What the scripts of the benchmark share: the line of numbers that the harness reads, and whom to
-- trust.

local moonwire = require "moonwire"

local common = {
    small_size = 200, -- bytes of the body of the small page
}

--- The tls options of a client: the CA that the harness has made, if any.
---@return table?
function common.tls()
    local ca = os.getenv "BENCH_CA"
    return ca and { ca_file = ca } or nil
end

--- Starts to count; what it gives ends it and prints the line.
---@return fun(n: integer, counted: integer?) n: of all requests; counted: since the start
function common.start()
    local wall, cpu = moonwire.now(), os.clock()
    return function(n, counted)
        print(("n=%d counted=%d secs=%.6f cpu=%.6f"):format(n, counted or n, moonwire.now() - wall,
            os.clock() - cpu))
    end
end

return common
