---@meta moonwire.core
-- Types of the C module for editors; never loaded.  Codes: 0 or more is success, below 0 an error
-- code that `core.error_name/kind/text` explains.  A method that fails returns `nil, code`.
-- Declarations have no bodies, so their arguments are unused:
-- luacheck: ignore 212 241

---@class moonwire.core
---@field EAGAIN integer @would block: wait, then try again
---@field EOF integer @the peer has closed its direction
---@field ECLOSED integer @closed on this side
---@field ETIMEOUT integer @the wait's time ran out
---@field ECANCELLED integer
---@field STIRRED integer @of Tcp:ask: there is something to read
---@field LATE integer @of Tcp:ask: the limit has passed
---@field STUCK integer @of Tcp:ask: the coroutine can't wait
---@field codes table<string, integer> every code by its name, "EH1_LENGTH" and so on
---@field WAIT lightuserdata what a coroutine yields while it waits; compare, never make
---@field state table one private table per Lua state, the same however often the module is loaded
local core = {}

---@param code integer
---@return string name "ECONNREFUSED", "EH1_LENGTH"
function core.error_name(code) end
---@return string kind the err.kind of DESIGN.md; "system" for an errno
function core.error_kind(code) end
---@return string text a part of a sentence
function core.error_text(code) end
---@return integer errno 0 when the code is no system error
function core.error_errno(code) end
--- The code of a system error of which only the words are known ("connection refused").
---@param words string
---@return integer? code
function core.error_code(words) end

-- The loop ---------------------------------------------------------------------------------------

--- Makes a loop: its own, or on a host's `struct ev_loop *` (then the host calls ev_run, and ready
--- threads are resumed from inside it; the loop lives until `close`, forgotten or not).
---@param host lightuserdata?
---@return moonwire.core.Loop? loop, integer? code EMFILE and its like
function core.loop(host) end
--- Whether a coroutine is the one that runs, and may yield.
---@param coroutine thread?
---@return boolean
function core.can_wait(coroutine) end
--- Monotonic seconds, read afresh, for who has no loop.
---@return number
function core.now() end

--- Bytes that nobody can foretell.
---@param n integer 0 to 256
---@return string
function core.random_bytes(n) end

--- A hash in the making: "MD5", "SHA-256", "SHA-512-256" or "SHA-512".
---@param name string
---@param ... string its first pieces
---@return moonwire.core.Digest? digest
---@return integer? code EINVAL: there is no such hash, or this OpenSSL has it not
function core.digest(name, ...) end

---@class moonwire.core.Digest
local Digest = {}
--- Adds further pieces; raises once the hash is finished.
---@param ... string
function Digest:add(...) end
--- The hash, and the end of it.
---@return string hexadecimal in lower case
function Digest:finish() end

---@class moonwire.core.Loop
local Loop = {}
--- Monotonic seconds, read afresh.
---@return number
function Loop:now() end
--- The parking place of one coroutine. Without a coroutine it stands for the code that runs outside
--- any task: its waits run the loop in place until they are over, and raise what a thread of this
--- loop died of meanwhile (with its traceback; each such error once).
---@param co thread?
---@param ... any what the coroutine begins with; without any it is the code of the wake
---@return moonwire.core.Thread
function Loop:thread(co, ...) end
--- Lets run what is ready, after a wait for events of at most so many seconds; a host's loop is
--- left to the host, and then there is no wait. Raises what a thread died of, like a wait in place.
---@param seconds number? nil: until there is an event
---@return integer? resumed how many threads ran
---@return integer? code ECLOSED, EDEADLOCK
function Loop:step(seconds) end
---@return boolean closed by close(), or because the host has destroyed its own
function Loop:is_closed() end
--- What is open: {threads = waiting threads, watchers = what can end their waits (fds, timers,
--- signals), tcp = open sockets, lookups = DNS lookups that somebody waits for}.
---@return table<string, integer>
function Loop:stats() end
--- Calls nothing itself: `thread` is woken with the signal's number whenever it arrives, as soon as
--- it waits. The handler is there until the signal is closed or collected. A process has one loop
--- per signal: EBUSY when it is another one.
---@param number integer
---@param thread moonwire.core.Thread
---@return moonwire.core.Signal? signal, integer? code
function Loop:signal(number, thread) end
--- Sets the thread (one that has never run) that is begun, once, when a guard is stirred: it takes
--- the tokens and sets the next one.
---@param thread moonwire.core.Thread
function Loop:sentry(thread) end
---@return number? token of a guard that is stirred, once; nil: of none
function Loop:take_stirred() end
--- Frees what the loop has; waiting threads are dropped, sockets closed. Twice is harmless.
function Loop:close() end
---@return moonwire.core.Tcp tcp closed as yet
function Loop:tcp() end
--- Connects where that needs no wait, as it mostly doesn't on the same machine. Arguments as for
--- Tcp:connect.
---@param family "ipv4"|"ipv6"|"unix"
---@param address string
---@param port integer?
---@param from string?
---@return moonwire.core.Tcp? tcp
---@return integer? code EAGAIN: it would have to wait, and was given up
function Loop:connect_now(family, address, port, from) end
--- Nothing is read or opened before the first lookup that needs it. `timeout` (seconds of the first
--- try) and `tries`: the system's when absent.
---@param options? {servers: string[]?, timeout: number?, tries: integer?}  servers: "127.0.0.1:53"
---@return moonwire.core.Dns
function Loop:dns(options) end

