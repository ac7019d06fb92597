"""Something small is fetched: one GET over a connection of its own, all of it within one time-out, not a byte more than was said.

Nothing is followed: whoever answers elsewhere says so by an address that an operator can write down.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import NamedTuple

import gevent
import gevent.socket

from lbproxy import __version__
from lbproxy.control.probe_stream import READ_SIZE, ProbeStream, TlsClient
from lbproxy.errors import LbproxyError
from lbproxy.http.h1.health_check import BadHealthAnswer
from lbproxy.http.h1.small_answer import SmallAnswer
from lbproxy.net.tls_failures import tls_failure


class NotFetched(LbproxyError):
    """It cannot be had; the text says why."""


class FetchTarget(NamedTuple):
    """What is fetched, and from where."""

    host: str
    """As it is asked for, and as its certificate has to name it."""
    authority: str
    """Host as a field: with the port where that is not the usual one."""
    port: int
    target: str
    context: ssl.SSLContext | None
    """None: in the clear."""
    most: int


def fetch(wanted: FetchTarget, addresses: Sequence[str], timeout: float) -> bytes:
    """The body of its 200, from the first of the addresses where anybody is. Raises NotFetched."""
    limit = gevent.Timeout(timeout)
    try:
        limit.start()
        return _over(_connected(wanted.port, addresses), wanted)
    except gevent.Timeout as expired:
        if expired is not limit:
            raise
        raise NotFetched("does not answer in time") from None
    except ssl.SSLEOFError as error:
        raise NotFetched("closed without an end") from error
    except ssl.SSLError as error:
        raise NotFetched(f"TLS: {tls_failure(error).words}") from error
    except BadHealthAnswer as error:
        raise NotFetched(str(error)) from error
    except ValueError as error:
        raise NotFetched(f"unusable server name: {error}") from error
    except OSError as error:
        raise NotFetched(error.strerror or str(error)) from error
    finally:
        limit.close()


def _connected(port: int, addresses: Sequence[str]) -> gevent.socket.socket:
    """Raises OSError."""
    failed: OSError = OSError("no address")
    for ip in addresses:
        sock = gevent.socket.socket(gevent.socket.AF_INET6 if ":" in ip else gevent.socket.AF_INET)
        try:
            sock.connect((ip, port))
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:  # the time-out above all
            sock.close()
            raise
        else:
            return sock
    raise failed


def _over(sock: gevent.socket.socket, wanted: FetchTarget) -> bytes:
    try:
        stream: ProbeStream = sock
        if wanted.context is not None:
            client = TlsClient(sock, wanted.context, wanted.host, ("http/1.1",))
            client.handshake()
            stream = client
        asked = f"GET {wanted.target} HTTP/1.1\r\nHost: {wanted.authority}\r\nUser-Agent: lbproxy/{__version__}\r\n"
        stream.sendall(f"{asked}Accept: application/json\r\nConnection: close\r\n\r\n".encode("ascii"))
        answer = SmallAnswer(wanted.most)
        while data := stream.recv(READ_SIZE):
            if answer.feed(data):
                break
        else:
            answer.ended()
        assert answer.head is not None
        if answer.head.status != 200:
            raise BadHealthAnswer(f"answers {answer.head.status}")
        return answer.body
    finally:
        sock.close()
