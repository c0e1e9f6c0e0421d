"""Answers the request for /N with the bytes of case N, whatever they are, and closes:

    server.py PORT CASES      CASES: a JSON list of {"bytes": hex}
"""
import asyncio
import json
import sys


async def answer(reader, writer, cases):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        number = int(head.split(b" ")[1].rsplit(b"/", 1)[1])
        writer.write(bytes.fromhex(cases[number - 1]["bytes"]))
        await writer.drain()
        writer.write_eof()
        await reader.read()  # until the client closes too: a reset would eat the answer
    except (OSError, asyncio.IncompleteReadError):
        pass  # the client has seen enough
    finally:
        writer.close()


async def main(port, path):
    with open(path, encoding="ascii") as file:
        cases = json.load(file)
    server = await asyncio.start_server(lambda r, w: answer(r, w, cases), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
