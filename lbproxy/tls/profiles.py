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

from lbproxy.config.model import ListenTls


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
SET_GROUPS_LIST = 92  # SSL_CTRL_SET_GROUPS_LIST of openssl/ssl.h


class Unknown(ValueError):
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
    # Every suite left is good, so the client chooses: a phone without AES instructions is better off with ChaCha20. (Mozilla says
    # the same for these profiles, and the opposite for "old"; Python turns the opposite on by itself.)
    if name != "old":
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def apply_own(context: ssl.SSLContext, tls: ListenTls) -> None:
    """A listener's profile, and what it says itself. Raises Unknown."""
    apply(context, tls.profile)
    if tls.ciphers is not None:
        level = ":@SECLEVEL=0" if tls.profile == "old" and "@SECLEVEL" not in tls.ciphers else ""
        try:
            context.set_ciphers(tls.ciphers + level)
        except ssl.SSLError as error:
            message = f'wanted cipher suites as OpenSSL names them, such as "ECDHE+AESGCM", got "{tls.ciphers}"'
            raise Unknown("ciphers", message) from error
        for suite in context.get_ciphers():
            if "Au=None" in suite["description"] or "Enc=None" in suite["description"]:
                raise Unknown("ciphers", f"{suite['name']} encrypts nothing, or proves nobody's name")
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE  # whoever writes a list means its order
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
            raise Unknown("groups", f"{ssl.OPENSSL_VERSION} knows no group {group}")
    if tls.groups and not _set_groups(context, ":".join(tls.groups)):
        raise Unknown("groups", f"{ssl.OPENSSL_VERSION} does not take {':'.join(tls.groups)}")


GROUPS = ("X25519MLKEM768", "X25519", "P-256", "P-384")
"""Mozilla's guidelines 5.8, the hybrid first. OpenSSL's own list has finite fields as well: see above."""


@cache
def usual_groups() -> str:
    """Those of GROUPS that this OpenSSL has."""
    return ":".join(name for name in GROUPS if _set_groups(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), name))


def _set_groups(context: ssl.SSLContext, names: str) -> bool:
    """By OpenSSL itself, since Python's `ssl` has one curve at most (and before 3.15 no word for more). False also where that
    cannot be had: see session_cache.py for what is looked at before anything is changed."""
    import _ssl

    try:
        library = ctypes.CDLL(_ssl.__file__)
        control, options, forget = library.SSL_CTX_ctrl, library.SSL_CTX_get_options, library.ERR_clear_error
    except (AttributeError, OSError):
        return False
    control.argtypes, control.restype = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p], ctypes.c_long
    options.argtypes, options.restype = [ctypes.c_void_p], ctypes.c_uint64
    forget.argtypes, forget.restype = [], None
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if not pointer or options(pointer) != int(context.options) or not names.isascii():
        return False
    done = control(pointer, SET_GROUPS_LIST, 0, names.encode())
    forget()  # else the next user of OpenSSL would take it for his own
    return int(done) == 1


def harden(context: ssl.SSLContext) -> None:
    """What holds for servers and clients of every profile."""
    context.options |= ssl.OP_NO_COMPRESSION  # CRIME
    context.options |= ssl.OP_NO_RENEGOTIATION  # TLS 1.2: a cheap way to keep a server busy, and no use for us
    # An end of file without close_notify must stay visible: it is how a truncated body is told from a complete one.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