---@class moonwire.core.Signal
local Signal = {}
--- Twice is harmless.
function Signal:close() end

---@class moonwire.core.Thread
local Thread = {}
--- Parks the calling thread until `wake`, or until `seconds` are over (nil: no limit). MUST be
--- called as `return thread:wait(s)` or `local code = thread:wait(s)` by code that runs in this
--- thread (or in a coroutine that this thread resumed through the patched coroutine.resume/wrap):
--- it yields core.WAIT. Raises when the coroutine can't yield (a C call in between) or when the
--- thread waits already.
---@return integer code what wake gave, ETIMEOUT, ECLOSED (the loop is), or EDEADLOCK: outside any
---  task, when nothing is left that could end the wait
function Thread:wait(seconds) end
--- Ends the thread's wait, of whatever kind, with `code` (any integer); a thread that has never run
--- is started by it. Returns false when it isn't waiting (or already woken): nothing is kept.
---@return boolean
function Thread:wake(code) end
--- False also between the wake and the moment it runs.
---@return boolean
function Thread:is_waiting() end

-- Sockets: no method waits but `wait` ------------------------------------------------------------

---@class moonwire.core.Tcp
local Tcp = {}
--- Starts to connect. family "ipv4" | "ipv6" | "unix"; address is numeric, or the socket's path.
--- Raises when it is neither. ESTATE on an open socket.
--- `from`: the numeric address of this side, of the same family.
---@return true? ok, integer? code EAGAIN: wait for "write", then connect_result
function Tcp:connect(family, address, port, from) end
---@return true? ok, integer? code
function Tcp:connect_result() end
---@return true? ok, integer? code
function Tcp:listen(family, address, port, backlog) end
--- Takes one connection into `into` (a closed tcp).
---@return true? ok, integer? code
function Tcp:accept(into) end
--- At most `max` bytes (64 KiB when not given, 1 MiB at most), as soon as there are any. Like all
--- that moves bytes, EAGAIN also after 32 successes in a row: the others' turn.
---@return string? data, integer? code EAGAIN, EOF or an error
function Tcp:recv(max) end
--- The same, whosever turn it is: EAGAIN means that there is nothing.
---@return string? data, integer? code
function Tcp:recv_now(max) end
--- Receives straight into the codec's buffer; h1:next() then has something to say.
---@param h1 moonwire.core.H1
--- A receive that gives less than there was room for has emptied the socket: until the loop has
--- told of more, recv and recv_into say EAGAIN without asking the system.
---@return integer? n, integer? code EAGAIN, EOF or an error
function Tcp:recv_into(h1) end
--- As recv_into, but where much of a body is still to come its bytes are dropped, and the codec
--- only counts them.
---@param h1 moonwire.core.H1
---@return integer? n, integer? code
---@return string? why "patient", with EAGAIN: a few bytes may be there nevertheless. Who has waited
---  for a moment calls look()
function Tcp:skip(h1) end
--- The same, but they are written where the file stands; that may keep it waiting.
---@param h1 moonwire.core.H1
---@param file file*
---@return integer? n, integer? code
---@return string? why "patient", or "file": the error is the file's, which has not all that came
function Tcp:save(h1, file) end
--- Has skip and save ask the system again.
function Tcp:look() end
--- Sends data from byte `from` (1-based) on.
---@return integer? n how many bytes went out (> 0), integer? code
function Tcp:send(data, from) end
--- Sends all that the codec has to say with as few system calls as possible.
---@return true? ok, integer? code EAGAIN: some may have gone; wait for "write" and call again
function Tcp:send_from(h1) end
--- Sends a request that goes out whole, unless something stands against it: is_quiet,
--- h1:send_whole and send_from in one.
---@param h1 moonwire.core.H1
---@param head moonwire.core.RequestHead
---@param text string? the body
---@param co thread? who will wait for the answer: nothing is sent if it can't
---@param limit number nothing is sent from that time on
---@param now number? the time, if it is known
---@return integer code 0; EAGAIN: some is still to be sent; an error; or, and then nothing was
---  sent, core.STIRRED (there is something to read, or the end), core.LATE, core.STUCK (`co`)
---@return number now
function Tcp:ask(h1, head, text, co, limit, now) end
--- Receives once, and gives what the codec says of it: recv_into, feed_eof and next_answer in one.
---@param h1 moonwire.core.H1
---@param ends boolean? finish() as well, if the exchange is complete with it
---@return string? event, any ... what next_answer gives, and behind a head's eight values the
---  time, and what finish() gives; nil, code, "socket" where it is the socket that has nothing
function Tcp:answer(h1, ends) end
--- h1:finish(); when another exchange may follow, the socket is guarded again with the last token.
---@param h1 moonwire.core.H1
---@return boolean reusable, number|string|nil timeout_or_reason, integer? max
function Tcp:finish(h1) end
--- As send_from, where bytes of the body come out of a file, from `offset` on, that h1:send_past
--- has told of: sends up to their end. Where the file stands doesn't change.
---@param h1 moonwire.core.H1
---@param file file* a regular one
---@param offset integer
---@return true? ok, integer code 0 when ok; EAGAIN: wait for "write" and call again
---@return integer offset where to go on
---@return string? where "file": the error is the file's; EOF: it has no more bytes
function Tcp:send_file(h1, file, offset) end
--- Waits until the socket is readable ("read"), writable ("write") or either ("both").
---@param thread moonwire.core.Thread the calling thread
---@param direction string
---@param seconds number?
---@param now number? the time they are counted from, where it is known
---@return integer code 0, ETIMEOUT, ECLOSED (tcp:close was called), or what thread:wake gave;
---  raises when another thread waits for that direction
function Tcp:wait(thread, direction, seconds, now) end
--- Nothing to read and no EOF: fit for another request (MSG_PEEK).
---@return boolean
function Tcp:is_quiet() end
--- Looks after an idle socket: when there is something to read, or the end, the token is stirred
--- (Loop:take_stirred), once. A wait to read, a byte sent and close take it back. Costs no system
--- call, and keeps no loop going.
---@param token number
function Tcp:guard(token) end
--- Half close: no more writing.
---@return true? ok, integer? code
function Tcp:shutdown() end
--- Closes at once; whoever waits on it is woken with ECLOSED. Twice is harmless.
function Tcp:close() end
---@return boolean
function Tcp:is_closed() end
---@return string? address, integer? port, string? family
function Tcp:peer() end
---@return string? address, integer? port, string? family
function Tcp:name() end
---@return integer fd -1 when it is closed
function Tcp:fd() end

