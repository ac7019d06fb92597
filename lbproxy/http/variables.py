"""Variables in the values of header rules: "{client_ip}" and its kind (config.vocabulary.VARIABLES), filled in per request.

Whatever a variable says, a value stays one value: bytes that a field must not hold (RFC 9110 5.5) cannot come out of `render`, even
from a certificate whose subject has line ends in it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import NamedTuple

from lbproxy.config.vocabulary import VARIABLES
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.message import RequestHead
from lbproxy.http.tls_facts import TlsFacts, distinguished_name, listed

_IN_BRACES = re.compile(r"\{([a-z_]+)\}")
_UNFIT = re.compile(rb"[^ -~]")


class RequestFacts(NamedTuple):
    """What the variables of one request are filled from."""

    forwarder: Forwarder
    head: RequestHead
    request_id: str = ""
    trace_id: str = ""
    backend: str = ""
    user: str = ""


class Template(NamedTuple):
    """A value, cut at its variables: texts, and between each two of them a variable's name."""

    texts: tuple[bytes, ...]
    names: tuple[str, ...]

    def render(self, facts: RequestFacts) -> bytes:
        """The value, b"" when nothing is in it but blanks."""
        if not self.names:
            return self.texts[0]
        parts = [self.texts[0]]
        for name, text in zip(self.names, self.texts[1:], strict=True):
            parts += (_UNFIT.sub(b"?", _SAYS[name](facts)), text)
        return b"".join(parts).strip(b" ")


def template(value: str) -> Template:
    """A checked value of the configuration. Braces with anything else in them are just braces (JSON has them, too)."""
    texts = [""]
    names = []
    at = 0
    for found in _IN_BRACES.finditer(value):
        if found[1] in _SAYS:
            texts[-1] += value[at : found.start()]
            texts.append("")
            names.append(found[1])
            at = found.end()
    texts[-1] += value[at:]
    return Template(tuple(text.encode("ascii") for text in texts), tuple(names))


def _tls(facts: RequestFacts) -> TlsFacts:
    return facts.forwarder.tls() or TlsFacts()


def _client_cert(facts: RequestFacts) -> bytes:
    """RFC 9440 2.2: a byte sequence of structured fields, that is, base64 between colons."""
    der = _tls(facts).certificate
    return b":%b:" % base64.b64encode(der) if der else b""


def _fingerprint(facts: RequestFacts) -> bytes:
    der = _tls(facts).certificate
    return hashlib.sha256(der).hexdigest().encode() if der else b""


_SAYS: dict[str, Callable[[RequestFacts], bytes]] = {
    "client_ip": lambda facts: facts.forwarder.client(facts.head).encode("ascii", "replace"),
    "client_cert": _client_cert,
    "client_fingerprint": _fingerprint,
    "client_issuer": lambda facts: distinguished_name(_tls(facts).issuer).encode(),
    "client_san_dns": lambda facts: listed(_tls(facts).dns).encode(),
    "client_san_email": lambda facts: listed(_tls(facts).email).encode(),
    "client_san_uri": lambda facts: listed(_tls(facts).uri).encode(),
    "client_serial": lambda facts: _tls(facts).serial.lower().encode(),
    "client_subject": lambda facts: distinguished_name(_tls(facts).subject).encode(),
    "client_verify": lambda facts: b"SUCCESS" if _tls(facts).certificate else b"NONE",
    "host": lambda facts: facts.head.host,
    "method": lambda facts: facts.head.method,
    "path": lambda facts: facts.head.path,
    "port": lambda facts: b"%d" % facts.forwarder.public_port(facts.head),
    "query": lambda facts: facts.head.target.partition(b"?")[2],
    "request_id": lambda facts: facts.request_id.encode(),
    "scheme": lambda facts: b"https" if facts.forwarder.secure(facts.head) else b"http",
    "tls_cipher": lambda facts: _tls(facts).cipher.encode(),
    "tls_version": lambda facts: _tls(facts).version.encode(),
    "trace_id": lambda facts: facts.trace_id.encode(),
    "backend": lambda facts: facts.backend.encode(),
    "user": lambda facts: facts.user.encode(),
}
assert _SAYS.keys() == VARIABLES.keys()

OF_CERTIFICATES = frozenset(name for name in _SAYS if name.startswith("client_") and name != "client_ip")
"""What is said of the client's certificate: a backend that is told knows who asks."""

CHANGING = frozenset({"request_id", "trace_id", "backend", "user"})
"""Not the same for the same request on the same connection; what has none of them in it is remembered."""
