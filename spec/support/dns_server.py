# A small DNS server for spec/io/dns_spec.lua.  It prints its port and answers by name:
#   both.test            A 192.0.2.1, 192.0.2.2 and AAAA 2001:db8::1
#   four.test, six.test  one family only, the other has no data
#   nodata.test          exists without addresses
#   fails.test           SERVFAIL
#   silent.test          no answer at all
#   slow.test            A 192.0.2.9 after 0.2 s
#   garbage.test         bytes that are no message
#   many.test            100 A records, too long for UDP: truncated there, whole over TCP
#   ttl-N-*.test         A 127.0.0.1 with a TTL of N seconds
#   late6-*.test         A 127.0.0.1 at once, AAAA ::1 after 0.3 s
#   no6-*.test           A 127.0.0.1 at once, no answer about AAAA
#   local-*.test         A 127.0.0.1 and AAAA ::1
#   mapped-*.test        AAAA ::ffff:127.0.0.1, no A
#   cname-N-*.test       A 127.0.0.1 behind N CNAMEs
#   ring-*.test          CNAMEs that lead to each other
#   fail6-*, nx6-*, refuse6-*.test  A 127.0.0.1; SERVFAIL, NXDOMAIN or REFUSED about AAAA
# A 127.0.0.1 after 0.1 s, and before that 192.0.2.66 in an answer that is none:
#   wrongid-*.test       it has another id
#   wrongname-*.test     it answers another question
#   wrongport-*.test     it comes from another port
# Answers that are broken, or hold what nobody asked for:
#   loop-*.test          a name that is compressed into itself
#   cut-*.test           the last record ends behind the message
#   liar-*.test          A 127.0.0.1, and records about another name
# Answers about A that don't fit into UDP, and over TCP:
#   huge-*.test          has 4000 addresses
#   hang-*.test          is waited for in vain
#   half-*.test          ends in the middle
# and anything else with NXDOMAIN.  The TXT record of count.NAME says how many questions about NAME
# have come over UDP.
import os
import select
import socket
import struct
import sys
import time

A, CNAME, TXT, AAAA = 1, 5, 16, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
FAILS6 = {"fail6": SERVFAIL, "nx6": NXDOMAIN, "refuse6": REFUSED}
LIES = ("wrongid", "wrongname", "wrongport")

RECORDS = {
    "both.test": {A: ["192.0.2.1", "192.0.2.2"], AAAA: ["2001:db8::1"]},
    "four.test": {A: ["192.0.2.4"]},
    "six.test": {AAAA: ["2001:db8::6"]},
    "slow.test": {A: ["192.0.2.9"]},
    "nodata.test": {},
    "many.test": {A: ["10.0.0.%d" % i for i in range(1, 101)]},
}

COUNTS = {}