-- TLS --------------------------------------------------------------------------------------------

--- Options made ready (moonwire.TlsOptions, checked before): ca_file, ca_path, ca, cert, key,
--- key_password, min_version, max_version, ciphers (of TLS 1.2), suites (of 1.3), all strings; alpn
--- as on the wire; pins, 32 bytes each; unverified; server. Files are read now.
---@param options table
---@return moonwire.core.TlsContext? context, integer? code, string? detail what is wrong
function core.tls_context(options) end
---@class moonwire.core.TlsContext
local TlsContext = {}
---@return string words where CAs are looked for
function TlsContext:source() end

--- What a later connection may begin with; used up by that.
---@class moonwire.core.TlsSession

--- One end of TLS, on an open socket, or in memory (nil). `host`: whom the certificate must name;
--- nil for a server, and only there.
---@param context moonwire.core.TlsContext
---@param socket moonwire.core.Tcp?
---@param host string?
---@param session moonwire.core.TlsSession?
---@return moonwire.core.Tls? tls, integer? code
function core.tls(context, socket, host, session) end

--- It has the methods of an open Tcp as well; `recv` gives EOF behind close_notify only, and
--- ETLS_TRUNCATED where the socket just ends; `is_quiet` passes over session tickets; `shutdown`
--- sends close_notify; `close` does so if that is possible at once, and closes the socket.
---@class moonwire.core.Tls: moonwire.core.Tcp
local Tls = {}
---@return true? ok, integer? code, string? direction "read" or "write": what EAGAIN waits for
function Tls:handshake() end
---@return string words on the last error, "" for none
function Tls:error_detail() end
---@return string? version, string? cipher, string? alpn, boolean? resumed
function Tls:info() end
---@return moonwire.core.TlsSession? session the newest, once; also after close
function Tls:take_session() end
--- In memory: bytes from the peer, their end, and bytes for the peer.
---@return true? ok, integer? code
function Tls:feed(data) end
function Tls:feed_eof() end
---@return string
function Tls:output() end
function Tls:output_sent(n) end

