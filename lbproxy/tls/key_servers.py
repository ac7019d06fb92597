"""Servers that sets of keys are fetched from: who may have signed their certificates."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from lbproxy.config.model import Config, KeySet
from lbproxy.errors import StartError
from lbproxy.tls import pem, profiles, verification
from lbproxy.tls.keystore import KeyStore, Piece


def contexts(config: Config, held: Mapping[Path, bytes]) -> dict[str, ssl.SSLContext]:
    """By name of each set that is fetched over TLS. Raises StartError."""
    return {keys.name: context_of(keys, held) for keys in config.key_sets if keys.parts.scheme == "https"}


def context_of(keys: KeySet, held: Mapping[Path, bytes]) -> ssl.SSLContext:
    """For connections to its server. Raises StartError."""
    if keys.ca is not None:
        context = trusting(held[keys.ca], keys.ca)
    else:
        context = verification.client()
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if not keys.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    profiles.harden(context)
    return context


def take(path: Path, store: KeyStore) -> Piece:
    """Read a file of authorities. Raises StartError."""
    try:
        return store.take_certificates(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise StartError(f"certificate authority {path}: {why}") from error


def certificates(store: KeyStore, piece: Piece) -> bytes:
    """Those of a piece in PEM, in DER one behind the other: what stands between them may be in any language, and OpenSSL is given
    nothing of it. Raises ValueError."""
    return b"".join(pem.ders(store.text(*piece)))


def trusting(held: bytes, path: Path) -> ssl.SSLContext:
    """A context that trusts these, which stood in that file. Raises StartError."""
    if not held:
        raise StartError(f"certificate authority {path}: it holds no certificate in PEM")
    context = verification.client()
    try:
        context.load_verify_locations(cadata=held)
    except (ssl.SSLError, ValueError) as error:
        why = error.reason if isinstance(error, ssl.SSLError) else error
        raise StartError(f"certificate authority {path}: {why}") from error
    verification.trust_what_was_named(context)
    return context