def records_of(name):
    """The records by kind and their TTL; None: there is no such name."""
    word = name.split("-")[0]
    if word == "ttl":
        return {A: ["127.0.0.1"]}, int(name.split("-")[1])
    if word in ("late6", "no6", "local"):
        return {A: ["127.0.0.1"], AAAA: ["::1"]}, 60
    if word == "mapped":
        return {AAAA: ["::ffff:127.0.0.1"]}, 60
    if word in FAILS6 or word in LIES or word in ("liar", "loop", "cut"):
        return {A: ["127.0.0.1"]}, 60
    if word in ("huge", "hang", "half"):
        return {A: ["10.1.%d.%d" % (i // 250, i % 250) for i in range(4000)]}, 60
    return RECORDS.get(name), 60


def parse(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    kind = struct.unpack(">H", query[at + 1 : at + 3])[0]
    return ".".join(labels), kind, query[12 : at + 5]


def wire(name):
    return b"".join(bytes([len(one)]) + one.encode() for one in name.split(".")) + b"\0"


def record(owner, kind, ttl, data):
    return owner + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def data_of(kind, text):
    if kind == TXT:
        return bytes([len(text)]) + text.encode()
    return socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, text)


def chain(name, kind):
    """The records of cname-N-*.test and ring-*.test."""
    steps, owner, records = name.split("-"), name, []
    count = 2 if steps[0] == "ring" else int(steps[1])
    for step in range(count):
        target = name if steps[0] == "ring" and step == 1 else "%d.%s" % (step, name)
        records.append(record(wire(owner), CNAME, 60, wire(target)))
        owner = target
    if kind == A and steps[0] != "ring":
        records.append(record(wire(owner), A, 60, data_of(A, "127.0.0.1")))
    return records


def answer(query, name, kind, question):
    code, records, word = NXDOMAIN, [], name.split("-")[0]
    known, ttl = records_of(name)
    here = b"\xc0\x0c"
    if name == "fails.test":
        code = SERVFAIL
    elif kind == AAAA and word in FAILS6:
        code = FAILS6[word]
    elif kind == TXT and name.startswith("count."):
        count = str(COUNTS.get(name[len("count.") :], 0))
        code, records = NOERROR, [record(here, TXT, 0, data_of(TXT, count))]
    elif word in ("cname", "ring"):
        code, records = NOERROR, chain(name, kind)
    elif known is not None:
        code = NOERROR
        records = [record(here, kind, ttl, data_of(kind, one)) for one in known.get(kind, [])]
    if word == "liar" and kind == A:
        records.append(record(wire("other.test"), A, 60, data_of(A, "192.0.2.66")))
    if word == "loop":
        at = 12 + len(question)
        records = [record(struct.pack(">H", 0xC000 | at), kind, 60, data_of(A, "192.0.2.66"))]
    if word == "cut" and records:
        records = [records[0][:-6] + b"\x40\0" + records[0][-4:]]
    head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
    return head + question + b"".join(records)


def lie(query, name, question):
    """An answer that is none, and whether it comes from another port."""
    word = name.split("-")[0]
    start, asked = query[:2], question
    if word == "wrongid":
        start = bytes([query[0] ^ 1, query[1]])
    elif word == "wrongname":
        asked = wire("x" + name[1:]) + question[-4:]
    head = start + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
    return head + asked + record(b"\xc0\x0c", A, 60, data_of(A, "192.0.2.66"))


def exact(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return data


def serve_tcp(connection):
    """One question; the client opens another connection for another."""
    head = exact(connection, 2)
    query = head and exact(connection, struct.unpack(">H", head)[0])
    if query:
        name, kind, question = parse(query)
        data = answer(query, name, kind, question)
        data = struct.pack(">H", len(data)) + data
        if name.startswith("hang-"):
            return True
        connection.sendall(data[: len(data) // 2] if name.startswith("half-") else data)
        return not name.startswith("half-")
    return False


def serve_udp(server, late):
    query, peer = server.recvfrom(4096)
    name, kind, question = parse(query)
    data = answer(query, name, kind, question)
    COUNTS[name] = COUNTS.get(name, 0) + 1
    if name == "silent.test" or kind == AAAA and name.startswith("no6-"):
        return
    if name == "garbage.test":
        data = b"\x00\x01not a message"
    if len(data) > 512:
        data = query[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + question
    delay = {"slow.test": 0.2}.get(name, 0.3 if name.startswith("late6-") else 0.1)
    if kind == A and name.split("-")[0] in LIES:
        if name.startswith("wrongport"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(lie(query, name, question), peer)
        else:
            server.sendto(lie(query, name, question), peer)
        late.append((time.monotonic() + delay, data, peer))
    elif name == "slow.test" or kind == AAAA and name.startswith("late6-"):
        late.append((time.monotonic() + delay, data, peer))
    else:
        server.sendto(data, peer)
    late.sort(key=lambda one: one[0])


def open_both():
    """A port that is free for UDP and for TCP."""
    while True:
        listener = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(listener.getsockname())
            return listener, udp
        except OSError:
            listener.close()
            udp.close()


def main():
    listener, udp = open_both()
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(str(udp.getsockname()[1]))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    late, connections = [], []
    while True:
        wait = max(0, late[0][0] - time.monotonic()) if late else None
        ready = select.select([udp, listener] + connections, [], [], wait)[0]
        while late and late[0][0] <= time.monotonic():
            udp.sendto(*late.pop(0)[1:])
        for one in ready:
            if one is udp:
                serve_udp(udp, late)
            elif one is listener:
                connections.append(listener.accept()[0])
            elif not serve_tcp(one):
                connections.remove(one)
                one.close()


main()
