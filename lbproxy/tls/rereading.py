"""Files that changed while a generation serves, judged and read into a store of their own: in a process apart, whose disk may hang.

What is told of them is plain values, for JSON; `Reread` is how whoever asked has them. Nothing is told as good that was another
thing when it was judged than when it was read: then somebody writes at it right now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lbproxy.config.model import Address, CertificateConfig, ListenConfig, ListenTlsConfig, NameTlsConfig, PoolTlsConfig
from lbproxy.errors import StartError
from lbproxy.tls import edition, key_servers, tickets
from lbproxy.tls.client_authorities import Authorities, read_policy
from lbproxy.tls.contexts import HeldPair, Pem, held_of, pool_pair, read_pem, read_pool_trust
from lbproxy.tls.facts import heard_facts, told_facts
from lbproxy.tls.folder_audit import audit_folder
from lbproxy.tls.keystore import KeyStore, Piece, Stamp, content_of, digest, overwriting
from lbproxy.tls.trust_audit import Trust, unfit

Passing = Callable[[str], object]
Policy = ListenTlsConfig | NameTlsConfig


class Reread(NamedTuple):
    """What came of files that go live together."""

    why: str
    """They cannot be used; "": they can, or, without `told`, somebody writes at them."""
    told: Any
    digests: dict[Path, bytes]
    stamps: dict[Path, Stamp]
    """Of them, as they were read."""

    @classmethod
    def of(cls, why: str, told: Any, digests: dict[str, str], stamps: dict[str, list[int]]) -> Reread:
        """As it was said."""
        return cls(
            why,
            told,
            {Path(path): bytes.fromhex(each) for path, each in digests.items()},
            {Path(path): Stamp(*each) for path, each in stamps.items()},
        )


def pairs(wanted: Sequence[CertificateConfig], inbox: KeyStore, passing: Passing, *, isolated: bool = False) -> list[object]:
    """Each pair by itself; `isolated`: with key_isolation."""
    listen = ListenConfig(Address("", 0), listed=tuple(wanted))

    def judge(number: int) -> str:
        faults = audit_folder(listen, range(number, number + 1), isolated=isolated)
        return faults[0][1] if faults else _cut((wanted[number].cert, wanted[number].key))

    with overwriting():
        return [
            _reread((pair.cert, pair.key), passing, partial(judge, number), partial(_pair, pair, inbox), inbox)
            for number, pair in enumerate(wanted)
        ]


def _pair(files: CertificateConfig, inbox: KeyStore) -> object:
    held = held_of(read_pem(files, inbox))
    return [edition.told_pair(held), told_facts(held.facts)]


def pair_of(one: Reread, files: CertificateConfig, inbox: KeyStore, store: KeyStore, vault: KeyStore | None) -> HeldPair:
    """In the store of whoever shows it; `vault`: where keys go, if not there."""
    pair, facts = one.told
    pem = edition.heard_pair(inbox, pair).pem
    own = Pem(files, store, store.copy(inbox, pem.cert), (vault or store).copy(inbox, pem.key), vault)
    _note(one, store)
    return HeldPair(own, *heard_facts(facts))


class TrustFiles(NamedTuple):
    """Files that others are judged by, or that a pool shows them."""

    policy: Policy | None
    """Of a listener; else they are a pool's:"""
    pool: PoolTlsConfig | None = None
    shown: bool = False
    """What it shows backends, and not what it judges them by."""
    key_server: Path | None = None
    """Neither: authorities of a server that a set of keys is fetched from."""

    @property
    def trust(self) -> Trust:
        """The files that others are judged by."""
        if self.key_server is not None:
            return Trust(self.key_server, None)
        if self.policy is not None:
            return Trust(self.policy.client_ca, self.policy.client_crl)
        assert self.pool is not None
        return Trust(self.pool.ca if self.pool.verify else None, self.pool.crl)


def trusts(wanted: Sequence[TrustFiles], now: datetime, inbox: KeyStore, passing: Passing) -> list[object]:
    """Each by itself."""
    return [_trust(one, now, inbox, passing) for one in wanted]


def _trust(one: TrustFiles, now: datetime, inbox: KeyStore, passing: Passing) -> object:
    pair = pool_pair(one.pool) if one.pool is not None and one.shown else None
    if pair is not None:
        return pairs([pair], inbox, passing)[0]
    trust = one.trust
    return _reread(trust.files, passing, lambda: _cut(trust.files) or unfit(trust, now), lambda: _told_trust(one, inbox), inbox)


def _told_trust(one: TrustFiles, inbox: KeyStore) -> object:
    if one.key_server is not None:
        return _told_key_server(one.key_server, inbox)
    if one.pool is not None:
        return list(read_pool_trust(one.pool, inbox))
    assert one.policy is not None
    found = read_policy(one.policy, inbox)
    return None if found is None else edition.told_authorities(found)


def _told_key_server(path: Path, inbox: KeyStore) -> object:
    piece = key_servers.take(path, inbox)
    key_servers.trusting(key_servers.certificates(inbox, piece), path)
    return piece


def key_server_of(one: Reread, inbox: KeyStore, store: KeyStore) -> bytes:
    """Of a server that a set of keys is fetched from: authorities, as tls/key_servers.py has them."""
    _note(one, store)
    return key_servers.certificates(inbox, Piece(*one.told))


def authorities_of(one: Reread, inbox: KeyStore, store: KeyStore) -> Authorities:
    """Of a listener's policy, in its generation's store."""
    found = edition.heard_authorities(inbox, one.told)
    lists = None if found.lists is None else store.copy(inbox, found.lists)
    _note(one, store)
    return found._replace(store=store, piece=store.copy(inbox, found.piece), lists=lists)


def pool_trust_of(one: Reread, inbox: KeyStore, store: KeyStore) -> tuple[Piece | None, Piece | None]:
    """A pool's authorities and lists of revoked certificates, likewise."""
    ca, crl = (None if piece is None else store.copy(inbox, Piece(*piece)) for piece in one.told)
    _note(one, store)
    return ca, crl


def ticket_secrets(files: Sequence[Path], inbox: KeyStore, passing: Passing) -> object:
    """Where they stand."""
    for path in files:
        passing(str(path))
    return inbox.note(tickets.packed(tickets.read_secrets(files)))


def _note(one: Reread, store: KeyStore) -> None:
    store.digests |= one.digests
    store.stamps |= one.stamps


def _reread(
    files: Sequence[Path], passing: Passing, judge: Callable[[], str], take: Callable[[], object], inbox: KeyStore
) -> list[object]:
    """As Reread.of has it."""
    for path in files:
        passing(str(path))
    before = {path: digest(path) for path in files}
    told = None
    why = judge()
    if not why:
        try:
            told = take()
        except StartError as error:
            why = str(error)
        if any(inbox.digests.get(path) != each for path, each in before.items()):
            told = None
    stamps = {str(path): inbox.stamps[path] for path in files if path in inbox.stamps}
    return [why, told, {str(path): each.hex() for path, each in before.items()}, stamps]


def _cut(files: Iterable[Path]) -> str:
    """Whether somebody is still writing at one of them, or never came to an end."""
    for path in files:
        try:
            with content_of(path) as content:
                if content.count(b"-----BEGIN ") != content.count(b"-----END "):
                    return f"{path} is cut short"
        except OSError:
            pass  # which is told otherwise
    return ""