---@class moonwire.core.Dns
local Dns = {}
--- Looks a name up (A and AAAA side by side, /etc/hosts, numeric, localhost without a network) and
--- parks the calling thread. What needs no network is answered without a wait.
---@return integer code 0, ETIMEOUT, ENOTFOUND, ENODATA, ERESOLVE, EBADNAME, ECLOSED, or what
---  thread:wake gave
function Dns:lookup(thread, host, seconds) end
--- The same for one family.
---@return integer code
function Dns:lookup_ipv4(thread, host, seconds) end
---@return integer code
function Dns:lookup_ipv6(thread, host, seconds) end
--- The last lookup's addresses of this thread, once, in the order in which to try them (64 at
--- most): {{family = "ipv6", address = "2001:db8::1", ttl = 60}, ...}; ttl: seconds, nil for those
--- that nobody was asked for
---@return table[]
function Dns:take(thread) end
function Dns:close() end

-- HTTP/1.1: bytes in, events out; events in, bytes out -------------------------------------------

--- An ordered list of header fields; names are compared without case and kept as given.
--- `h["content-type"]` reads the first value; names of methods win over fields in that form.
---@class moonwire.core.Headers
local Headers = {}
---@return moonwire.core.Headers
function core.headers() end
--- The first value of that name.
---@param name string
---@return string?
function Headers:get(name) end
--- All values of that name, in their order.
---@param name string
---@return string[]
function Headers:get_all(name) end
--- Appends. Raises on a bad name or value (a number is taken as its string).
---@param name string
---@param value string|number
function Headers:add(name, value) end
--- Replaces all fields of that name by one. Raises as add does.
---@param name string
---@param value string|number
function Headers:set(name, value) end
--- Takes all fields of that name away.
---@param name string
---@return integer removed how many
function Headers:remove(name) end
--- Whether there is a field of that name.
---@param name string
---@return boolean
function Headers:has(name) end
--- for name, value in h:each() do: all fields in their order.
---@return fun(): string?, string?
function Headers:each() end
--- How many fields there are.
---@return integer
function Headers:count() end
--- A list of its own with the same fields.
---@return moonwire.core.Headers
function Headers:copy() end

--- The checked and serialised head of a request; immutable, used by any number of codecs.
--- framing: nil (no body), an integer (Content-Length) or "chunked".
--- Raises with the argument named on a bad method, target, name or value, and on headers that
--- moonwire sets itself (Content-Length, Transfer-Encoding, Connection, Keep-Alive, Upgrade,
--- Expect, a second Host). A Host header must be in `headers`. POST, PUT and PATCH without a body
--- say Content-Length: 0.
---@param opts? {close: boolean?, trailers: boolean?, expect: boolean?, upgrade: string?}  close:
---  "Connection: close" is sent; trailers: "TE: trailers"; expect: "Expect: 100-continue", with a
---  body only; upgrade: the protocols to offer, "websocket" or "h2c, foo/2"
---@return moonwire.core.RequestHead
function core.request_head(method, target, headers, framing, opts) end
---@class moonwire.core.RequestHead
local RequestHead = {}
---@return string bytes the head as it is sent
function RequestHead:bytes() end

---@class moonwire.core.H1
local H1 = {}
--- role "client" or "server". limits: {head_bytes, header_count, chunk_overhead, trailer_bytes,
--- trailer_count, informational}, each optional. compat: what is taken from a peer although it is
--- wrong, and refused otherwise: obs_fold, a field over several lines, which are joined by one
--- space, but never in a field that frames the message or steers the connection.
---@param compat? {obs_fold: boolean?}
---@return moonwire.core.H1
function core.h1(role, limits, compat) end

