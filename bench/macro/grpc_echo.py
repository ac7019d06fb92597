"""A gRPC server by grpcio: `python -m bench.macro.grpc_echo SOCKET`, behind the nginx of backends.py. Each message comes back."""

from __future__ import annotations

import asyncio
import sys

import grpc
import grpc.aio

SERVICE, METHOD = "bench.Echo", "Unary"


async def echo(message: bytes, context: object) -> bytes:
    """The one method."""
    return message


async def serve(path: str) -> None:
    """For ever, on a Unix socket."""
    server = grpc.aio.server()
    unary = grpc.unary_unary_rpc_method_handler(echo)  # without serializers: messages are bytes
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: unary}),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
