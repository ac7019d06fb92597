"""TLS to the backends of one pool, in one process: what they are asked for, what is demanded of them beyond a chain and a name, and
the sessions that are resumed.

Whoever opens a connection takes `context` for it, calls `begin` before the handshake and `judge` behind it. A session is good for
the one place and name that it was begun at, and for SESSION_LIFE: resuming looks at no certificate anew, and at no list of revoked
ones. With another context, as when the pool's files were renewed, nothing is left of them.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from lbproxy.config.model import PoolTlsConfig
from lbproxy.tls import openssl
from lbproxy.tls.pem import public_key_of

SESSION_LIFE = 3600.0
"""Seconds from a handshake in which a certificate was shown."""
MOST_SESSIONS = 1024


class WrongPin(ValueError):
    """The backend's key is none of those that the pool pins."""


class BackendTls:
    """What a pool says of TLS, as connections need it."""

    def __init__(
        self, settings: PoolTlsConfig, context: ssl.SSLContext, clock: Callable[[], float] = time.monotonic, *, resumes: bool = True
    ) -> None:
        """`context`: of the pool (contexts.client_context); `resumes`: sessions; else each handshake is a full one."""
        self._resumes = resumes
        self.context = context
        self._name = settings.server_name
        self._sni = settings.sni
        self._pins = frozenset(settings.pins)
        self._known = b""
        """The last certificate with a pinned key."""
        self._clock = clock
        self._last: dict[str, tuple[Any, float]] = {}
        """By place: the last connection's, and when its certificate was shown."""
        self.on_handshake: Callable[[bool], object] = lambda resumed: None
        """Told of each that was good, and whether it resumed a session."""

    def __repr__(self) -> str:
        return f"<BackendTls of {self._name or 'each host'}, {len(self._last)} sessions>"

    def name(self, host: str) -> str:
        """Whose certificate a backend at that host has to show."""
        return (self._name or host).removesuffix(".")

    def renew(self, context: ssl.SSLContext) -> None:
        """From now on."""
        self.context = context
        self._last.clear()

    def begin(self, tls: Any, place: str) -> None:
        """Before the handshake of `tls` with a backend at `place` (address, port, name): the name to ask for, a session to resume.
        Raises ValueError where that cannot be done."""
        if self._sni is not None and not openssl.ask_for(tls, "" if self._sni == "off" else self._sni):
            raise ValueError("what is asked for by SNI cannot be changed with this OpenSSL")
        last = self._last.get(place)
        if last is None:
            return
        if self._clock() - last[1] > SESSION_LIFE:
            del self._last[place]
            return
        session = last[0].session
        if session is not None and tls.context is last[0].context:
            tls.session = session

    def judge(self, tls: Any, place: str) -> None:
        """Behind the handshake. Raises WrongPin."""
        resumed = bool(tls.session_reused)
        if self._pins:
            shown = tls.getpeercert(True) or b""
            if shown != self._known:
                if pin_of(shown) not in self._pins:
                    self._last.pop(place, None)
                    raise WrongPin("its key is none of those that are pinned")
                self._known = shown
        self.on_handshake(resumed)
        if not self._resumes:
            return
        before = self._last.pop(place, None)
        since = before[1] if resumed and before is not None else self._clock()
        while len(self._last) >= MOST_SESSIONS:
            del self._last[next(iter(self._last))]
        self._last[place] = (tls, since)


def pin_of(der: bytes) -> str:
    """Base64 of the SHA-256 of a certificate's public key (RFC 7469 2.4); "" for what is no certificate."""
    try:
        return b64encode(hashlib.sha256(public_key_of(der)).digest()).decode("ascii")
    except ValueError:
        return ""
