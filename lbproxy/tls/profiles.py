"""Profiles of the TLS we are willing to speak, by the names people know from Mozilla's server-side TLS guidelines.

https://wiki.mozilla.org/Security/Server_Side_TLS, guidelines 5.7. One departure: the three DHE suites of "intermediate" are left
out. They only serve clients without elliptic curves (our minimum of TLS 1.2 leaves none over that matter), and a server that offers
finite-field Diffie-Hellman can be made to work far harder than its client (CVE-2002-20001, "D(HE)at").
"""

from __future__ import annotations

import ssl
from typing import NamedTuple


class Profile(NamedTuple):
    minimum: ssl.TLSVersion
    ciphers: str | None
    """For TLS 1.2; those of 1.3 are all good and stay as they are. None: the profile has no 1.2."""


PROFILES = {
    "modern": Profile(ssl.TLSVersion.TLSv1_3, None),
    "intermediate": Profile(
        ssl.TLSVersion.TLSv1_2,
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
    ),
}


def apply(context: ssl.SSLContext, name: str) -> None:
    """Set versions, ciphers and options of the profile called `name` (a key of PROFILES) on a server's context."""
    profile = PROFILES[name]
    context.minimum_version = profile.minimum
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    if profile.ciphers is not None:
        context.set_ciphers(profile.ciphers)
    harden(context)
    # Every suite left is good, so the client chooses: a phone without AES instructions is better off with ChaCha20. (Mozilla says
    # the same for both profiles; Python turns the opposite on by itself.)
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def harden(context: ssl.SSLContext) -> None:
    """What holds for servers and clients of every profile."""
    context.options |= ssl.OP_NO_COMPRESSION  # CRIME
    context.options |= ssl.OP_NO_RENEGOTIATION  # TLS 1.2: a cheap way to keep a server busy, and no use for us
    # An end of file without close_notify must stay visible: it is how a truncated body is told from a complete one.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
