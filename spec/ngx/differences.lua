-- What comes out otherwise inside an nginx worker than on ev, and why: file -> name of the test ->
-- reason. A test that is listed has to fail there; one that isn't has to pass.

local NO_PEEK = "a cosocket doesn't tell what has come before it is read, so nobody is told of it"
local ANY_BYTE = "nginx's pool closes a connection at any byte; another one is opened"
local TOO_LATE = "nginx's pool looks at its connections between two turns of the worker's loop:"
    .. " what came in this very turn, while a handler worked without a wait, nobody sees"
local NO_POOL_TIMEOUT = "the wait for a place is a part of nginx's connect: it ends at"
    .. " timeout.connect or the total, and timeout.pool is not known to it"
local NO_NAME = "a cosocket doesn't tell its own address"
local NO_HALF = "a cosocket has no shutdown()"
local ENDS_ALIKE = "nginx takes any end of a connection with TLS, a RST too, for close_notify"

local UNWATCHED = "a cosocket tells neither bytes nor an end before it is read: an idle connection"
    .. " that is not in nginx's pool is not watched, and a new one not looked at"
local NGINX_POOL = "idle connections are nginx's, which counts, limits and closes them: the client"
    .. " shows none, and doesn't wait for what is under way when it closes"
local GIVEN_BACK = "a connection that is given back to nginx's pool is closed for the client"
local IN_CONF = "that option of TLS is set in nginx.conf, or can't be: moonwire says so"
local NO_ADDRESS = "nginx shows no address before it connects: on_resolve is refused"
local SHARED = "nginx's pool is one for all clients of a worker that say the same"
local NO_ATTEMPTS = "nginx looks up and connects in one: there is one attempt, and no list of them"

-- The names with what they begin with, and a reason that they have in common.
local function each_of(list, reason, start, names)
    for _, name in ipairs(names) do
        list[start .. name] = reason
    end
end

local originals = {}
each_of(originals, UNWATCHED, "spec/connection", {
    "_spec.lua: a connection is not used again when the peer closed it meanwhile, and that is safe"
        .. " to retry",
    "_spec.lua: a connection is not used again when the peer wrote to it meanwhile",
    "/idle_spec.lua: an idle connection on the mock is closed at once when the peer closes or"
        .. " breaks it, and its keeper is told",
    "/idle_spec.lua: an idle connection on the mock is looked at once more before a request goes:"
        .. " nothing is written",
    "/idle_spec.lua: an idle connection on the mock that was closed by its watch says that a"
        .. " further request may go elsewhere",
})
each_of(originals, UNWATCHED, "spec/connection/unasked_spec.lua: bytes that a new connection brings"
    .. " along ", {
    "are no answer: a greeting", "are no answer: a whole response",
    "are no answer: an empty line and a response", "are told in the error",
    "make a client's request fail once, and give its place back",
})
each_of(originals, NGINX_POOL, "spec/connection/", {
    "expect_spec.lua: expect of a client goes once more without, after 417",
    "expect_spec.lua: expect on a real socket is answered by 100",
    "expect_spec.lua: expect on a real socket is answered by 417, and the request goes again",
    "expect_spec.lua: expect on a real socket is answered late or not at all: the body goes after"
        .. " a while",
    "idle_spec.lua: an idle connection of a client leaves the pool at once",
    "leaving_spec.lua: an unread body at close: does not keep the next request waiting, nor the"
        .. " place from another",
    "leaving_spec.lua: an unread body at close: gives way to requests that wait for the place",
    "retry_spec.lua: a request over a stale connection does not go to another idle one, which may"
        .. " be as stale",
})
each_of(originals, NGINX_POOL, "spec/client", {
    "_spec.lua: client closes idle connections on demand",
    "_spec.lua: client gives one response for one call and keeps the connection",
    "_spec.lua: client tries the next connection when the peer has closed an idle one",
    "/preconnect_spec.lua: client:close(seconds) ends when it is cancelled, or closed without"
        .. " seconds meanwhile",
    "/preconnect_spec.lua: client:close(seconds) lets a response be read to its end",
    "/preconnect_spec.lua: client:preconnect ends its dials when it is cancelled, but not those"
        .. " that somebody waits for",
    "/preconnect_spec.lua: client:preconnect keeps to the limits and closes nothing for it",
    "/stats_spec.lua: client:metrics names fifty origins at most",
    "/stats_spec.lua: client:metrics puts labels on every sample, and escapes their values",
    "/stats_spec.lua: client:stats counts evictions: what was idle longest makes room for another"
        .. " origin",
})
each_of(originals, GIVEN_BACK, "spec/client/events_spec.lua: a client's events tell ", {
    "an exchange from its request to the end of its body", "failures, redirects and repetitions",
})
each_of(originals, NGINX_POOL, "spec/client/unused_spec.lua: a connection that was opened for a"
    .. " request that is not sent is ", {
    "closed at once when its server closes it, breaks it or speaks", "kept for the next one",
    "looked at before it is used",
})
each_of(originals, NO_ATTEMPTS, "spec/client_spec.lua: client ", {
    "says why nothing could be reached",
})
each_of(originals, IN_CONF, "spec/client/key_spec.lua: TLS connections are kept apart by ", {
    "alpn", "ca", "ca_file", "ca_path", "ciphers", "key_password", "max_version", "min_version",
    "pins",
})
each_of(originals, IN_CONF, "spec/client/key_spec.lua: connections are shared by requests ", {
    "with equal TLS options",
})
each_of(originals, NO_ADDRESS, "spec/client/key_spec.lua: connections are ", {
    "kept apart by on_resolve, which has agreed to the proxy",
    "kept apart by whether on_resolve has agreed", "kept apart by which on_resolve has agreed",
    "shared by requests with the same on_resolve",
})
each_of(originals, NO_ADDRESS, "spec/client_spec.lua: client ", {
    "keeps the dot of the DNS root for the lookup alone",
})
each_of(originals, NGINX_POOL, "spec/client/digest_spec.lua: digest auth ", {
    "asks before it sends a body that goes only once",
})
each_of(originals, IN_CONF, "spec/client/key_spec.lua: connections are kept apart by ", {
    "the TLS options in the tunnel",
})
each_of(originals, GIVEN_BACK, "spec/client/events_spec.lua: the bytes in res.timing ", {
    "are those of the last exchange of a connection",
})
each_of(originals, SHARED, "spec/client/key_spec.lua: connections are kept apart by ", {
    "the client",
})