-- out (each returns true, or nil and a code; MW_ESTATE when it is not the time for it)
--- Client: begins an exchange with a request head.
---@param head moonwire.core.RequestHead
function H1:send_request(head) end
--- The same with all of the body, if there is one, and its end.
---@param head moonwire.core.RequestHead
---@param body string?
function H1:send_whole(head, body) end
--- Server: an informational (1xx) or final response. framing as in request_head; a response that
--- can't have a body (HEAD, 1xx, 204, 304) gets none. framing "close": ends with the connection.
--- `opts.close`: says Connection: close and isn't reusable.
function H1:send_response(status, reason, headers, framing, opts) end
--- A piece of the body (not empty); framed as the head said. The string is kept until sent.
--- Only when the piece before has been sent (H1:has_output() is false), or right after the head.
function H1:send_body(data) end
--- The same for so many bytes (1 GiB at most) that the caller sends itself, past the codec, when it
--- is their turn: Tcp:send_file does that.
---@param n integer
function H1:send_past(n) end
--- Ends the body. EBODY_SHORT when bytes are missing. Trailers with "chunked" only.
---@param trailers moonwire.core.Headers?
function H1:send_end(trailers) end
--- The message can't be finished: nothing more is sent, the connection isn't reusable.
function H1:send_abort() end
---@return boolean
function H1:has_output() end
--- For streams without send_from: up to max bytes of what is to be sent, and how many were.
---@return string
function H1:output(max) end
function H1:output_sent(n) end
--- How many bytes go past the codec next; 0: output first, or nothing.
---@return integer
function H1:output_past() end

-- in
--- Lends bytes; only when `next` said "need_data".
function H1:feed(data) end
function H1:feed_eof() end
--- For streams without Tcp:skip: how many bytes of the body may be received past the codec now, in
--- place of feeding them; math.huge where the body ends with the connection.
---@return number
function H1:past() end
--- So many were; what `next` says follows behind them.
---@param n integer
function H1:received_past(n) end
--- The next event:
---   "need_data"                feed, feed_eof, or Tcp:recv_into
---   "head"                     take with h1:head()
---   "informational"            the same; a final head follows
---   "body", data               at most `max` bytes (nil: all there is)
---   "end"                      h1:trailers(); no further event in this exchange
---   "upgraded"                 after 101 or a CONNECT tunnel: h1:leftover() and no more events
---   nil, code                  sticky
---@param max integer?
---@return string? event, string|integer|nil data_or_code
function H1:next(max) end
--- As next, with the parts of a head behind "head" and "informational" (see head()): status,
--- reason, http_version and headers, or method, target, http_version and headers. Behind "head"
--- and these comes all of the body that is here, in one string or nil, and the event behind it,
--- which is never "body"; behind "end" the trailers, if there are any, and behind nil the code.
--- The headers of a final head are only to be read: an equal head gives the same object again.
---@return string? event, any status_method_or_code, string? reason_or_target, string? http_version
---@return moonwire.core.Headers? headers
---@return string? body, string? behind, moonwire.core.Headers|integer|nil trailers_or_code
function H1:next_answer() end
--- As next, but body bytes are counted and dropped: never returns "body".
function H1:next_discard() end
--- As next, but body bytes are written to an open io file: never returns "body"; nil, code, "file"
--- when the file could not be written.
function H1:next_to_file(file) end
--- Client: {status, reason, http_version, headers};
--- server: {method, target, http_version, headers}.
--- http_version is "1.0" or "1.1". Raises when `next` has not said "head" or "informational".
---@return table
function H1:head() end
---@return moonwire.core.Headers? nil: there were none
function H1:trailers() end
--- Bytes behind the message (after "end" or "upgraded").
---@return string
function H1:leftover() end
--- More words on the sticky error: which rule was broken, where.
---@return string?
function H1:error_detail() end

