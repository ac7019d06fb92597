"""Verification of certificates: what is asked of them beyond chain, name and dates, chosen here and the same under every Python.

`ssl.create_default_context` is for nobody in lbproxy. What it asks depends on the Python: from 3.13 on it refuses certificates that
lack what RFC 5280 wants of their form (VERIFY_X509_STRICT), an authority key identifier above all, and trusts intermediates by
themselves (VERIFY_X509_PARTIAL_CHAIN). It also writes keys of sessions to a file that the environment names (SSLKEYLOGFILE).

The form of certificates is not asked for, neither of backends' nor of clients': authorities of one's own are often made by hand,
without those identifiers; OpenSSL, nginx, HAProxy and curl take their certificates, and who forges one has to forge a signature
whatever its form. That an issuer may issue (CA:TRUE, its key's usage) is asked in any case.
"""

from __future__ import annotations

import ssl

FLAGS = ssl.VERIFY_X509_TRUSTED_FIRST
"""A trusted certificate ends the search for a chain, whatever else a peer sent along."""


def client() -> ssl.SSLContext:
    """A context for connections of ours, which verifies chain, name and dates and trusts nobody yet."""
    return _decided(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def server() -> ssl.SSLContext:
    """A context for a listener, which asks clients for nothing yet."""
    return _decided(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def _decided(context: ssl.SSLContext) -> ssl.SSLContext:
    context.verify_flags = FLAGS
    return context


def trust_what_was_named(context: ssl.SSLContext) -> None:
    """What stands in a file of one's own is trusted as such: an intermediate or a single server's certificate will do."""
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def ask_for_lists(context: ssl.SSLContext) -> None:
    """Of revoked certificates: every authority of a chain has to have one."""
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
