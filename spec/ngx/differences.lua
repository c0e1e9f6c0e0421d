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

return {
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
