"""A backend that sends WebSocket messages back: `python -m bench.macro.echo SOCKET COUNT_SOCKET`, behind the nginx of backends.py.

Whoever connects to COUNT_SOCKET is told how many messages have been sent back so far, and gets end-of-file.
"""

from __future__ import annotations

import asyncio
import re
import sys

from bench.macro import frames

_KEY = re.compile(rb"\r\nsec-websocket-key: *([A-Za-z0-9+/=]+) *\r\n", re.IGNORECASE)
# A proxy that passes the key on and not these two has not passed the upgrade on.
_UPGRADE = re.compile(rb"\r\nupgrade: *websocket *\r\n", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*\bupgrade\b", re.IGNORECASE)


class Echo(asyncio.Protocol):
    """One connection."""

    messages = 0
    """Of all of them."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._upgraded = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded and not self._upgrade():
            return
        while (frame := frames.take(self._buffer)) is not None:
            self._transport.write(frames.encode(frame.payload, first=frame.first))
            if frame.first == frames.CLOSE:
                self._transport.close()
                return
            Echo.messages += 1

    def _upgrade(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        head += b"\r\n"
        key = _KEY.search(head)
        if key is None or not _UPGRADE.search(head) or not _CONNECTION.search(head):
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self._transport.close()
            return False
        accept = frames.accept_for(key[1])
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept
            + b"\r\n\r\n"
        )
        self._buffer, self._upgraded = bytearray(rest), True
        return True


class Count(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(str(Echo.messages).encode())
        transport.close()


async def serve(path: str, count_path: str) -> None:
    loop = asyncio.get_running_loop()
    echo = await loop.create_unix_server(Echo, path)
    count = await loop.create_unix_server(Count, count_path)
    async with echo, count:
        await asyncio.gather(echo.serve_forever(), count.serve_forever())


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
