-- The specs of connections and clients that spec/ngx/originals.lua runs on real sockets, and those
-- of their tests that it leaves out: file -> name of the test -> reason. All others are run;
-- spec/ngx/untranslated_spec.lua holds that no name here is out of date.

local CLOCK = "it counts the mock's seconds to the instant, or has many of them in moonwire's own"
    .. " limits"
local BY_HAND = "spec/ngx/by_hand.lua has it, with small real times"
local BYTES = "it says how many bytes the system takes for a peer, and a real one can't"
local TWIN = "its twin in the same file is on a real socket, and is run"
local INSIDE = "it looks into the mock, or into what this process listens on itself"
local PLACES = "it looks for its own file at the start of a message, and is loaded by its path here"
local MANY = "it is about a world that isn't here: thousands of sockets, a machine that sleeps, a"
    .. " second backend"
local TLS = "it speaks TLS with a server of its own on the mock; spec/ngx/tls_spec.lua has TLS"
local UNSEEN = "in nginx nobody watches an idle connection; what stands for that is run, and"
    .. " listed in spec/ngx/differences.lua: each of these would wait for two seconds"
local LONG = "in nginx it would wait until a limit ends it, for nobody sees what has come, ends"
    .. " what is under way when a client closes, or takes an upgraded connection off nginx's count"
local READS = "whether bytes come with those before them is for the system to say"
local DIALS = "it is about whom moonwire's own pool dials for; in nginx the pool is nginx's"
local TURN = "it is about who comes first in one turn of the mock's loop"

local MOCK_IDLE = "an idle connection on the mock "
local REAL_IDLE = "an idle connection on a real socket "

local untranslated = {}

untranslated.by_hand = BY_HAND

untranslated.files = {
    "spec/connection_spec.lua", "spec/connection_body_spec.lua", "spec/connection/expect_spec.lua",
    "spec/connection/idle_spec.lua", "spec/connection/keep_alive_spec.lua",
    "spec/connection/leaving_spec.lua", "spec/connection/progress_spec.lua",
    "spec/connection/retry_spec.lua", "spec/connection/time_spec.lua",
    "spec/connection/unasked_spec.lua", "spec/connection/upgrade_spec.lua", "spec/client_spec.lua",
    "spec/client/closing_spec.lua", "spec/client/deadline_spec.lua", "spec/client/key_spec.lua",
    "spec/client/late_binding_spec.lua", "spec/client/preconnect_spec.lua",
    "spec/client/stats_spec.lua", "spec/client/timeouts_spec.lua", "spec/client/unused_spec.lua",
    "spec/client/events_spec.lua", "spec/client/redirect_spec.lua",
    "spec/client/retry_policy_spec.lua", "spec/connection/upload_progress_spec.lua",
    "spec/client/auth_spec.lua", "spec/client/digest_spec.lua", "spec/client/cookies_spec.lua",
    "spec/client/cache_spec.lua", "spec/client/cache_changes_spec.lua",
}

-- Those that are not run here at all.
untranslated.elsewhere = {
    ["spec/client/proxy_spec.lua"] = "its proxies are the mock's; spec/ngx/proxy_spec.lua has real"
        .. " ones",
}

-- Adds names that have a reason in common, behind the words that they have in common.
local function leave_out(file, reason, start, names)
    local list = untranslated[file] or {}
    untranslated[file] = list
    for _, name in ipairs(names) do
        list[start .. name] = reason
    end
end

