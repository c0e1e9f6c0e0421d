-- The contract of a backend, and which one is used. A backend alone knows where bytes and time come
-- from; above it nobody asks which one it is, but only what it can do.
local core = require "moonwire.core"
local ev = require "moonwire.backend.ev"
local nginx = require "moonwire.backend.ngx"
local thread = require "moonwire.backend.thread"

local state = core.state

--- What every backend offers. Deadlines are absolute times of `now`, math.huge for none. Codes are
--- those of moonwire.core: 0 and more is success.
---
--- All waits go through one function (backend/thread.lua). It refuses at once with ECANCELLED when
--- the thread is cancelled or its own deadline has passed, so cancellation can't be missed, and it
--- passes through generators (backend/forward.lua). Outside any task a wait runs the loop in place.
---
--- A socket object that says EAGAIN too often in a row is right: after a slice of successful steps
--- it does so, for the other threads' sake.
---@class moonwire.Backend
---@field name string "ev", "ngx", "mock"
---@field capabilities moonwire.Capabilities
---@field main moonwire.Thread what waits when the code outside any task does
---@field on_error fun(value: any) is given what a thread raised that nobody joins
local methods = {} -- luacheck: ignore 241 (methods of the contract, for editors)

--- What a backend can do. One that can't says so with a clear error at once.
---@class moonwire.Capabilities
---@field unix boolean it connects to unix sockets
---@field half_close boolean a stream can end its own direction: shutdown()
---@field signals boolean on_signal
---@field listen boolean net.listen
---@field alpn boolean TLS offers protocols
---@field peeks boolean it sees what has come without reading it: a connection that is stale, or
---  that speaks unasked, is found out before a request goes out
---@field client_certificates boolean? false: TLS shows none of ours
---@field pool_owned_by_host boolean? idle connections are kept by the host, limits of the pool too
---@field connects_to_names boolean? host names are looked up by connect({family = "name"}), and
---  nobody sees their addresses
---@field environment boolean? the environment's http_proxy and its like count if nobody says
---  otherwise: the program is a script, or one that has no say of its own
---@field collects_sockets boolean? a socket that nobody has any more is closed by the host

--- Monotonic seconds.
---@return number
function methods:now() end -- luacheck: ignore

--- Seconds of the clock on the wall, which goes on while the machine sleeps, and may be set.
---@return number
function methods:wall() end -- luacheck: ignore

--- Makes a thread; `fn(...)` runs at the next turn of the loop. It belongs to nobody and is in no
--- scope: tasks are made of threads.
---@return moonwire.Thread
function methods:start(fn, ...) end -- luacheck: ignore

--- Parks the calling thread.
---@param deadline number
---@return integer code what the wake gave; ETIMEOUT at the deadline; ECANCELLED
function methods:wait(deadline) end -- luacheck: ignore

--- Ends the wait a thread is in, whatever it waits for.
---@return boolean woken false: it waits for nothing, or was woken already
function methods:wake(target, code) end -- luacheck: ignore

--- From outside any task: runs fn as a thread, with the loop, until it has ended. In a thread of
--- this backend fn is just called.
---@return any ... what fn returns; what it raises is raised
function methods:run(fn, ...) end -- luacheck: ignore

--- Looks a host name up, for both families or the one that is named; numeric addresses are taken
--- as they are. It asks anew each time: what may be kept, and for how long, says the `ttl`. A
--- backend that connects_to_names knows numeric addresses and localhost only.
---@return {family: string, address: string, ttl: integer?}[]? addresses in the order to try them
---@return moonwire.Error? err
function methods:resolve(host, deadline, family) end -- luacheck: ignore

--- What would be sent from to a numeric address.
---@param address string
---@return string? address nil: there is no way
function methods:source_of(address) end -- luacheck: ignore

--- A pool of connections that the host keeps.
---@class moonwire.HostPool
---@field name string connections of one name are as good as each other
---@field size integer so many are kept, and where there is a queue, so many are open
---@field queue integer? how many may wait for a place when all are in use

--- Connects to one address: {family = "ipv4" | "ipv6" | "unix", address =, port =}; `from` in it is
--- the numeric address of this side. Where the host owns the pool, a connection may be taken out of
--- `pool` (moonwire.HostPool) in it; then stream:reused_times() is above 0.
---@return moonwire.Stream? stream
---@return moonwire.Error? err kind "connect", "timeout", "cancelled"
function methods:connect(address, deadline) end -- luacheck: ignore

--- Where a backend has it: connects to a place on this machine, which mostly needs no wait.
---@param address {family: string, address: string, port: integer?, from: string?, label: string}
---@return moonwire.Stream? stream nil: it would have to wait, or failed; connect() says why
function methods:connect_now(address) end -- luacheck: ignore

--- Listens on an address; port 0 picks a free one.
---@return moonwire.Listener? listener
---@return moonwire.Error? err
function methods:listen(address, backlog) end -- luacheck: ignore

--- Wakes a thread with the signal's number whenever it arrives, until `close()` of what it returns.
---@return {close: fun(self)}? handle
---@return moonwire.Error? err
function methods:signal(number, target) end -- luacheck: ignore

--- For streams: has `target:stirred()` called, once, when there is something to read from its
--- socket, or the end, while nobody waits for that. It keeps nothing alive.
function methods:guard(target, socket) end -- luacheck: ignore

--- What is open: {threads = those that wait, watchers =, tcp = open sockets, lookups =}.
---@return table<string, integer>
function methods:stats() end -- luacheck: ignore

local backend = {}

--- The backend of code outside any task. Made at the first call, one per Lua state.
---@return moonwire.Backend
function backend.default()
    local default = state.backend
    if not default then
        default = nginx.is_here and nginx.new() or ev.new()
        state.backend = default
    end
    return default
end

--- The backend of the running thread, or the default one.
---@return moonwire.Backend
function backend.current()
    local current = state.current
    return current and current.backend or backend.default()
end

--- The running thread; outside any task the default backend's main thread.
---@return moonwire.Thread
function backend.thread()
    local current = state.current
    if current then
        return current
    end
    local default = backend.default()
    return state.current or default.main -- with the first backend there may be one
end

--- Cancels a thread as a whole: the wait it is in and all later ones give ECANCELLED.
backend.cancel = thread.cancel

return backend
