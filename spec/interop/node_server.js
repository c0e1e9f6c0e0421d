// An HTTP server of Node's own for the interop specs:  node node_server.js PORT FOLDER
// FOLDER holds the files that it serves: /files/NAME with their length, /chunked/NAME without.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const http = require("http");
const path = require("path");
const zlib = require("zlib");

const [port, folder] = process.argv.slice(2);

function sendFile(request, response, name, chunked) {
    const file = path.join(folder, path.basename(name));
    const tag = `"${path.basename(name)}"`;
    response.setHeader("ETag", tag);
    if (request.headers["if-none-match"] === tag) {
        response.writeHead(304).end();
        return;
    }
    if (!chunked)
        response.setHeader("Content-Length", fs.statSync(file).size);
    if (request.method === "HEAD")
        response.end();
    else
        fs.createReadStream(file, { highWaterMark: 65536 }).pipe(response);
}

// "METHOD MD5 FRAMING" of the request
function sendEcho(request, response) {
    const hash = crypto.createHash("md5");
    const framing = request.headers["transfer-encoding"] || request.headers["content-length"];
    request.on("data", (data) => hash.update(data));
    request.on("end", () =>
        response.end(`${request.method} ${hash.digest("hex")} ${framing || "none"}\n`));
}

const packers = { gzip: zlib.createGzip, deflate: zlib.createDeflate, br: zlib.createBrotliCompress };
const unpackers = { gzip: zlib.createGunzip, deflate: zlib.createInflate, br: zlib.createBrotliDecompress };

// The file with the first coding that is asked for.
function sendPacked(request, response, name) {
    const wanted = (request.headers["accept-encoding"] || "").split(/, */);
    const coding = wanted.find((word) => packers[word]);
    const file = fs.createReadStream(path.join(folder, path.basename(name)));
    if (coding) {
        response.setHeader("Content-Encoding", coding);
        file.pipe(packers[coding]()).pipe(response);
    } else
        file.pipe(response);
}

// "MD5 CODING" of the request's body once it is unpacked
function sendUnpacked(request, response) {
    const coding = request.headers["content-encoding"];
    const hash = crypto.createHash("md5");
    const body = coding ? request.pipe(unpackers[coding]()) : request;
    body.on("data", (data) => hash.update(data));
    body.on("error", (error) => response.writeHead(400).end(`${error}\n`));
    body.on("end", () => response.end(`${hash.digest("hex")} ${coding}\n`));
}

function sendTrailers(response) {
    response.writeHead(200, { Trailer: "X-Count, X-Sum" });
    response.write("with ");
    response.addTrailers({ "X-Count": "13", "X-Sum": "a b" });
    response.end("trailers");
}

function answer(request, response) {
    const [, kind, name] = request.url.split("?")[0].split("/");
    if (kind === "files" || kind === "chunked")
        sendFile(request, response, name, kind === "chunked");
    else if (kind === "echo" || kind === "unexpected")
        sendEcho(request, response);
    else if (kind === "packed")
        sendPacked(request, response, name);
    else if (kind === "unpack")
        sendUnpacked(request, response);
    else if (kind === "empty")
        response.writeHead(204).end();
    else if (kind === "trailers")
        sendTrailers(response);
    else if (kind === "hints") // 103, then the answer
        response.writeEarlyHints({ link: "</style.css>; rel=preload" }, () => response.end("late"));
    else if (kind === "refused") {
        // answers without a look at the body
        response.writeHead(403).end("no");
    } else
        response.writeHead(404).end("nothing here");
}

// Node itself says 100 when there is no checkContinue
function answerContinue(request, response) {
    if (request.url.startsWith("/unexpected"))
        response.writeHead(417).end("unexpected");
    else if (request.url.startsWith("/refused"))
        answer(request, response);
    else {
        response.writeContinue();
        answer(request, response);
    }
}

function serve(at, keepAlive) {
    const server = http.createServer({ keepAliveTimeout: keepAlive }, (request, response) => {
        if (keepAlive < 1000) // its own hint would be "timeout=0"
            response.setHeader("Connection", "keep-alive");
        answer(request, response);
    });
    server.maxRequestsPerSocket = 0;
    server.on("checkContinue", answerContinue);
    server.listen(at, "127.0.0.1");
}

serve(Number(port), 60000);
if (process.argv[4])
    serve(Number(process.argv[4]), 300); // ends connections that are idle for 0.3 s