-- exchange
--- Both messages are complete and nothing forbids another exchange (HTTP-RULES 1.2).
---@return boolean reusable, string? reason why not: "close_header" "unread_body" "unsolicited"
---  "not_self_delimited" "incomplete" "upgraded" "error" "eof" "http_1_0"
function H1:reusable() end
--- Readies a reusable codec for the next exchange (server: leftover bytes stay in line).
---@return true? ok, integer? code
function H1:restart() end
--- A client's codec goes over to another connection, between two exchanges; counters begin anew.
---@return true? ok, integer? code ESTATE: an exchange is under way, or there are bytes to read
function H1:move() end
--- Ends the exchange: reusable, keep_alive and restart in one.
---@return boolean reusable the codec is ready for another exchange
---@return number|string|nil timeout of keep_alive; or the reason why it isn't
---@return integer? max of keep_alive
function H1:finish() end
--- The request is out and its end too / the response is in.
---@return boolean sent, boolean received
function H1:done() end
--- For the response: {kind = "length"|"chunked"|"close"|"none", length = integer?};
--- valid after "head".
---@return string kind, number? length
function H1:framing() end
--- Parsed from the Keep-Alive header: seconds and max, nil where absent; and whether "close" was
--- said.
---@return number? timeout, integer? max
function H1:keep_alive() end
--- Counters of this codec: bytes_in, bytes_out (as framed), body_in, body_out (what of these is
--- body).
---@return integer, integer, integer, integer
function H1:bytes() end
--- The same of a client's exchange, from send_request on until restart; all 0 where no request is
--- out.
---@return integer, integer, integer, integer
function H1:exchange_bytes() end
--- The same of the last exchange, also when it is over: until the next one begins, or move.
---@return integer, integer, integer, integer
function H1:last_bytes() end

-- Values -----------------------------------------------------------------------------------------

--- Splits and checks a URL (uriparser, libidn2, HTTP-RULES 1.17): {scheme, userinfo?, host, port?,
--- path, query?, fragment?, host_kind = "name"|"ipv4"|"ipv6"}.
---@param url string
---@param keep_dots boolean? leave dot segments in the path
---@return table? parts
---@return string? message
function core.parse_url(url, keep_dots) end
--- RFC 3986 section 5.2 reference resolution.
---@return string? url, string? message
function core.resolve_url(base, reference) end
--- The newest list of public suffixes there is: the system's, or the one built into libpsl.
---@return moonwire.core.PublicSuffixes? suffixes nil where there is none
function core.public_suffixes() end

---@class moonwire.core.PublicSuffixes
local PublicSuffixes = {}

--- The part of a host name that somebody has registered: "example.co.uk" of "www.example.co.uk".
---@param name string in lower case, no numeric address, without a dot at its end
---@return string? name nil: it is a public suffix itself
function PublicSuffixes:registered(name) end

--- Makes `data` the content of a file, of mode 0600, at once for whoever reads it. A link is
--- replaced, not what it leads to.
---@param path string
---@param data string
---@return true? done
---@return integer? code
function core.replace_file(path, data) end

--- A numeric address in the one way of writing it; an IPv4-mapped IPv6 address is the IPv4 address
--- that it stands for.
---@return string? address nil: it is none
---@return "ipv4"|"ipv6"|nil family
function core.parse_address(text) end
--- What the system would send from to a numeric address. No packet is sent.
---@return string? address nil: there is no way
---@return integer? code
function core.source_of(text) end
--- Whether the first of two ways is tried before the other (RFC 6724 section 6): numeric addresses
--- and what they are sent to from, nil where there is no way.
---@param to string
---@param from string?
---@param other_to string
---@param other_from string?
---@return boolean
function core.is_better_route(to, from, other_to, other_from) end
--- Takes content codings off, those that are named in the order in which they were put on: one or
--- two of "gzip", "deflate", "br" and "zstd".
---@return moonwire.core.Coding? coding, integer? code
function core.decoder(...) end
--- Puts one on.
---@param name string
---@return moonwire.core.Coding? coding, integer? code
function core.encoder(name) end

--- Bytes in, bytes out, a window of 64 KiB at a time.
---@class moonwire.core.Coding
local Coding = {}
--- Before the first next(), and once it has said "need_data".
---@param data string
function Coding:feed(data) end
function Coding:feed_eof() end
--- "end" comes at the end of the input, or earlier when what follows is no part of the coded bytes.
---@param max integer? bytes at once; 64 KiB is the most
---@return "data"|"need_data"|"end"|nil event
---@return string|integer|nil bytes or code: ECODING, ECODING_TRUNCATED, ECODING_LIMIT, ENOMEM
function Coding:next(max) end
--- Bytes that came in and were used, and those that came out.
---@return integer, integer
function Coding:bytes() end
--- Gives the memory back; twice is harmless, all else raises from then on.
function Coding:close() end

return core
