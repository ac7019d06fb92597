"""Sets of keys that control fetches, as far as they have to do with files: authorities of their servers, and what a generation
inherits."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from lbproxy.config.model import Config
from lbproxy.errors import Complaint, StartError
from lbproxy.tls import profiles, verification
from lbproxy.tls.keystore import KeyStore, Piece

LARGEST = 1024 * 1024
_HINT = "PEM of the authority that signed the certificate of the identity provider's server"


class Holds(Protocol):
    """What is needed of a generation's resources."""

    config: Config
    keys: KeyStore | None
    documents: tuple[Piece, ...]


def complaints(config: Config) -> list[Complaint]:
    """About files of authorities."""
    found = []
    for route in config.routes:
        if route.jwt is not None and route.jwt.jwks_ca is not None:
            try:
                _trusting(_read(route.jwt.jwks_ca), route.jwt.jwks_ca)
            except StartError as error:
                found.append(Complaint(config.source, route.line, "route.jwt.jwks_ca", str(error), _HINT))
    return found


def authorities(config: Config) -> dict[Path, str]:
    """What the files hold. Raises StartError."""
    return {keys.ca: _read(keys.ca) for keys in config.key_sets if keys.ca is not None}


def contexts(config: Config, held: Mapping[Path, str]) -> dict[str, ssl.SSLContext]:
    """By name of each set that is fetched over TLS. Raises StartError."""
    found = {}
    for keys in config.key_sets:
        if keys.parts.scheme != "https":
            continue
        if keys.ca is not None:
            context = _trusting(held[keys.ca], keys.ca)
        else:
            context = verification.client()
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if not keys.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        profiles.harden(context)
        found[keys.name] = context
    return found


def inherited(config: Config, store: KeyStore, living: Collection[Holds]) -> tuple[Piece, ...]:
    """Where the last good one of each stands, taken over from the youngest generation that has one; nothing yet, otherwise."""
    last: dict[str, bytes] = {}
    for resources in living:
        if resources.keys is not None:
            pieces = resources.documents[len(resources.config.documents) :]
            for keys, piece in zip(resources.config.key_sets, pieces, strict=True):
                if piece.size:
                    last[keys.name] = resources.keys.text(*piece)
    return tuple(store.note(last.get(keys.name, b"")) for keys in config.key_sets)


def _read(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise StartError(f"{path} is no regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise StartError(f"{path}: {error.strerror or error}") from error
    if len(content) > LARGEST:
        raise StartError(f"{path} is longer than {LARGEST} bytes")
    return content.decode("latin-1")


def _trusting(held: str, path: Path) -> ssl.SSLContext:
    context = verification.client()
    try:
        context.load_verify_locations(cadata=held)
    except (ssl.SSLError, ValueError) as error:
        why = error.reason if isinstance(error, ssl.SSLError) else error
        raise StartError(f"certificate authority {path}: {why}") from error
    verification.trust_what_was_named(context)
    return context
