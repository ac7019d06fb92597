"""Profiles of the TLS we are willing to speak, by the names people know from Mozilla's server-side TLS guidelines.

https://wiki.mozilla.org/Security/Server_Side_TLS, guidelines 5.7. One departure: the three DHE suites of "intermediate" are left
out. They only serve clients without elliptic curves (our minimum of TLS 1.2 leaves none over that matter), and a server that offers
finite-field Diffie-Hellman can be made to work far harder than its client (CVE-2002-20001, "D(HE)at"). So are they of "old", and
with them Triple DES, which no OpenSSL of a distribution has any more.
"""

from __future__ import annotations

import ctypes
import ssl
import warnings
from functools import cache
from typing import NamedTuple

from lbproxy.config.model import ListenTlsConfig
from lbproxy.tls.openssl import Functions, context_of, reach


class Profile(NamedTuple):
    minimum: ssl.TLSVersion
    ciphers: str | None
    """For TLS 1.2 and before; those of 1.3 are all good and stay as they are. None: the profile has no 1.2."""


PROFILES = {
    "modern": Profile(ssl.TLSVersion.TLSv1_3, None),
    "intermediate": Profile(
        ssl.TLSVersion.TLSv1_2,
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
    ),
    "old": Profile(
        ssl.TLSVersion.TLSv1,
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
        "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"
        "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:"
        "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA:"
        "@SECLEVEL=0",  # TLS 1.0 and 1.1 sign with what OpenSSL 3 allows at this level only
    ),
}


VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
PRIORITIZE_CHACHA = 1 << 21
"""SSL_OP_PRIORITIZE_CHACHA of openssl/ssl.h, of which Python has no name: our order, but for clients that put ChaCha20 first."""
SET_GROUPS_LIST = 92  # SSL_CTRL_SET_GROUPS_LIST of openssl/ssl.h
_FUNCTIONS: Functions = {
    "SSL_CTX_ctrl": (ctypes.c_long, (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)),
    "ERR_clear_error": (None, ()),
}


class NotInOpenSSL(ValueError):
    """Something that this OpenSSL has not; the text says what, `key` where it was asked for."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def apply(context: ssl.SSLContext, name: str) -> None:
    """Set versions, ciphers and options of the profile called `name` (a key of PROFILES) on a server's context."""
    profile = PROFILES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of those who ask for old versions, and know it
        context.minimum_version = profile.minimum
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    if profile.ciphers is not None:
        context.set_ciphers(profile.ciphers)
    harden(context)
    # Our order: ECDSA before RSA, which costs us ten times as much, and of TLS 1.3 what OpenSSL has first. But a phone without AES
    # instructions says ChaCha20 first, and is better off with it. (Mozilla lets the client choose, since every suite left is good;
    # scanners call that a fault, and this has what it is for.)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | PRIORITIZE_CHACHA


def apply_own(context: ssl.SSLContext, tls: ListenTlsConfig) -> None:
    """A listener's profile, and what it says itself. Raises Unknown."""
    apply(context, tls.profile)
    if tls.ciphers is not None:
        level = ":@SECLEVEL=0" if tls.profile == "old" and "@SECLEVEL" not in tls.ciphers else ""
        try:
            context.set_ciphers(tls.ciphers + level)
        except ssl.SSLError as error:
            message = f'wanted cipher suites as OpenSSL names them, such as "ECDHE+AESGCM", got "{tls.ciphers}"'
            raise NotInOpenSSL("ciphers", message) from error
        for suite in context.get_ciphers():
            if "Au=None" in suite["description"] or "Enc=None" in suite["description"]:
                raise NotInOpenSSL("ciphers", f"{suite['name']} encrypts nothing, or proves nobody's name")
        context.options &= ~PRIORITIZE_CHACHA  # whoever writes a list means its order
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if tls.max_version is not None:
            context.maximum_version = VERSIONS[tls.max_version]
        if tls.min_version is not None:
            context.minimum_version = VERSIONS[tls.min_version]
    if not tls.groups:
        _set_groups(context, usual_groups())
    for group in tls.groups:
        if not _set_groups(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), group):
            raise NotInOpenSSL("groups", f"{ssl.OPENSSL_VERSION} knows no group {group}")
    if tls.groups and not _set_groups(context, ":".join(tls.groups)):
        raise NotInOpenSSL("groups", f"{ssl.OPENSSL_VERSION} does not take {':'.join(tls.groups)}")


GROUPS = ("X25519MLKEM768", "X25519", "P-256", "P-384")
"""Mozilla's guidelines 5.8, the hybrid first. OpenSSL's own list has finite fields as well: see above."""


@cache
def usual_groups() -> str:
    """Those of GROUPS that this OpenSSL has."""
    return ":".join(name for name in GROUPS if _set_groups(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), name))


@cache
def _library() -> ctypes.CDLL | None:
    return reach(_FUNCTIONS)


def _set_groups(context: ssl.SSLContext, names: str) -> bool:
    """By OpenSSL itself, since Python's `ssl` has one curve at most (and before 3.15 no word for more). False also where that
    cannot be had."""
    library, pointer = _library(), context_of(context)
    if library is None or not pointer or not names.isascii():
        return False
    done = library.SSL_CTX_ctrl(pointer, SET_GROUPS_LIST, 0, names.encode())
    library.ERR_clear_error()  # else the next user of OpenSSL would take it for his own
    return int(done) == 1


def harden(context: ssl.SSLContext) -> None:
    """What holds for servers and clients of every profile."""
    context.options |= ssl.OP_NO_COMPRESSION  # CRIME
    context.options |= ssl.OP_NO_RENEGOTIATION  # TLS 1.2: a cheap way to keep a server busy, and no use for us
    # An end of file without close_notify must stay visible: it is how a truncated body is told from a complete one.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