return {
    ["spec/ngx/originals.lua"] = originals,
    ["spec/ngx/contract.lua"] = {
        ["the backend relayed: connections knows both addresses"] = NO_NAME,
        ["the backend relayed: reading knows a quiet stream from one with bytes or an end"]
            = NO_PEEK,
        ["the backend relayed: writing closes half: the other direction goes on"] = NO_HALF,
        ["the backend relayed: an idle stream is looked at without a wait"] = NO_PEEK,
        ["the backend relayed: an idle stream tells once that there is something to read"]
            = NO_PEEK,
        ["the backend relayed: an idle stream tells the end"] = NO_PEEK,
        ["the backend relayed: an idle stream can be watched again by whoever is told"] = NO_PEEK,
        ["the backend relayed: an idle stream is one of many that stir at once"] = NO_PEEK,
        ["the backend relayed: an idle stream may be told while another one fails"] = NO_PEEK,
    },
    ["spec/ngx/by_hand.lua"] = {
        ["spec/client_spec.lua: client gives up waiting for a connection after the pool's time"]
            = NO_POOL_TIMEOUT,
    },
    ["spec/ngx/connection.lua"] = {
        ["a client makes requests wait for a place, and says so when that takes too long"]
            = NO_POOL_TIMEOUT,
    },
    ["spec/ngx/hostile.lua"] = {
        ["each point of waiting (relayed), row 40: a request that waits for a place can be"
            .. " cancelled, and the place is there for the next"] = NO_POOL_TIMEOUT,
        ["bytes while idle (relayed), row 23: an empty line on an idle connection is harmless"]
            = ANY_BYTE,
        ["bytes while idle (relayed), row 23: two empty lines on an idle connection are harmless"]
            = ANY_BYTE,
        ["bytes at checkout (relayed), row 22: a response that has just come answers nothing"]
            = TOO_LATE,
        ["bytes at checkout (relayed), row 22: garbage that has just come closes the connection"]
            = TOO_LATE,
    },
    ["spec/ngx/hostile_tls.lua"] = {
        ["short responses (relayed with TLS), row 32: a body up to the end of the connection is"
            .. " incomplete at RST"] = ENDS_ALIKE,
        ["bytes while idle (relayed with TLS), row 23: an empty line on an idle connection is"
            .. " harmless"] = ANY_BYTE,
        ["bytes while idle (relayed with TLS), row 23: two empty lines on an idle connection are"
            .. " harmless"] = ANY_BYTE,
        ["bytes at checkout (relayed with TLS), row 22: a response that has just come answers"
            .. " nothing"] = TOO_LATE,
        ["bytes at checkout (relayed with TLS), row 22: garbage that has just come closes the"
            .. " connection"] = TOO_LATE,
    },
}
