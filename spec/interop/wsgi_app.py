"""A WSGI application for the interop specs; its files are in the folder $BODIES."""
import hashlib
import os


def pieces(file):
    with file:
        while data := file.read(65536):
            yield data


def send_file(environ, start_response, name, chunked):
    path = os.path.join(os.environ["BODIES"], os.path.basename(name))
    tag = '"%s"' % os.path.basename(name)
    headers = [("Content-Type", "application/octet-stream"), ("ETag", tag)]
    if environ.get("HTTP_IF_NONE_MATCH") == tag:
        start_response("304 Not Modified", headers)
        return []
    if not chunked:
        headers.append(("Content-Length", str(os.path.getsize(path))))
    start_response("200 OK", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else pieces(open(path, "rb"))


def send_echo(environ, start_response):
    digest = hashlib.md5()
    while data := environ["wsgi.input"].read(65536):
        digest.update(data)
    framing = environ.get("HTTP_TRANSFER_ENCODING") or environ.get("CONTENT_LENGTH")
    body = "%s %s %s\n" % (environ["REQUEST_METHOD"], digest.hexdigest(), framing or "none")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body.encode()]


def app(environ, start_response):
    kind, _, name = environ["PATH_INFO"].lstrip("/").partition("/")
    if kind in ("files", "chunked"):
        return send_file(environ, start_response, name, kind == "chunked")
    if kind == "echo":
        return send_echo(environ, start_response)
    if kind == "empty":
        start_response("204 No Content", [])
        return []
    start_response("404 Not Found", [("Content-Length", "0")])
    return []
