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
# and anything else with NXDOMAIN.  The TXT record of count.NAME says how many questions about NAME
# have come over UDP.
import os
import select
import socket
import struct
import sys
import time

A, TXT, AAAA = 1, 16, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3

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
    return RECORDS.get(name), 60


def parse(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    kind = struct.unpack(">H", query[at + 1 : at + 3])[0]
    return ".".join(labels), kind, query[12 : at + 5]


def answer(query, name, kind, question):
    code, records = NXDOMAIN, []
    known, ttl = records_of(name)
    if name == "fails.test":
        code = SERVFAIL
    elif kind == TXT and name.startswith("count."):
        code, records = NOERROR, [str(COUNTS.get(name[len("count.") :], 0))]
    elif known is not None:
        code, records = NOERROR, known.get(kind, [])
    head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
    body = b""
    for text in records:
        if kind == TXT:
            data = bytes([len(text)]) + text.encode()
        else:
            data = socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, text)
        body += struct.pack(">HHHIH", 0xC00C, kind, 1, ttl, len(data)) + data
    return head + question + body


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
        data = answer(query, *parse(query))
        connection.sendall(struct.pack(">H", len(data)) + data)
        return True
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
    if name == "slow.test" or kind == AAAA and name.startswith("late6-"):
        late.append((time.monotonic() + (0.2 if name == "slow.test" else 0.3), data, peer))
        late.sort(key=lambda one: one[0])
    else:
        server.sendto(data, peer)


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
