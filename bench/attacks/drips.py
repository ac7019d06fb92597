"""A hostile backend: `python -m bench.attacks.drips PORT` answers /tiny as others do, the rest without end, in chunks of a byte."""

from __future__ import annotations

import asyncio
import sys

CHUNKS = b"1\r\nx\r\n" * 10_000
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TINY = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, until its peer has enough."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b" /tiny " in head:
                writer.write(TINY)
                if b"connection: close" in head.lower():
                    return
                continue
            writer.write(HEAD)
            while True:
                writer.write(CHUNKS)
                await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass  # had enough
    finally:
        writer.close()


async def run(port: int) -> None:
    """For ever."""
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1])))