leave_out("spec/connection_spec.lua", INSIDE, "arguments of a connection: ", { "a stream" })
leave_out("spec/connection_spec.lua", CLOCK, "", {
    "has_expired is after 30 seconds, or whatever one says",
    "has_expired heeds what the peer says, less a second",
    "has_expired is true once closed and false while in use",
    "stats count requests and bytes",
})
leave_out("spec/connection_body_spec.lua", BYTES, "", {
    "a peer that takes its time and takes a little now and then is no timeout",
    "a peer that takes its time is waited for while a string is sent in parts",
    "a peer that takes its time may answer before the string is out",
    "a peer that takes its time past the deadline: a timeout of the whole",
    "a peer that takes its time takes nothing for 30 seconds, or what one says:"
        .. " a timeout of the write",
    "an early response may be an echo of what is sent",
})
leave_out("spec/connection_body_spec.lua", CLOCK, "", {
    "a peer that takes its time has its head awaited from the upload's end only",
    "an early response is waited for a second when a string can't be sent",
})
leave_out("spec/connection_body_spec.lua", BY_HAND, "", {
    "a peer that takes its time past the deadline while the function sleeps stops the function",
    "an early response ends the wait that the function is in",
})
leave_out("spec/connection/expect_spec.lua", BY_HAND, "expect ", {
    "ends at the deadline, and when it is cancelled, without a byte of the body",
    "of a client is a default of a client, with its own time",
    "sends the body after a second without a word, or what one says",
    "sends the body at once when the server says 100, however its head is cut",
    "waits on when another 1xx comes",
})
leave_out("spec/connection/idle_spec.lua", TWIN, MOCK_IDLE .. "is closed at once by ", {
    "a whole response", "a byte", "a NUL", "a 408", "a 408 of HTTP/1.0", "three empty lines",
    "three empty lines one by one", "LF alone", "CR twice", "an empty line and a response",
})
leave_out("spec/connection/idle_spec.lua", TWIN, MOCK_IDLE .. "is kept by ", {
    "an empty line", "two empty lines", "two empty lines byte by byte",
})
leave_out("spec/connection/idle_spec.lua", CLOCK, "an idle connection on the mock is ", {
    "watched between any two requests, and not while one is under way",
})
leave_out("spec/connection/idle_spec.lua", INSIDE, "an idle connection on a real socket ", {
    "does not keep a run alive by being watched",
})
leave_out("spec/connection/leaving_spec.lua", CLOCK, "an unread body at close: ", {
    "a short rest: idle", "the last chunk: idle", "64 KiB in pieces: idle",
    "64 KiB and a byte: unread_body", "chunks of 60 KiB: idle", "chunks without end: unread_body",
    "a rest that takes too long: unread_body", "a rest that never comes: unread_body",
    "a body up to the end of the connection: unread_body", "a stream of events: unread_body",
    "bad chunks: unread_body", "a rest and more: unsolicited",
    "a rest of a connection that ends: close_header",
})
leave_out("spec/connection/leaving_spec.lua", BY_HAND, "an unread body at close: ", {
    "is not waited for beyond the request's deadline",
})
leave_out("spec/connection/progress_spec.lua", BYTES, "time is ", {
    "idle from the last byte on that the peer took",
    "idle in the response's body, from the request's last byte on",
    "idle when nothing moves in either direction",
    "idle while the peer takes nothing, whatever it sends before its head is whole",
    "not idle while a reader pauses, and its peer therefore takes nothing",
    "not idle while nothing comes, but the peer takes the request's body",
    "not idle while the peer takes nothing, but a response comes",
})
leave_out("spec/connection/progress_spec.lua", BYTES, "the time to send ", {
    "is the idle time unless it is given by itself",
})
leave_out("spec/connection/progress_spec.lua", CLOCK, "time is not idle while ", {
    "it sleeps and the rest of an early response is waited for",
    "the body's function sleeps, three times as long",
})
leave_out("spec/connection/retry_spec.lua", BY_HAND, "a request over a stale connection ", {
    "does not go again after its time",
})
leave_out("spec/connection/retry_spec.lua", INSIDE, "a request over a stale connection ", {
    "does not go again when it was closed or cancelled on this side",
})
leave_out("spec/connection/time_spec.lua", BY_HAND, "time ", {
    "for the head runs from the request's last byte: 60 seconds",
    "for the head isn't lengthened by a byte now and then",
    "without progress in the body: 30 seconds, or what one says",
    "for everything ends at the deadline, in the head",
    "for everything ends at the deadline, in a body that drips",
})
leave_out("spec/connection/unasked_spec.lua", BYTES,
    "bytes that come before the first byte of a request went out ", {
        "are no response to it", "are no beginning of one",
        "are no response to a request whose body is a function either",
        "cost a client nothing but the connection",
    })
