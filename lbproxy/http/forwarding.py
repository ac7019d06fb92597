"""Forwarding: what is taken off a message and what is put on before it goes to the other side.

Theirs comes off before ours goes on: a client cannot forge X-Forwarded-For or X-Real-IP, nor use Connection to make the backend's
proxy headers disappear (RFC 9110 7.6.1 lets a sender nominate any field; Host, authentication, framing and forwarding fields are
exempt here). Names with an underscore are dropped, because CGI-like backends read X_Real_IP and X-Real-IP as one, and so is Proxy,
which they read as the variable HTTP_PROXY ("httpoxy"). A route may let them pass, but for those that such a backend would mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from lbproxy.config.model import Network
from lbproxy.http.grammar import HOP_BY_HOP, ODDLY_NAMED, SAID_BY_PROXIES, line_finder, with_twins
from lbproxy.http.message import CHUNKED, FIELDS_KEPT, RequestHead, ResponseHead
from lbproxy.http.misdirected import Agreement
from lbproxy.http.tls_facts import TlsFacts
from lbproxy.http.trailers import wanted
from lbproxy.http.trusted import ClientFacts, among, client_facts, fields_said, plain_address
from lbproxy.http.upgrade import asked, upgrade_lines

VIA = b"\r\nVia: 1.1 lbproxy"  # RFC 9110 7.6.3; the name is fixed, so that a loop through two of us is seen
VIA_2 = b"\r\nVia: 2 lbproxy"
"""Of a message that came over HTTP/2."""

TRAILERS_WANTED = b"\r\nTE: trailers\r\nConnection: TE"
"""RFC 9110 10.1.4. Over HTTP/2 the first is said alone."""

_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip", b"forwarded")
_REQUEST_DROPS = line_finder((*HOP_BY_HOP, *SAID_BY_PROXIES, b"proxy", b"expect", b"x-forwarded-*", b"x-real-ip", b"forwarded"))
_TRUSTED_DROPS = line_finder((*HOP_BY_HOP, b"proxy", b"expect", *_FORWARDED))
_EXPECT = b"\r\nExpect: 100-continue"  # whatever spelling it came in: backends know this one
_RESPONSE_DROPS = line_finder(HOP_BY_HOP)
_LENGTH = line_finder((b"content-length",))
_ODD = [ODDLY_NAMED]
_UNDERSCORE = re.compile(rb"\r\n[^:\r_]*+_[^:\r]*+:[^\r]*+")


_TWINS = re.compile(
    rb"(?=\r\n[0-9a-z-]*+[^0-9a-z:\r-])"
    + with_twins(line_finder((*HOP_BY_HOP, *SAID_BY_PROXIES, b"content-length", b"x-forwarded-*", b"x-real-ip", b"x-request-id")))
)
"""What does not pass whoever sends it, and even where underscores do: no proxy spells anything so."""


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


_AFTER_HOST, _AFTER_HOST_2 = VIA + b"\r\n\r\n", VIA_2 + b"\r\n\r\n"  # of HTTP/1, of HTTP/2: one for all connections


class Forwarder:
    """The forwarding fields for one client connection: the constant part once, the part with the host when the host changes."""

    __slots__ = (
        "_after_host",
        "_before_host",
        "_block",
        "_facts",
        "_facts_head",
        "_head",
        "_networks",
        "_out",
        "_peer",
        "_proto",
        "_rest",
        "_secure",
        "agreement",
        "announced",
        "edited",
        "here",
        "port",
        "tls",
        "trusted",
    )

    def __init__(
        self,
        peer: str,
        proto: str,
        port: int,
        networks: tuple[Network, ...],
        tls: Callable[[], TlsFacts | None] = lambda: None,
        here: Callable[[], str] = lambda: "localhost",
    ) -> None:
        """`peer`: the client's address as text; `proto`: "https" or "http"; `port`: where we listen; `networks`: whose fields are
        believed; `tls`: asked for what a rule wants to know of the client's TLS; `here`: asked for our own address, for a request
        that says no host."""
        self._peer = peer
        self._proto = proto
        self._secure = proto == "https"
        self._networks = networks
        self.trusted = bool(networks) and among(plain_address(ip_address(peer)), networks)
        """What the client says about requests is believed."""
        self._before_host = b""
        """As `_about_peer` makes it, when it is wanted."""
        self._after_host = _AFTER_HOST
        self._head: RequestHead | None = None
        self._out = b""
        self._block: bytes | None = None  # b"" is what a request without fields has
        self._rest = b""
        self._facts_head: RequestHead | None = None
        self._facts: ClientFacts | None = None
        self.port = port
        self.tls = tls
        self.here = here
        self.agreement: Agreement | None = None
        """Which hosts the client may ask for over this connection; None: any."""
        self.announced: Any = None
        """The client's own connections to backends that are told of it by a PROXY header (proxy/announced.py); None: there are none
        such."""
        self.edited: tuple[bytes, Any, bytes] | None = None
        """The last head that header rules were applied to: it, the rules (http/edits.py), and what became of it."""

    def over_http_2(self) -> None:
        """Requests come over HTTP/2 here."""
        self._after_host = _AFTER_HOST_2

    def request(self, head: RequestHead) -> bytes:
        """The head to send to the backend. Content-Length stays as checked; a chunked body is announced as ours."""
        if head is self._head:  # the same objects when the client repeated its request, or its fields (LastFields)
            return self._out
        if head.block is not self._block or head.underscores:
            rest = self._fields(head)
            if (
                len(rest) > FIELDS_KEPT or head.upgrade or head.underscores
            ):  # what becomes of an upgrade is for the method to say, too
                return b"%b %b HTTP/1.1%b" % (head.method, head.target, rest)
            self._block, self._rest = head.block, rest
        out = b"%b %b HTTP/1.1%b" % (head.method, head.target, self._rest)
        if len(out) <= FIELDS_KEPT:
            self._head, self._out = head, out
        return out

    def client(self, head: RequestHead) -> str:
        """Whom the access log names: the peer, or, when that is a trusted proxy, the client it speaks for."""
        return self.client_facts(head).client.decode("ascii") if self.trusted else self._peer

    def unread(self, head: RequestHead) -> bytes:
        """What a trusted proxy wrote where the client's address should stand; b"" when that could be read."""
        return self.client_facts(head).unread if self.trusted else b""

    def secure(self, head: RequestHead | None) -> bool:
        """The client came over TLS, to us or to a trusted proxy that says so. `head`: None for what was no request."""
        if self.trusted and head is not None and (https := self.client_facts(head).https) is not None:
            return https
        return self._secure

    def public_port(self, head: RequestHead) -> int:
        """The port that the client used: a published one need not be ours. It is in Host unless it is the scheme's own (RFC 9110
        4.2); a trusted proxy may know better."""
        if self.trusted and (port := self.client_facts(head).port):
            return port
        return self._port_of(head.authority, head)

    def client_facts(self, head: RequestHead) -> ClientFacts:
        """What the client, a trusted proxy, tells about a request."""
        found = self._facts
        if found is None or head is not self._facts_head:
            found = client_facts(fields_said(head), self._peer, self._networks)
            if len(head.block) <= FIELDS_KEPT:
                self._facts_head, self._facts = head, found
        return found

    def forget(self) -> None:
        """Hold no memory for a client that is idle."""
        self._head, self._block, self._out, self._rest = None, None, b"", b""
        self._facts_head = self._facts = None
        self._before_host = b""
        self.edited = None

    def _about_peer(self) -> bytes:
        """What is the same in all requests of the connection."""
        peer, proto = self._peer, self._proto
        node = f'"[{peer}]"' if ":" in peer else peer  # RFC 7239 6: an IPv6 address is bracketed and quoted
        self._before_host = (
            f"\r\nX-Real-IP: {peer}\r\nX-Forwarded-For: {peer}\r\nX-Forwarded-Proto: {proto}\r\nForwarded: for={node};proto={proto}"
        ).encode()
        return self._before_host

    def _fields(self, head: RequestHead) -> bytes:
        """Everything behind the request line."""
        block = head.block
        # The one special field that every request of 1.1 has is Host. Names that are not plain have an entry there, too.
        if len(head.specials) > 1 or not head.minor:
            block = cut(block, head.lowered, _TRUSTED_DROPS if self.trusted else _REQUEST_DROPS)
            if head.specials[-1:] == _ODD:
                if not head.underscores:
                    block = cut(block, block.lower(), _UNDERSCORE)
                block = cut(block, block.lower(), _TWINS)
            if head.nominated:
                block = without(block, head.nominated)
            if head.upgrade and asked(head):
                block += upgrade_lines(head.block)
            elif head.minor and head.lowered.find(b"\r\nte:") >= 0 and wanted(head.specials):
                block += TRAILERS_WANTED
        if head.expect_continue:
            block += _EXPECT
        if head.body == CHUNKED:
            block += b"\r\nTransfer-Encoding: chunked"
        host = head.authority
        if not head.minor and not any(name == b"host" for name, _ in head.specials):
            # RFC 9112 3.3: what names no host is for the address that it was sent to; on 1.1 it cannot be left out.
            host = host or self.here().encode("ascii")
            block = b"\r\nHost: %b%b" % (host, block)
        if self.trusted:
            return block + self._appended(head, host)
        port = self._port_of(host, head)
        return b'%b%b;host="%b"\r\nX-Forwarded-Host: %b\r\nX-Forwarded-Port: %d%b' % (
            block, self._before_host or self._about_peer(), host, host, port, self._after_host
        )  # fmt: skip

    def _port_of(self, authority: bytes, head: RequestHead) -> int:
        at = authority.rfind(b":")
        if 0 <= at < len(authority) - 1 and authority[-1] != 0x5D:  # "]"
            return int(authority[at + 1 :])
        if self.trusted:
            return 443 if self.secure(head) else 80
        return 443 if self._secure else 80

    def _appended(self, head: RequestHead, host: bytes) -> bytes:
        """The peer is a trusted proxy: what it says is kept and we are added to it."""
        said, found = fields_said(head), self.client_facts(head)
        peer, proto = self._peer.encode(), self._proto.encode()
        node = b'"[%b]"' % peer if b":" in peer else peer
        hops = b", ".join([*said.get(b"forwarded", []), b'for=%b;proto=%b;host="%b"' % (node, proto, host)])

        def first(name: bytes, ours: bytes) -> bytes:
            return said[name][0] if name in said else ours

        return b"".join(
            (
                b"\r\nX-Real-IP: ",
                found.client,
                b"\r\nX-Forwarded-For: ",
                b"%b, %b" % (found.chain, peer) if found.chain else peer,
                b"\r\nX-Forwarded-Proto: ",
                first(b"x-forwarded-proto", b"https" if self.secure(head) else b"http"),
                b"\r\nForwarded: ",
                hops,
                b"\r\nX-Forwarded-Host: ",
                first(b"x-forwarded-host", host),
                b"\r\nX-Forwarded-Port: ",
                first(b"x-forwarded-port", b"%d" % self._port_of(host, head)),
                self._after_host,
            )
        )


def response(head: ResponseHead, extra: bytes, via: bytes = VIA) -> bytes:
    """The head to send to the client. `extra`: lines of ours, each with its CRLF in front (Connection, Transfer-Encoding);
    `via`: the one that tells who we are."""
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
    return b"HTTP/1.1 %d %b%b%b%b\r\n\r\n" % (head.status, head.reason, block, via, extra)
