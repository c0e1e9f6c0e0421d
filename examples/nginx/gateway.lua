-- What the locations of nginx.conf beside this file do:  make demo-nginx
local http = require "moonwire.http"
local moonwire = require "moonwire"

-- One client for all requests of a worker; the connections are in nginx's own pool.
local services = http.client { base_url = "http://127.0.0.1:8081" }
local gateway = {}

local function fail(err)
    ngx.log(ngx.WARN, tostring(err)) -- the whole story: where it was, how far it had come
    ngx.status = err:is "timeout" and 504 or 502
    ngx.say(err.kind)
end

--- Asks three services side by side. They have half a second together: what isn't there by then is
--- cancelled, and so are the others when one fails.
function gateway.page()
    local function ask(path)
        return function() return assert(assert(services:get(path)):text()) end
    end
    local ok, user, orders, stock = pcall(moonwire.timeout, 0.5, moonwire.gather,
        ask "/user", ask "/orders", ask("/stock?delay=" .. (ngx.var.arg_delay or 0.01)))
    if not ok or not user then
        return fail(ok and orders or user) -- nil and an error: out of time; else raised by a task
    end
    ngx.say(('{"user": %s, "orders": %s, "stock": %s}'):format(user, orders, stock))
end

--- Streams a body through; no more of it is in memory than what the client hasn't taken yet.
function gateway.photo()
    local res, err = services:get("/photo")
    if not res then return fail(err) end
    ngx.status, ngx.header["Content-Length"] = res.status, res.headers["content-length"]
    for chunk in res:chunks() do
        if not ngx.print(chunk) or not ngx.flush(true) then return res:close() end -- it has left
    end
end

return gateway
