"""Upgrades (RFC 9110 7.8): the requests that may ask a backend to switch protocols, and the 101 that means that it did.

After a 101 this proxy reads nothing any more, so whoever gets one from a backend by other means than a real switch has smuggled: it
speaks HTTP with the backend past every rule of ours. Hence:

1. Asking is for one protocol at a time, on 1.1, by GET or (not for a WebSocket) by POST, as the APIs of Kubernetes (exec,
   port-forward: "SPDY/3.1") and Docker (attach, exec: "tcp") have it. With a choice of protocols proxies and backends disagree
   about which one it is, with a body about where the new one begins: llhttp takes a body behind Upgrade for bytes of the new
   protocol, whatever Content-Length says. So only POST may have one (Docker's exec has), of a length told and no more than BODY;
   the switch counts only when all of it was sent (RFC 9110 7.8), and the backend's connection is never used again, whatever it
   answers. Other uses are forwarded without the upgrade, as the RFC lets a server ignore it.
2. Protocols that are HTTP again, or TLS for this hop, are never asked for: "h2c smuggling" is HTTP/2 in a tunnel that a proxy has
   opened and does not read. HTTP2-Settings beside another protocol gives the same intention away.
3. A 101 counts only if it was asked for and names what was asked for, in Upgrade and Connection both. A status line alone may be
   somebody else's, fetched by the backend on the client's request (websocket smuggling by a "fake 101").
4. A WebSocket's 101 also carries the digest of the client's key (RFC 6455 4.2.2), which no fetched answer has by accident.
5. Whatever is not 101 is the last answer on that connection: bytes that the client sent ahead for the new protocol must not be read
   as a request, and whether more of them are on the way nobody can know.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable

from lbproxy.http.grammar import TCHAR
from lbproxy.http.message import NO_BODY, RequestHead, ResponseHead, Special

# RFC 9110 7.8: protocol = protocol-name ["/" protocol-version], both tokens.
_PROTOCOL = re.compile(rb"[" + TCHAR + rb"]++(?:/[" + TCHAR + rb"]++)?\Z")
_NEVER = re.compile(rb"h[0-9]|http|tls|ssl")
"""How the names begin of what a tunnel must not carry: h2c, h2c-14, h2, HTTP/2.0, https, TLS/1.0 (RFC 2817)."""
_WEBSOCKET = b"websocket"
BODY = 64 * 1024
"""Of a request that asks for an upgrade. Docker's is the description of a process."""
_KEY = re.compile(rb"(?i)\r\nsec-websocket-key:[ \t]*+([^\r]*+)")
_SOUND_KEY = re.compile(rb"[0-9A-Za-z+/]{22}==\Z")  # RFC 6455 4.1: 16 bytes in base64
_ACCEPT = re.compile(rb"(?i)\r\nsec-websocket-accept:[ \t]*+([^\r]*+)")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
_UPGRADE = re.compile(rb"(?i)\r\nupgrade:[ \t]*+([^\r]*+)")


def wanted(upgrade: bytes, body: int, keep_alive: bool, specials: Iterable[Special], block: bytes) -> bytes:
    """The one protocol that these fields may ask a backend for, in lower case, b"" for none; the method is `asked`'s to check.

    `upgrade`: Upgrade's values in lower case, joined by commas, when Connection nominates it; `block`: all field lines.
    """
    if not keep_alive or _PROTOCOL.match(upgrade) is None or _NEVER.match(upgrade) is not None:
        return b""
    if not NO_BODY <= body <= BODY or (body and upgrade == _WEBSOCKET):
        return b""
    names = [name for name, _ in specials]
    if b"http2-settings" in names or names.count(b"upgrade") != 1:  # an empty one beside it is one too many as well
        return b""
    if upgrade == _WEBSOCKET and _key(block) is None:
        return b""  # no key, no WebSocket; and the drafts without one sent eight bytes behind the head
    return upgrade


def is_websocket(head: RequestHead) -> bool:
    """A WebSocket is asked for."""
    return head.upgrade == _WEBSOCKET and asked(head)


def asked(head: RequestHead) -> bool:
    """The backend is asked to switch to `head.upgrade`."""
    if not head.upgrade:
        return False
    if head.method == b"GET":
        return head.body == NO_BODY
    return head.method == b"POST" and head.upgrade != _WEBSOCKET  # RFC 6455 4.1 (2)


def fault(head: RequestHead, answer: ResponseHead, sent: bool = True) -> str:
    """Why a 101 is no switch to what was asked for; "" when it is. `sent`: all of the request has left."""
    if not asked(head) or not sent:
        return "response_unexpected_101"
    nominated = any(b"upgrade" in _options(value) for name, value in answer.specials if name == b"connection")
    switched_to = [value.rstrip(b" \t") for name, value in answer.specials if name == b"upgrade"]
    if answer.minor == 0 or not nominated or switched_to != [head.upgrade]:
        return "response_other_101"
    accepts = [value.rstrip(b" \t") for value in _ACCEPT.findall(answer.block)]
    if head.upgrade == _WEBSOCKET and accepts != [digest(head.block)]:
        return "response_forged_101"
    return ""


def upgrade_lines(block: bytes) -> bytes:
    """Connection and Upgrade for the other side, the protocol in the sender's spelling: names have a preferred case."""
    match = _UPGRADE.search(block)
    assert match is not None, "checked before"
    return b"\r\nConnection: Upgrade\r\nUpgrade: " + match[1].rstrip(b" \t")


def _options(value: bytes) -> list[bytes]:
    return [option.strip(b" \t") for option in value.split(b",")]


def _key(block: bytes) -> bytes | None:
    keys = _KEY.findall(block)
    key: bytes = keys[0].rstrip(b" \t") if len(keys) == 1 else b""
    return key if _SOUND_KEY.match(key) is not None else None


def digest(block: bytes) -> bytes:
    """What a 101 has to say as Sec-WebSocket-Accept to these fields; b"" to those without a sound key."""
    key = _key(block)
    return b"" if key is None else b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
