"""One connection to a listener: what certificate it shows, which version of TLS it speaks, how an answer begins.

Each has a deadline for everything, and reads little: the peer may be deaf, endless, or somebody else.
"""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from ipaddress import ip_address

from lbproxy.audit.answers import AuditHead, AuditQuestion, Leaf, parse_head
from lbproxy.config.atoms import Address, Network
from lbproxy.tls import verification
from lbproxy.tls.files import parsed, validity
from lbproxy.tls.sni import names_of

LONGEST_HEAD = 65_536
AGENT = "lbproxy-audit"
_VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2}
_NEAR = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_WITHOUT_PROXY_HEADER = b"PROXY UNKNOWN\r\n"
"""Of version 1: whoever sends it speaks for himself."""


class Strange(OSError):
    """Who answers does not do so as a listener of ours would; the text says how."""


class Stranger(OSError):
    """The listener wants a PROXY header, and not from here."""


def connect(address: Address, until: float, proxies: tuple[Network, ...] = ()) -> socket.socket:
    """To the listener itself, with the header of PROXY that it wants from `proxies`. Raises OSError; `until`: monotonic seconds."""
    if address.path:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target: tuple[str, int] | str = address.path
    else:
        host = _NEAR.get(address.host, address.host)
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        target = (host, address.port)
    try:
        sock.settimeout(left(until))
        sock.connect(target)
        if proxies:
            if not address.path and not any(ip_address(sock.getsockname()[0]) in network for network in proxies):
                raise Stranger("it wants a PROXY header, and not from this machine")
            sock.sendall(_WITHOUT_PROXY_HEADER)
    except BaseException:
        sock.close()
        raise
    return sock


def left(until: float) -> float:
    """Seconds. Raises TimeoutError when there are none."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


def handshake(sock: socket.socket, host: str, until: float, *, version: str = "", protocol: str = "http/1.1") -> ssl.SSLSocket:
    """Whatever certificate comes. `version`: that one alone. Raises OSError, ssl.SSLError among them; closes `sock` then."""
    context = verification.client()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    try:
        host.encode("idna")  # in good time: SSLSocket would keep the connection, and nobody could close it
        if version:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = _VERSIONS[version]
        sock.settimeout(left(until))  # which is for all of the handshake
        return context.wrap_socket(sock, server_hostname=host or None)
    except ValueError as error:
        sock.close()
        raise Strange(f"{host} cannot be asked for by SNI") from error
    except BaseException:
        sock.close()
        raise


def leaf(connection: ssl.SSLSocket) -> Leaf | None:
    """What was shown; None: it cannot be read."""
    certificate = parsed(connection.getpeercert(binary_form=True) or b"")
    if certificate is None:
        return None
    names = names_of(certificate)
    return Leaf((*names.dns, *names.ips), *validity(certificate))


def ask(connection: socket.socket, question: AuditQuestion, host: str, until: float) -> AuditHead:
    """The head of the answer to a HEAD request, which no application acts upon. Raises OSError."""
    lines = (f"HEAD {question.path} HTTP/1.1", f"Host: {question.host or host}", f"User-Agent: {AGENT}", "Connection: close")
    return read_head(connection, "\r\n".join((*lines, "", "")).encode("ascii", "replace"), until)[0]


def read_head(connection: socket.socket, request: bytes, until: float) -> tuple[AuditHead, bytes]:
    """The head of an answer, and what came with it of the body. Raises OSError."""
    connection.settimeout(left(until))
    connection.sendall(request)
    data = bytearray()
    while b"\r\n\r\n" not in data:
        if len(data) > LONGEST_HEAD:
            raise Strange("its answer has no end of its head")
        connection.settimeout(left(until))
        more = connection.recv(16_384)
        if not more:
            raise Strange("it closes before it answers")
        data += more
    first, _, rest = bytes(data).partition(b"\r\n\r\n")
    head = parse_head(first)
    if head is None:
        raise Strange("what it says is no HTTP/1")
    return head, rest
