"""A TLS server for specs: tls_peer.py PORT CERT KEY HOW; answers every request the same way.

HOW: cut  - a body until the end, which comes without close_notify
     whole - the same with close_notify
     mute - takes connections and never shakes hands
     PORT - passes what is inside on to that port, as a proxy's tunnel does
"""
import socket
import ssl
import sys
import threading

port, cert, key, how = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
listener = socket.create_server(("127.0.0.1", port))
kept = []


def pump(stream, inner):
    """Both directions in one thread, as an SSLSocket wants it."""
    stream.settimeout(0.005)
    inner.settimeout(0.005)
    while True:
        for one, other in ((stream, inner), (inner, stream)):
            try:
                data = one.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                stream.close()
                inner.close()
                return
            other.settimeout(None)
            other.sendall(data)
            other.settimeout(0.005)


while True:
    plain, _ = listener.accept()
    if how == "mute":
        kept.append(plain)
        continue
    try:
        stream = context.wrap_socket(plain, server_side=True)
        if how.isdigit():
            inner = socket.create_connection(("127.0.0.1", int(how)))
            threading.Thread(target=pump, args=(stream, inner), daemon=True).start()
            continue
        while b"\r\n\r\n" not in stream.recv(65536):
            pass
        stream.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
        if how == "whole":
            stream.unwrap()
        stream.close()
    except OSError:
        plain.close()
