"""A change of what a listener shows, as the master writes it into the store and its workers read it there.

Keys never travel over a pipe: the pieces stand in the store, which the workers have from their fork; what is told is where to look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from lbproxy.config.model import CertificateConfig
from lbproxy.tls.client_authorities import Authorities
from lbproxy.tls.contexts import Credentials, HeldPair, Pem
from lbproxy.tls.keystore import KeyStore, Piece
from lbproxy.tls.sni import Candidate, Names, arrange


class Edition(NamedTuple):
    """Pairs by their number; `whole`: all there are, in order, instead of those there were."""

    whole: bool
    held: Mapping[int, HeldPair]
    authorities: tuple[Authorities | None, ...] | None = None
    """Of clients' certificates, by policy; None: those there were."""


def write(store: KeyStore, edition: Edition) -> Piece:
    """Where it stands."""
    told: dict[str, Any] = {"whole": edition.whole, "held": [[number, *told_pair(one)] for number, one in edition.held.items()]}
    if edition.authorities is not None:
        told["authorities"] = [None if one is None else told_authorities(one) for one in edition.authorities]
    return store.note(json.dumps(told).encode("ascii"))


def read(store: KeyStore, piece: Piece) -> Edition:
    """What stands there; its pairs are of this store."""
    with store.shown(piece) as content:
        told = json.loads(bytes(content))
    held = {number: heard_pair(store, facts) for number, *facts in told["held"]}
    if "authorities" not in told:
        return Edition(told["whole"], held)
    authorities = tuple(None if one is None else heard_authorities(store, one) for one in told["authorities"])
    return Edition(told["whole"], held, authorities)


def applied(shown: Credentials, edition: Edition, now: datetime) -> Credentials:
    """What is shown with it. Pairs that stand for the same as before leave the arrangement as it is, which for very many would take
    some time to make."""
    if edition.authorities is not None:
        shown = shown._replace(authorities=edition.authorities)
    held = () if edition.whole else shown.held
    made = dict(enumerate(held)) | dict(edition.held)
    fresh = tuple(made[number] for number in sorted(made))
    same = not edition.whole and all(number < len(held) and _alike(held[number], one, now) for number, one in edition.held.items())
    arranged = shown.arranged if same else arrange([one.candidate for one in fresh], now)
    return shown._replace(held=fresh, arranged=arranged)


def _alike(old: HeldPair, new: HeldPair, now: datetime) -> bool:
    before, after = old.candidate, new.candidate
    return (before.names, before.kind, before.current(now)) == (after.names, after.kind, after.current(now))


def told_pair(one: HeldPair) -> list[Any]:
    """As JSON carries it."""
    files, names = one.pem.files, one.candidate.names
    dates = [each.timestamp() for each in (one.candidate.start, one.candidate.end)]
    pair = [str(files.cert), str(files.key), files.key_mode]
    return [pair, [*one.pem.cert, *one.pem.key], [names.dns, names.ips], dates, one.candidate.kind]


def heard_pair(store: KeyStore, facts: list[Any]) -> HeldPair:
    """What `told_pair` told, of this store."""
    (cert, key, mode), (at, size, key_at, key_size), (dns, ips), dates, kind = facts
    pem = Pem(CertificateConfig(Path(cert), Path(key), mode), store, Piece(at, size), Piece(key_at, key_size))
    start, end = (datetime.fromtimestamp(each, UTC) for each in dates)
    return HeldPair(pem, Candidate(Names(tuple(dns), tuple(ips)), start, end, kind))


def told_authorities(one: Authorities) -> list[Any]:
    """As JSON carries it."""
    lists = None if one.lists is None else [str(one.lists_path), *one.lists, one.lists_digest.hex()]
    return [str(one.path), *one.piece, one.digest.hex(), lists]


def heard_authorities(store: KeyStore, facts: list[Any]) -> Authorities:
    """What `told_authorities` told, of this store."""
    path, at, size, digest, lists = facts
    made = Authorities(Path(path), store, Piece(at, size), bytes.fromhex(digest))
    if lists is None:
        return made
    lists_path, at, size, digest = lists
    return made._replace(lists_path=Path(lists_path), lists=Piece(at, size), lists_digest=bytes.fromhex(digest))
