"""A gRPC backend: grpcio's server, with handlers of every kind that need no generated code; and channels to call it by.

Messages are bytes. What is known of calls is kept where a test can wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

SERVICE = "lbproxy.test.Site"
LARGEST = 8 * 1024 * 1024


class GrpcSite:
    """Serves on a port of its own, with TLS if there is a certificate."""

    def __init__(
        self, certificate: dict[str, str] | None = None, port: int = 0, more: Callable[[grpc.Server], object] | None = None
    ) -> None:
        """`more`: adds other services."""
        self.over = threading.Event()
        """A call of `Talk` or `Wait` has ended, as far as its connection goes."""
        self.release = threading.Event()
        """What `Wait` waits for."""
        kinds = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Join": grpc.stream_unary_rpc_method_handler(self.join),
            "Talk": grpc.stream_stream_rpc_method_handler(self.talk),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }
        sizes = [("grpc.max_receive_message_length", LARGEST), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(ThreadPoolExecutor(32), options=sizes)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, kinds),))
        if more is not None:
            more(self._server)
        if certificate is None:
            self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        else:
            pair = Path(certificate["key"]).read_bytes(), Path(certificate["cert"]).read_bytes()
            self.port = self._server.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([pair]))
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Nobody is served any more, and nobody listens."""
        self.release.set()
        self._server.stop(0).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # ---------------------------------------------------------------- handlers

    def echo(self, message: bytes, context: Any) -> bytes:
        """The message, with the client's metadata in front and behind."""
        said = tuple((name, value) for name, value in context.invocation_metadata() if name.startswith("my-"))
        context.send_initial_metadata(said)
        context.set_trailing_metadata(said)
        return message

    def count(self, message: bytes, context: Any) -> Iterator[bytes]:
        """So many messages."""
        for number in range(int(message)):
            yield b"%d" % number

    def join(self, messages: Iterator[bytes], context: Any) -> bytes:
        """All of them as one."""
        return b"".join(messages)

    def talk(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """Each is answered before the next comes."""
        context.add_callback(self.over.set)
        for message in messages:  # they also end, as if the client had said all, when the call is given up
            yield message.upper()

    def wait(self, message: bytes, context: Any) -> bytes:
        """Until the call is given up, or the test lets it go."""
        context.add_callback(self.over.set)
        self.release.wait()
        return message

    def fail(self, message: bytes, context: Any) -> bytes:
        """As the message says."""
        context.abort(grpc.StatusCode[message.decode()], "as you wish: 100 % \N{LATIN SMALL LETTER E WITH ACUTE}")
        raise AssertionError("abort raises")


class GrpcClient:
    """A channel to lbproxy, and the methods of the site. Retries are as clients have them: without a policy only what has not left,
    or was refused unseen, is called again. (Without them a channel fails calls that it has not begun when GOAWAY comes.)"""

    def __init__(self, port: int, ca: Path, *options: tuple[str, object]) -> None:
        credentials = grpc.ssl_channel_credentials(ca.read_bytes())
        sizes = [("grpc.max_receive_message_length", LARGEST), ("grpc.enable_http_proxy", 0)]
        self.channel = grpc.secure_channel(f"localhost:{port}", credentials, [*sizes, *options])
        self.echo = self.channel.unary_unary(f"/{SERVICE}/Echo")
        self.count = self.channel.unary_stream(f"/{SERVICE}/Count")
        self.join = self.channel.stream_unary(f"/{SERVICE}/Join")
        self.talk = self.channel.stream_stream(f"/{SERVICE}/Talk")
        self.wait = self.channel.unary_unary(f"/{SERVICE}/Wait")
        self.fail = self.channel.unary_unary(f"/{SERVICE}/Fail")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.channel.close()