leave_out("spec/connection/upgrade_spec.lua", BY_HAND, "", {
    "a CONNECT request is answered by any 2xx with a tunnel, whatever its fields say",
    "an upgrade gives the stream, with the bytes behind the head first",
})
leave_out("spec/client_spec.lua", CLOCK, "client ", {
    "closes idle connections when their time is over, without any traffic",
    "keeps a connection as long as the peer says, but a second less",
    "leaves nothing behind when a request is cancelled at any point",
})
leave_out("spec/client_spec.lua", TURN, "client ", { "queues at its limits and serves in order" })
leave_out("spec/client_spec.lua", MANY, "client ", {
    "does not let the watch on idle connections keep a run alive",
    "moves to another backend only when it has nothing open",
})
leave_out("spec/client_spec.lua", BY_HAND, "client ", {
    "gives up waiting for a connection after the pool's time",
})
leave_out("spec/client/closing_spec.lua", MANY, "a client with many idle connections ", {
    "closes them all, one after the other",
    "closes them when asked, or when their time has come",
})
leave_out("spec/connection/time_spec.lua", CLOCK, "cancellation ", {
    "while a body is sent stops the body's function",
})
leave_out("spec/connection/idle_spec.lua", UNSEEN, REAL_IDLE .. "is closed by ", {
    "a byte", "a whole response", "a NUL", "a 408", "a 408 of HTTP/1.0", "three empty lines",
    "three empty lines one by one", "LF alone", "CR twice", "an empty line and a response",
})
leave_out("spec/connection/unasked_spec.lua", LONG, "bytes that a new connection brings along ", {
    "are no answer: the beginning of one",
})
leave_out("spec/connection/upgrade_spec.lua", LONG, "an upgrade leaves the place in ", {
    "its client's pool, on a real socket",
})
leave_out("spec/client_spec.lua", LONG, "client ", {
    "fails exchanges under way when it is closed, and refuses further ones",
})
leave_out("spec/connection/idle_spec.lua", UNSEEN, "an idle connection on a real socket ", {
    "leaves the pool when its peer closes: 50 of them at once",
})
leave_out("spec/connection/leaving_spec.lua", UNSEEN, "an unread body at close: ", {
    "leaves its connection to the next request, on a real socket",
})
leave_out("spec/connection/progress_spec.lua", CLOCK, "time is not idle while ", {
    "the script sleeps between two reads, twice as long",
})
leave_out("spec/client_spec.lua", INSIDE, "client ", {
    "makes a plain request once and keeps a bounded number of them",
})
leave_out("spec/client/preconnect_spec.lua", CLOCK, "client:preconnect ", {
    "says why there is none",
})
leave_out("spec/connection/idle_spec.lua", READS, "an idle connection on the mock ", {
    "is closed when the bytes came together with the end of the response before",
})
leave_out("spec/connection/leaving_spec.lua", CLOCK, "an unread body at close: ", {
    "is dropped until the connection is closed for another reason",
})
leave_out("spec/connection/expect_spec.lua", CLOCK, "expect ", {
    "takes a late 100 for what it is",
})
leave_out("spec/client/events_spec.lua", CLOCK, "res.timing ", {
    "tells how long there was no connection, and what was repeated",
})
leave_out("spec/client/redirect_spec.lua", CLOCK, "a redirect ", {
    "is under the one time limit of the call",
})
leave_out("spec/client/retry_policy_spec.lua", CLOCK, "a retry policy ", {
    "ends its wait when the task is cancelled",
    "gives the last response when all attempts have failed",
    "repeats errors of its kinds, and any method that was not sent",
    "sends a request again until it works",
    "sends again only what may be sent twice",
    "waits as long as the server asks for, if that isn't too long",
})
leave_out("spec/connection/upload_progress_spec.lua", BYTES, "upload_progress ", {
    "ends a body in the middle when it raises", "tells of a long string as the peer takes it",
})
leave_out("spec/connection/upload_progress_spec.lua", CLOCK, "upload_progress ", {
    "may wait, and the body waits with it",
})
leave_out("spec/client/cookies_spec.lua", PLACES, "the cookies option ", {
    "is checked before anything is sent",
})
leave_out("spec/client/auth_spec.lua", CLOCK, "a function as auth ", {
    "has the time of the request, and ends with its task",
})
leave_out("spec/client/digest_spec.lua", MANY, "digest auth ", {
    "remembers no more origins than it should",
})
leave_out("spec/client/late_binding_spec.lua", DIALS, "late binding: ", {
    "a connection that is freed serves who is dialed for; the new one is kept",
    "a new connection serves who waits, when it is there first",
    "the new one is closed when there is no room among the idle ones",
    "who was alone and dials itself takes what another has freed meanwhile",
    "a dial that fails tells who it was for, in the same words as if it were alone",
    "a dial that fails leaves its place to the next one that waits",
    "a dial that was begun for another goes by the limits of who waits now",
    "who is cancelled while it is dialed for frees the place in the same tick",
    "who is cancelled while it is dialed for leaves the dial to who has no place",
    "closing the client ends dials, and who waits for them",
    "what is raised while dialing is raised by the request, and the place is free",
    "ten requests at once need no more connections than the limit, in order",
})
leave_out("spec/client/preconnect_spec.lua", MANY, "a machine that has slept ", {
    "closes all that was idle meanwhile for too long, at the next look",
    "uses no connection that was idle meanwhile for too long",
})
leave_out("spec/client/preconnect_spec.lua", CLOCK, "client:", {
    "close(seconds) cuts short what is left after these seconds",
    "close(seconds) lets exchanges end, serves who waits, and closes idle connections at once",
    "close(seconds) returns at once when nothing is under way, and twice is harmless",
    "preconnect keeps them for as long as others, though no request ever comes",
    "preconnect opens connections ahead, which the next requests use",
})
leave_out("spec/client/stats_spec.lua", CLOCK, "", {
    "client:stats counts by state, for all origins and for each",
    "client:metrics gives the numbers in the text format of Prometheus",
    "client:stats tells how long requests waited for a connection",
    "client:stats tells why connections were closed, and how many were found stale",
    "connection:stats tells number, origin, state, times, requests, bytes and the reason of the"
        .. " end",
})
leave_out("spec/client/stats_spec.lua", TURN, "client:stats ", {
    "counts stale connections that were found by a request",
})
leave_out("spec/client/timeouts_spec.lua", CLOCK, "timeouts of a client ", { "end connecting" })
leave_out("spec/client/timeouts_spec.lua", BY_HAND, "timeouts of a client ", {
    "end waiting for the head, for the body, and the whole",
})
leave_out("spec/client/deadline_spec.lua", CLOCK, "a timeout in the phase tls, of ", {
    "tls, says which limit, how long and how far", "total, says which limit, how long and how far",
})
leave_out("spec/client/deadline_spec.lua", TLS, "a request over TLS that is cancelled ", {
    "says in which phase that was, at every quarter of a second, and leaves nothing",
})
leave_out("spec/client/deadline_spec.lua", BYTES, "a timeout in the phase write, of ", {
    "idle, says which limit, how long and how far", "total, says which limit, how long and how far",
})
leave_out("spec/client/deadline_spec.lua", CLOCK, "a timeout in the phase ", {
    "resolve, of connect, says which limit, how long and how far",
    "resolve, of total, says which limit, how long and how far",
    "connect, of connect, says which limit, how long and how far",
    "connect, of total, says which limit, how long and how far",
})
leave_out("spec/client/deadline_spec.lua", BY_HAND, "a timeout in the phase ", {
    "headers, of headers, says which limit, how long and how far",
    "headers, of total, says which limit, how long and how far",
    "body, of idle, says which limit, how long and how far",
    "body, of total, says which limit, how long and how far",
})
leave_out("spec/client/deadline_spec.lua", CLOCK, "a timeout ", {
    "in the queue of the pool, of pool, says so as well",
    "in the queue of the pool, of total, says so as well",
    "of the attempt at an address keeps the attempt's own time",
})
leave_out("spec/client/deadline_spec.lua", BY_HAND, "a timeout ", {
    "of a scope around a request says where that was, and how far",
})
leave_out("spec/client/deadline_spec.lua", CLOCK, "the time of a request ", {
    "clips the lookup, the connection and the handshake, each at what is left",
    "in the queue is one for a request and its retry, and what is between is not in it",
    "may be without end",
    "over a connection used by hand is told with that one's options",
})
leave_out("spec/client/deadline_spec.lua", BY_HAND, "the time of a request ", {
    "covers the body, and a reader's own pauses",
    "goes on over a retry",
    "goes on over the repetition without Expect",
    "that is over when a reader comes back is over at once",
})

leave_out("spec/client/cache_spec.lua", CLOCK, "a client with a cache ", {
    "asks once as long as the response is fresh",
    "asks whether what is too old is still right",
    "does without the server where the request says so",
    "doesn't come back to what a 304 has put in doubt",
    "gives what is too old where the server fails and allows that",
    "goes by the clock on the wall",
})
leave_out("spec/client/cache_changes_spec.lua", CLOCK, "a client with a cache ", {
    "answers HEAD from what GET has brought, and learns from HEAD",
})
leave_out("spec/client/cache_changes_spec.lua", INSIDE, "a client with a cache ", {
    "keeps nothing that has another length than it says",
})

return untranslated
