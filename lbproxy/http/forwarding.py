"""What is taken off a message and what is put on before it goes to the other side.

Theirs comes off before ours goes on: a client cannot forge X-Forwarded-For or X-Real-IP, nor use Connection to make the backend's
proxy headers disappear (RFC 9110 7.6.1 lets a sender nominate any field; Host, authentication, framing and forwarding fields are
exempt here). Names with an underscore are dropped, because CGI-like backends read X_Real_IP and X-Real-IP as one, and so is Proxy,
which they read as the variable HTTP_PROXY ("httpoxy").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from lbproxy.config.model import Network
from lbproxy.http.grammar import HOP_BY_HOP, SAID_BY_PROXIES, line_finder
from lbproxy.http.message import CHUNKED, FIELDS_KEPT, RequestHead, ResponseHead
from lbproxy.http.tls_facts import TlsFacts
from lbproxy.http.upgrade import asked, upgrade_lines

VIA = b"\r\nVia: 1.1 lbproxy"  # RFC 9110 7.6.3; the name is fixed, so that a loop through two of us is seen

_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip", b"forwarded")
_REQUEST_DROPS = line_finder((*HOP_BY_HOP, *SAID_BY_PROXIES, b"proxy", b"x-forwarded-*", b"x-real-ip", b"forwarded"))
_TRUSTED_DROPS = line_finder((*HOP_BY_HOP, b"proxy", *_FORWARDED))
_SAID = re.compile(rb"(?i)\r\n(x-forwarded-(?:for|proto|host|port)|forwarded):[ \t]*+([^\r]*+)")
_RESPONSE_DROPS = line_finder(HOP_BY_HOP)
_LENGTH = line_finder((b"content-length",))
_UNDERSCORE = re.compile(rb"\r\n[^:\r_]*+_[^:\r]*+:[^\r]*+")


def cut(block: bytes, lowered: bytes, lines: re.Pattern[bytes]) -> bytes:
    """`block` without the lines that `lines` finds in its lower-case twin."""
    match = lines.search(lowered)
    if match is None:
        return block
    kept, at = [], 0
    while match is not None:
        kept.append(block[at : match.start()])
        at = match.end()
        match = lines.search(lowered, at)
    kept.append(block[at:])
    return b"".join(kept)


def without(block: bytes, names: tuple[bytes, ...]) -> bytes:
    """`block` without the fields of those names. A loop, not a pattern made per message: compiling one costs 100 times as much."""
    lines = block.split(b"\r\n")[1:]
    return b"".join(b"\r\n" + line for line in lines if line.partition(b":")[0].lower() not in names)


class Forwarder:
    """The forwarding fields for one client connection: the constant part once, the part with the host when the host changes."""

    __slots__ = (
        "_after_host",
        "_before_host",
        "_block",
        "_head",
        "_networks",
        "_out",
        "_peer",
        "_port",
        "_proto",
        "_rest",
        "_trusted",
        "edited",
        "tls",
    )

    def __init__(
        self, peer: str, proto: str, port: int, networks: tuple[Network, ...], tls: Callable[[], TlsFacts | None] = lambda: None
    ) -> None:
        """`peer`: the client's address as text; `proto`: "https" or "http"; `port`: ours; `networks`: whose fields are believed;
        `tls`: asked for what a rule wants to know of the client's TLS."""
        self._peer = peer
        self._proto = proto
        self._port = port
        self._networks = networks
        self._trusted = bool(networks) and _within(peer, networks)
        node = f'"[{peer}]"' if ":" in peer else peer  # RFC 7239 6: an IPv6 address is bracketed and quoted
        self._before_host = (
            f"\r\nX-Real-IP: {peer}\r\nX-Forwarded-For: {peer}\r\nX-Forwarded-Proto: {proto}\r\nX-Forwarded-Port: {port}"
            f"\r\nForwarded: for={node};proto={proto}"
        ).encode()
        self._after_host = VIA + b"\r\n\r\n"
        self._head: RequestHead | None = None
        self._out = b""
        self._block = b""
        self._rest = b""
        self.tls = tls
        self.edited: tuple[bytes, Any, bytes] | None = None
        """The last head that header rules were applied to: it, the rules (http/edits.py), and what became of it."""

    def request(self, head: RequestHead) -> bytes:
        """The head to send to the backend. Content-Length stays as checked; a chunked body is announced as ours."""
        if head is self._head:  # the same objects when the client repeated its request, or its fields (LastFields)
            return self._out
        if head.block is not self._block:
            rest = self._fields(head)
            if len(rest) > FIELDS_KEPT or head.upgrade:  # what becomes of an upgrade is for the method to say, too
                return b"%b %b HTTP/1.1%b" % (head.method, head.target, rest)
            self._block, self._rest = head.block, rest
        out = b"%b %b HTTP/1.1%b" % (head.method, head.target, self._rest)
        if len(out) <= FIELDS_KEPT:
            self._head, self._out = head, out
        return out

    @property
    def secure(self) -> bool:
        """The client came over TLS."""
        return self._proto == "https"

    @property
    def proto(self) -> str:
        """ "https" or "http"."""
        return self._proto

    @property
    def port(self) -> int:
        """Ours, where the client connected."""
        return self._port

    @property
    def trusted(self) -> bool:
        """The client is a trusted proxy: what it says about requests is believed."""
        return self._trusted

    def client(self, head: RequestHead) -> str:
        """Whom the access log names: the peer, or, when that is a trusted proxy, the client it speaks for."""
        if not self._trusted:
            return self._peer
        return client_of(self._chain(_said(head)), self._networks).decode("ascii")

    def forget(self) -> None:
        """Hold no memory for a client that is idle."""
        self._head, self._block, self._out, self._rest = None, b"", b"", b""
        self.edited = None

    def _fields(self, head: RequestHead) -> bytes:
        """Everything behind the request line."""
        block = head.block
        if len(head.specials) > 1 or block.find(b"_") >= 0:  # `in` raises and forgets an exception inside
            block = cut(block, head.lowered, _TRUSTED_DROPS if self._trusted else _REQUEST_DROPS)
            if block.find(b"_") >= 0:
                block = cut(block, block.lower(), _UNDERSCORE)
            if head.nominated:
                block = without(block, head.nominated)
            if head.upgrade and asked(head):
                block += upgrade_lines(head.block)
        if head.body == CHUNKED:
            block += b"\r\nTransfer-Encoding: chunked"
        if self._trusted:
            return block + self._appended(head)
        host = head.authority
        return b'%b%b;host="%b"\r\nX-Forwarded-Host: %b%b' % (block, self._before_host, host, host, self._after_host)

    def _appended(self, head: RequestHead) -> bytes:
        """The peer is a trusted proxy: what it says is kept and we are added to it."""
        said = _said(head)
        peer, proto = self._peer.encode(), self._proto.encode()
        host = head.authority
        chain = self._chain(said)
        node = b'"[%b]"' % peer if b":" in peer else peer
        hops = b", ".join([*said.get(b"forwarded", []), b'for=%b;proto=%b;host="%b"' % (node, proto, host)])

        def first(name: bytes, ours: bytes) -> bytes:
            return said[name][0] if name in said else ours

        return b"".join(
            (
                b"\r\nX-Real-IP: ",
                client_of(chain, self._networks),
                b"\r\nX-Forwarded-For: ",
                chain,
                b"\r\nX-Forwarded-Proto: ",
                first(b"x-forwarded-proto", proto),
                b"\r\nX-Forwarded-Port: ",
                first(b"x-forwarded-port", str(self._port).encode()),
                b"\r\nForwarded: ",
                hops,
                b"\r\nX-Forwarded-Host: ",
                first(b"x-forwarded-host", host),
                self._after_host,
            )
        )

    def _chain(self, said: dict[bytes, list[bytes]]) -> bytes:
        """X-Forwarded-For with the peer at its end."""
        return b", ".join([*said.get(b"x-forwarded-for", []), self._peer.encode()])


