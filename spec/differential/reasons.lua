-- reasons.lua - why moonwire's answer is right where curl or undici answers otherwise.  An entry
-- holds for the cases whose name fits one of its patterns, as long as moonwire's verdict is the one
-- it names.

return {
    {
        moonwire = "refuses", title = "Another protocol, or another version of this one",
        "^version ", "^trace version_",
        why = "A status line begins with `HTTP/1.0` or `HTTP/1.1`, in capitals (RFC 9112, 2.3 and "
            .. "4). HTTP/0.9 has no status line, HTTP/2 and later have other bytes on the wire, "
            .. "RTSP and ICE have other rules for bodies: framed by the rules of HTTP/1.1, any of "
            .. "them may be read wrongly.",
    },
    {
        moonwire = "refuses", title = "Something else where the status line is due",
        "^status ", "^status line ", "^trace status_", "^trace bare_",
        why = "Three digits between single spaces, then the reason, then CRLF (RFC 9112, 4). "
            .. "The section lets a client be lenient with whitespace there, and names the price: "
            .. "responses can be split where two readers are lenient in two ways. A lone CR or "
            .. "LF before the line is no empty line (2.2).",
    },
    {
        moonwire = "takes", title = "Empty lines before the status line",
        "^status line \"\\r", "^empty lines before", "^trace empty_lines_before",
        why = "Some servers write one CRLF too many behind a body (RFC 9112, 2.2 says so of "
            .. "clients). Whole empty lines can't be taken for anything else; they count towards "
            .. "the limit on the head, so that they are not endless.",
    },
    {
        moonwire = "refuses", title = "Control bytes in the reason phrase",
        "^reason with the byte", "^trace reason_nul",
        why = "A reason is made of HTAB, SP, visible bytes and those above 0x7F (RFC 9112, 4). "
            .. "Programs write it into logs and onto terminals, so nothing else gets through.",
    },
    {
        moonwire = "refuses", title = "A head that is not whole",
        "^answer ",
        why = "A message whose head did not end is incomplete (RFC 9112, 8); the field that would "
            .. "have told the length of the body may be the one that is missing.",
    },
    {
        moonwire = "refuses", title = "More than the limits allow: fields, head, trailers, 1xx",
        "^fields: ", "^field of ", "^reason of ", "^empty lines before", "^trace header_many",
        "^trace header_large", "^trace header_10000",
        "^trace header_blanks_endless", "^trace reason_endless", "^trace empty_lines_endless",
        "^trailers: ",
        "^trace trailers_many", "^informational heads",
        why = "RFC 9110 leaves limits to the client (5.4), and without them a server can fill its "
            .. "memory (17.5). moonwire takes 64 KiB of head, counting the status line, empty "
            .. "lines and all 1xx heads, 256 fields, 64 trailer fields and 32 heads of 1xx; undici "
            .. "does not count the reason, empty lines or trailer fields at all. Each limit can "
            .. "be changed.",
    },
    {
        moonwire = "takes", title = "Large heads and trailers below the limits",
        "^field of ", "^trailer of ",
        why = "The limits are moonwire's own: 64 KiB of head (Node's is 16 KiB), 16 KiB of "
            .. "trailers (curl's is 4 KiB a line).",
    },
    {
        moonwire = "takes", title = "Whitespace around a field's value",
        "^field \"X%-A:", "^trace header_spaces",
        why = "Whitespace before and behind a value is no part of it and is taken off "
            .. "(RFC 9110, 5.5; RFC 9112, 5.1). undici leaves what stands behind.",
    },
    {
        moonwire = "refuses", title = "Folded fields",
        "^field .-\\r\\n[ \\]t?", "^trace header_fold", "^trace fold_", "^length fields .-\\r\\n ",
        "^coding fields .-\\r\\n ",
        why = "Folding is obsolete, and no server may send it (RFC 9112, 5.2). What a line means "
            .. "then depends on who reads it: curl 7.88, for one, takes `Content-Length: 4` "
            .. "folded with ` 5` for 4 and drops the rest. The section asks a user agent to put "
            .. "a space in place of each fold; moonwire refuses the response, since two "
            .. "readers that differ about a fold can be shown two messages. A client made with "
            .. "`compat = { obs_fold = true }` joins them, but never those that frame.",
    },
    {
        moonwire = "refuses", title = "Lines of the head that don't end with CRLF",
        "^field .-\\[nr]", "^field line", "^head that ends", "^trace header_lf", "^trace header_cr",
        "^trace header_end",
        why = "A client may take LF for the end of a line (RFC 9112, 2.2); one that does sees "
            .. "other fields than one that doesn't, and so can be shown another message than a "
            .. "proxy before it has seen. A CR without LF makes the message invalid.",
    },
    {
        moonwire = "refuses", title = "Bytes that no field value may have",
        "^field value with the byte", "^trace header_ctl", "^trace header_del",
        why = "CR, LF and NUL are invalid and dangerous, other control bytes are invalid (RFC "
            .. "9110, 5.5). A recipient may keep the latter where that is safe; a library can't "
            .. "know where its values go.",
    },
    {
        moonwire = "refuses", title = "Field names that are no tokens",
        "^field name with", "^field \"=?: v", "^field \" X%-A", "^field \"X%-A[ \\]t?: v",
        "^length fields \"Content%-Length[ \\]",
        "^coding fields \"Transfer%-Encoding[ \\]", "^trace header_empty_name",
        "^trace header_name", "^trace header_space_colon", "^trace header_leading_space",
        why = "A name is a token, and no whitespace stands between it and the colon (RFC 9110, "
            .. "5.1 and 5.6.2; RFC 9112, 5.1). `Transfer-Encoding : chunked` frames the message "
            .. "for those that strip the space and for nobody else: such a message has two ends.",
    },
    {
        moonwire = "refuses", title = "Transfer-Encoding and Content-Length in one head",
        "^coding fields .-Content%-Length", "^trace te_and_length", "^trace length_and_te",
        "^trace te_other_and_length", "^%S+ with both", "^trace head_both",
        why = "This is how responses are split and requests smuggled, and ought to be handled as "
            .. "an error (RFC 9112, 6.3). Bodiless answers make no difference: the same bytes may "
            .. "be read with a body by somebody else.",
    },
    {
        moonwire = "refuses", title = "Content-Length twice",
        "^length fields \"Content%-Length:", "^trace length_differing", "^trace length_twice",
        why = "Two different lengths are an error that can't be recovered from (RFC "
            .. "9112, 6.3), two equal ones may be refused (RFC 9110, 8.6). No server writes two on "
            .. "purpose, and whoever comes between may take either: curl takes the last.",
    },
    {
        moonwire = "refuses", title = "Content-Length that is not one number",
        "^length ", "^trace length_", "^20%d with a bad length", "^trace head_length_",
        "^304 with a bad length", "^informational %d+ with \"Content%-Length: x",
        why = "Digits and nothing else (RFC 9110, 8.6), and an invalid length is an error that "
            .. "can't be recovered from (RFC 9112, 6.3). A list of equal numbers may be read as "
            .. "one or refused, a list of different ones must be refused. curl reads as far as "
            .. "there are digits, and takes a number that is too large for no number at all. That "
            .. "a 1xx, 204 or 304 has no body does not make a bad length a good one.",
    },
    {
        moonwire = "refuses", title = "Transfer-Encoding in HTTP/1.0",
        "^coding in HTTP/1.0", "^trace te_1_0", "^trace head_te_1_0",
        why = "The framing of such a message is faulty (RFC 9112, 6.1): HTTP/1.0 has no transfer "
            .. "codings, so whoever wrote it did not write the body's framing.",
    },
    {
        moonwire = "refuses", title = "Transfer-Encoding that is not exactly `chunked`",
        "^coding ", "^trace te_", "^%S+ with a bad coding", "^trace not_modified_te",
        why = "moonwire asks for no other coding (it sends no TE), so a server may apply no other "
            .. "(RFC 9112, 7.4), and chunked comes last and once (6.1, 7.1). What the others do "
            .. "with an unknown coding, reading up to the end of the connection, hands the frames "
            .. "of the chunks to the script as its body; with `gzip, chunked` it gets a body that "
            .. "is still packed. An empty element in the list must be ignored by the letter of "
            .. "RFC 9110, 5.6.1; in this one field moonwire refuses it, since peers differ in it.",
    },
    {
        moonwire = "refuses", title = "More framing than body",
        "^chunks of one byte", "^chunk extension \";xxxxxx", "^trace chunk_ext_endless",
        "^trace chunk_zeros",
        why = "Chunk extensions ought to be limited (RFC 9112, 7.1.1 says so of servers), or "
            .. "the other side makes us read for ever for next to nothing. moonwire stops when the "
            .. "framing takes more than 16 KiB and more than half of what the body takes; the "
            .. "limit can be changed.",
    },
    {
        moonwire = "refuses", title = "Chunk sizes that are not just digits",
        "^chunk size \"[^6]", "^chunk lines .-0 \\r", "^trace chunk_size_[^l]",
        why = "A chunk's size is one or more hexadecimal digits (RFC 9112, 7.1). curl stops at the "
            .. "first byte that is no digit and drops the rest of the line, which is how two "
            .. "parsers come to see two bodies.",
    },
    {
        moonwire = "refuses", title = "Lines of the chunked framing that don't end with CRLF",
        "^chunk lines", "^chunk size \"6\"", "^trace chunk_data_lf", "^trace chunk_data_short",
        "^trace chunk_last_lf", "^trace chunk_size_lf",
        why = "Each line ends with CRLF, and so does the data of each chunk (RFC 9112, 7.1); the "
            .. "leave to take LF alone is for the head (2.2). Without the CRLF at the very end the "
            .. "body is incomplete (8).",
    },
    {
        moonwire = "takes", title = "Zeros before a chunk's size",
        "^chunk size", "^chunk lines",
        why = "The grammar has no limit on digits (RFC 9112, 7.1), only on the value. They count "
            .. "towards the limit on framing bytes.",
    },
    {
        moonwire = "refuses", title = "Chunk extensions that are none",
        "^chunk extension", "^trace chunk_ext_[cnsu]", "^trace chunk_ext_empty",
        why = "An extension has a name, which is a token, and a value that is a token or a quoted "
            .. "string (RFC 9112, 7.1.1). Extensions are dropped, but where they end is framing: "
            .. "a CR, LF or NUL in one is how two parsers come to see two bodies. Whitespace "
            .. "around `;` and `=` is refused as well, although the grammar has it as \"bad "
            .. "whitespace\" that is to be taken off: nobody sends it.",
    },
    {
        moonwire = "refuses", title = "Trailers that are no fields",
        "^trailer \"", "^trace trailers_length", "^trace trailers_ctl",
        "^trace trailers_cut", "^trace trailers_fold", "^trace trailers_lf",
        "^trace trailers_space",
        why = "A trailer section is made of field lines, by the same rules as a head (RFC 9112, "
            .. "7.1.2). A Content-Length in it is a second framing (RFC 9110, 6.5.1): llhttp "
            .. "refuses it, and so do we.",
    },
    {
        moonwire = "refuses", title = "101 that nobody asked for",
        "^informational 101", "^trace switching_unsolicited",
        why = "A server may switch only to a protocol that the client has offered (RFC 9110, 7.8); "
            .. "nothing was offered. What follows are bytes of a protocol that the script does not "
            .. "speak.",
    },
    {
        moonwire = "takes", title = "1xx heads before the answer",
        "^informational ", "^trace informational",
        why = "A client must be able to read 1xx heads, several and unexpected ones too, and "
            .. "goes on to the answer (RFC 9110, 15.2). undici gives the exchange up at any 100, "
            .. "and at any 1xx with `Connection: close`, which says only that the answer will be "
            .. "the last one.",
    },
    {
        moonwire = "takes", title = "204 and 304 with a Content-Length",
        "^[23]04 with a length", "^trace no_content", "^trace not_modified",
        why = "They have no body, whatever their fields say (RFC 9112, 6.3); in a 304 the length "
            .. "is that of the body which a 200 would have had (RFC 9110, 8.6). undici waits for "
            .. "that body.",
    },
}
