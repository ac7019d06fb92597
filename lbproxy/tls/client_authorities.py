"""The files by which clients' certificates are judged: who signs them, and which of them were revoked, as they were when read."""

from __future__ import annotations

import ssl
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from lbproxy.config.model import ListenConfig, ListenTlsConfig, NameTlsConfig
from lbproxy.errors import StartError
from lbproxy.tls import pem, verification
from lbproxy.tls.client_names import announce
from lbproxy.tls.keystore import KeyStore, Piece


class Authorities(NamedTuple):
    """What one policy of a listener judges certificates by."""

    path: Path
    store: KeyStore
    piece: Piece
    digest: bytes
    """Of the file, as SHA-256."""
    lists_path: Path | None = None
    lists: Piece | None = None
    """Revoked certificates; None where nobody looks for any."""
    lists_digest: bytes = b""


def read_authorities(listen: ListenConfig, store: KeyStore) -> tuple[Authorities | None, ...]:
    """By the numbers of the listener's policies. Raises StartError."""
    return tuple(read_policy(policy, store) for policy in listen.tls.policies)


def read_policy(policy: ListenTlsConfig | NameTlsConfig, store: KeyStore) -> Authorities | None:
    """Of one policy; None where it has none. Raises StartError."""
    ca, crl = policy.client_ca, policy.client_crl
    if ca is None:
        return None
    try:
        piece = store.take(ca)
    except OSError as error:
        raise StartError(f"certificate authority {ca}: {error.strerror or error}") from error
    made = Authorities(ca, store, piece, store.digests[ca])
    if crl is None:
        return made
    lists = read_lists(crl, store)
    return made._replace(lists_path=crl, lists=lists, lists_digest=store.digests[crl])


def read_lists(path: Path, store: KeyStore) -> Piece:
    """Of revoked certificates. Raises StartError."""
    try:
        return store.take_lists(path)
    except OSError as error:
        raise StartError(f"revoked certificates {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise StartError(f"revoked certificates {path}: {error}") from error


def demand(context: ssl.SSLContext, authorities: Authorities) -> None:
    """Let a listener's context verify by them, and name them to clients. Raises StartError."""
    with authorities.store.as_file(authorities.piece) as held:
        load_trusted(context, authorities.path, held)
    with authorities.store.shown(authorities.piece) as content:
        try:
            announce(context, pem.ders(bytes(content)))
        except ValueError as error:
            raise StartError(f"certificate authority {authorities.path}: {error}") from error
    if authorities.lists is not None and authorities.lists_path is not None:
        with authorities.store.as_file(authorities.lists) as held:
            look_for_revoked(context, authorities.lists_path, held)


def demand_by_files(context: ssl.SSLContext, listen: ListenConfig, number: int) -> None:
    """The same with what the files hold now."""
    with closing(KeyStore()) as store:
        found = read_policy(listen.tls.policies[number], store)
        if found is not None:
            demand(context, found)


def look_for_revoked(context: ssl.SSLContext, path: Path, held: str) -> None:
    """In the lists of a file, which every authority of a chain has to have one in, as nginx and HAProxy have it; `held`: where they
    are now. Raises StartError."""
    load_trusted(context, path, held, "revoked certificates")
    verification.ask_for_lists(context)


def load_trusted(context: ssl.SSLContext, path: Path, held: str, what: str = "certificate authority") -> None:
    """Authorities, or lists of what they revoked; `held`: where the content of the file is now. Raises StartError."""
    try:
        context.load_verify_locations(cafile=held)
    except ssl.SSLError as error:
        raise StartError(f"{what} {path}: {error.reason or error}") from error
    except OSError as error:
        raise StartError(f"{what} {path}: {error.strerror or error}") from error
