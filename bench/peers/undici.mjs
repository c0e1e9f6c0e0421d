// undici's pool.request:  node undici.mjs HOW PORT CONNECTIONS N
// HOW is "get", "tls" or "close" (a connection for each request). undici is looked for in
// BENCH_NODE_MODULES.
import { createRequire } from 'node:module'

const require = createRequire(process.env.BENCH_NODE_MODULES + '/')
const { Pool } = require('undici')
const how = process.argv[2]
const [port, connections, n] = process.argv.slice(3).map(Number)
const close = how === 'close'
const pool = new Pool(`http${how === 'tls' ? 's' : ''}://127.0.0.1:${port}`, {
    connections,
    pipelining: close ? 0 : 1,
    connect: { rejectUnauthorized: false },
})

let sent = 0
const started = process.hrtime.bigint()

async function work() {
    while (sent < n) {
        sent++
        const response = await pool.request({ path: '/s', method: 'GET', reset: close })
        const body = await response.body.arrayBuffer()
        if (response.statusCode !== 200 || body.byteLength !== 200) throw new Error('bad')
    }
}

await Promise.all(Array.from({ length: connections }, work))
console.log(`n=${n} secs=${Number(process.hrtime.bigint() - started) / 1e9}`)
process.exit(0)
