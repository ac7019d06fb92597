"""The policies of a listener: what clients are asked for before they are let in, by the name that they ask for.

OpenSSL resumes what a client brings along before it asks which certificate is to be shown (its callback for names), so at that
point it would be too late: a client that was let in under an open name would be in under a closed one as well, without a word about
certificates. So the very hello is looked at (SSL_CTX_set_client_hello_cb), and the connection gets the policy of its name: whether
it verifies, how deep a chain may be, whether lists of revoked certificates count, and a *mark* (the session id context of OpenSSL)
that stands for all of that, the contents of the files included. What was begun under another mark is not resumed, by ticket or
otherwise: with another authority or list every client shows its certificate anew.
"""

from __future__ import annotations

import ctypes
import hashlib
import ssl
from collections.abc import Sequence
from typing import Any, NamedTuple

from lbproxy.config.model import ListenConfig
from lbproxy.http.misdirected import Agreement
from lbproxy.tls import openssl
from lbproxy.tls.client_authorities import Authorities

MODES = {"none": 0, "optional": 1, "required": 3}  # SSL_VERIFY_NONE, _PEER, and _FAIL_IF_NO_PEER_CERT
CHECK_LISTS = 0x4 | 0x8  # X509_V_FLAG_CRL_CHECK, X509_V_FLAG_CRL_CHECK_ALL
OWN = 0
"""The number of the listener's own policy."""


class LoadedPolicy(NamedTuple):
    """One policy as OpenSSL gets it."""

    mode: int
    depth: int
    lists: bool
    mark: bytes


class ClientPolicies:
    """Those of one listener, in one worker; `install` them in each of its contexts."""

    def __init__(self, listen: ListenConfig, authorities: Sequence[Authorities | None]) -> None:
        """`authorities`: by policy."""
        self._listen = listen
        self._by_name = {name: number for number, one in enumerate(listen.tls.names, start=1) for name in one.names}
        self._asked: tuple[LoadedPolicy, ...] = ()
        self._called = openssl.HELLO(self._on_hello)  # OpenSSL keeps its address for as long as the process lives
        self.renew(authorities)

    def renew(self, authorities: Sequence[Authorities | None]) -> None:
        """From now on."""
        policies = zip(self._listen.tls.policies, authorities, strict=True)
        self._asked = tuple(_asked(policy.client_auth, policy.client_depth, found) for policy, found in policies)

    def number(self, name: str) -> int:
        """Of the policy for who asks for that name; "" for none."""
        name = name.lower().removesuffix(".")
        found = self._by_name.get(name)
        if found is None:
            label, dot, parent = name.partition(".")
            found = self._by_name.get(f"*.{parent}") if label and dot else None
        return OWN if found is None else found

    def agreement(self, tls: Any) -> Agreement:
        """What a connection's client may ask for, behind its handshake."""
        return Agreement(openssl.asked_name(tls), self._mode_and_number)

    def _mode_and_number(self, name: str) -> tuple[bool, int]:
        number = self.number(name)
        return self._asked[number].mode != 0, number

    def install(self, context: ssl.SSLContext) -> bool:
        """False: it cannot be done here."""
        found, pointer = openssl.functions(), openssl.context_of(context)
        if found is None or not pointer:
            return False
        found.SSL_CTX_set_client_hello_cb(pointer, self._called, None)
        return True

    def _on_hello(self, session: int, alert: int, _: int) -> int:
        found = openssl.functions()
        assert found is not None
        asked = self._asked[self.number(_name_in(found, session))]
        parameters = found.SSL_get0_param(session)
        found.SSL_set_verify(session, asked.mode, None)
        found.X509_VERIFY_PARAM_set_depth(parameters, asked.depth)
        if asked.lists:
            found.X509_VERIFY_PARAM_set_flags(parameters, CHECK_LISTS)
        else:
            found.X509_VERIFY_PARAM_clear_flags(parameters, CHECK_LISTS)
        found.SSL_set_session_id_context(session, asked.mark, len(asked.mark))
        return openssl.GO_ON


def _asked(auth: str, depth: int, authorities: Authorities | None) -> LoadedPolicy:
    mode = MODES[auth]
    files = None if authorities is None else (authorities.digest, authorities.lists_digest)
    told = repr((mode, depth, files)) if mode else "nothing"
    mark = hashlib.sha256(b"lbproxy asks " + told.encode()).digest()
    return LoadedPolicy(mode, depth, mode != 0 and authorities is not None and authorities.lists is not None, mark)


def _name_in(found: ctypes.CDLL, session: int) -> str:
    """The name in a hello (RFC 6066 3), "" for none. One that is not well-formed is refused by OpenSSL a moment later."""
    at, size = ctypes.c_void_p(), ctypes.c_size_t()
    if not found.SSL_client_hello_get0_ext(session, openssl.HOST_NAME, ctypes.byref(at), ctypes.byref(size)) or not at.value:
        return ""
    told = ctypes.string_at(at.value, size.value)
    if len(told) < 5 or told[2] != openssl.HOST_NAME:  # the list's length, the kind of its first name, that one's length
        return ""
    return told[5 : 5 + int.from_bytes(told[3:5], "big")].decode("ascii", "replace")
