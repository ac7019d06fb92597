"""Documents: files that steps of routes go by (users and their passwords), as the master reads them.

Workers open no files. What a file holds stands in the generation's store beside its keys; a worker has it from its fork, and is
told where the new one stands when it changes (watches/documents.py).
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec

from lbproxy.config import documents
from lbproxy.config.model import Config, Document
from lbproxy.config.passwords import parse
from lbproxy.errors import Complaint, ConfigError, StartError
from lbproxy.http.tokens import BadKeys, TokenKeys
from lbproxy.master.resources import key_sets
from lbproxy.tls.keystore import KeyStore, Piece, content_of

_NO_KEYS = "a set of keys is what your identity provider has at its jwks_uri"


def complaints(config: Config) -> list[Complaint]:
    """All that is wrong with any of them, for `check` and before a start."""
    found = [*documents.complaints(config), *key_sets.complaints(config)]
    if find_spec("jwt") is None:
        return found
    for route in config.routes:
        if route.jwt is not None and route.jwt.jwks_file is not None:
            try:
                with content_of(route.jwt.jwks_file) as content:
                    TokenKeys.parse(bytes(content))
            except (OSError, BadKeys) as error:
                why = f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)
                message = f"{route.jwt.jwks_file} {why}"
                found.append(Complaint(config.source, route.line, "route.jwt.jwks_file", message, _NO_KEYS))
    return found


def take_all(config: Config, store: KeyStore) -> tuple[Piece, ...]:
    """Where each stands, by number. Raises ConfigError, StartError."""
    if found := complaints(config):
        raise ConfigError(found)
    return tuple(take(document, store) for document in config.documents)


def take(document: Document, store: KeyStore) -> Piece:
    """Read one into the store. Raises StartError."""
    try:
        with content_of(document.file, store.stamps) as content:
            _check(document, bytes(content))
            store.digests[document.file] = hashlib.sha256(content).digest()
            return store.note(bytes(content))
    except OSError as error:
        raise StartError(f"{document.file}: {error.strerror or error}") from error


def _check(document: Document, content: bytes) -> None:
    """Raises StartError for what is not good enough."""
    if document.kind == "jwks":
        try:
            TokenKeys.parse(content)
        except BadKeys as error:
            raise StartError(f"{document.file} {error}") from error
        return
    try:
        _, faults = parse(content.decode())
    except UnicodeDecodeError as error:
        raise StartError(f"{document.file} is no text") from error
    if faults:
        line, message, hint = faults[0]
        raise StartError(f"{document.file}:{line}: {message} ({hint})")
