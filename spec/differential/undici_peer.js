// Asks for /1 to /N and writes what undici makes of the answers, as JSON:
//     node undici_peer.js UNDICI_FOLDER PORT CASES
"use strict";
const fs = require("fs");
const path = require("path");
const [folder, port, cases] = process.argv.slice(2);
const { Client } = require(path.resolve(folder));

async function ask(number, method) {
    const client = new Client(`http://127.0.0.1:${port}`, {
        headersTimeout: 5000, bodyTimeout: 5000,
    });
    try {
        const response = await client.request({ path: `/${number}`, method });
        const body = Buffer.from(await response.body.arrayBuffer());
        const fields = {};
        for (const [name, value] of Object.entries(response.headers))
            fields[name] = [].concat(value).map((v) => Buffer.from(v, "latin1").toString("hex"));
        return {
            status: response.statusCode, body: body.toString("hex"), fields,
            trailers: Object.keys(response.trailers),
        };
    } catch (error) {
        return { error: String(error.code || error.message) };
    } finally {
        client.destroy().catch(() => {});
    }
}

async function main() {
    const results = [];
    for (const [i, { method }] of JSON.parse(fs.readFileSync(cases)).entries())
        results.push(await ask(i + 1, method));
    process.stdout.write(JSON.stringify(results));
}

process.on("uncaughtException", (error) => console.error(error)); // one answer less, seen as such
main();