def _said(head: RequestHead) -> dict[bytes, list[bytes]]:
    """What a peer says about where the request came from: by lower-case name, empty values left out."""
    said: dict[bytes, list[bytes]] = {}
    for name, value in _SAID.findall(head.block):  # not head.specials: those are in lower case, and some values mind
        if value := value.rstrip(b" \t"):
            said.setdefault(name.lower(), []).append(value)
    return said


def client_of(chain: bytes, networks: tuple[Network, ...]) -> bytes:
    """The client in an X-Forwarded-For chain: reading from the nearest hop outwards, the first that is no trusted proxy itself."""
    hops = [hop.strip(b" \t") for hop in chain.split(b",")]
    client = hops[-1]
    for hop in reversed(hops):
        text = hop.decode("ascii", "replace")
        try:
            scoped = ip_address(text).version == 6 and "%" in text  # "::1%anything at all" is an address for this function
        except ValueError:
            scoped = True
        if scoped:
            return client  # not an address: whoever wrote it is the last one we know
        client = hop
        if not _within(text, networks):
            return client
    return client


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    ip = ip_address(address)
    return any(ip.version == network.version and ip in network for network in networks)


def response(head: ResponseHead, extra: bytes) -> bytes:
    """The head to send to the client. `extra`: lines of ours, each with its CRLF in front (Connection, Transfer-Encoding)."""
    block = head.block
    if head.plain_keep_alive:
        # Content-Length and one "keep-alive" are all there is to look at; this spelling is the usual one.
        shorter = block.replace(b"\r\nConnection: keep-alive", b"", 1)
        block = shorter if len(shorter) < len(block) else cut(block, head.lowered, _RESPONSE_DROPS)
    elif head.specials and (len(head.specials) > 1 or head.specials[0][0] != b"content-length"):
        block = cut(block, head.lowered, _RESPONSE_DROPS)
        if head.nominated:
            block = without(block, head.nominated)
    if (head.status == 204 or head.status < 200) and head.specials:
        block = cut(block, block.lower(), _LENGTH)  # RFC 9110 8.6: not even a zero belongs here (framing.py refused all else)
    return b"HTTP/1.1 %d %b%b%b%b\r\n\r\n" % (head.status, head.reason, block, VIA, extra)
