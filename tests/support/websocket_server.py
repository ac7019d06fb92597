"""A WebSocket backend made of the library that people use: `python -m tests.support.websocket_server PORT [CERT KEY]`.

/close/4001   says goodbye with that code after the first message
/refused      403 instead of a handshake
anything else echoes
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

LARGEST = 64 * 1024 * 1024


async def converse(connection: ServerConnection) -> None:
    """One client."""
    path = connection.request.path if connection.request is not None else "/"
    try:
        async for message in connection:
            if path.startswith("/close/"):
                await connection.close(int(path.rpartition("/")[2]), "as you wish")
                return
            await connection.send(message)
    except ConnectionClosed:
        pass  # the other side's business


def gate(connection: ServerConnection, request: Request) -> Response | None:
    """Refuse whom we refuse."""
    return connection.respond(HTTPStatus.FORBIDDEN, "no\n") if request.path == "/refused" else None


async def main(port: int, *certificate: str) -> None:
    """Until killed."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    async with serve(converse, "127.0.0.1", port, process_request=gate, max_size=LARGEST, compression="deflate", ssl=context):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
