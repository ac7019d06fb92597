"""The TLS contexts of listeners and pools.

A context makes up its session-ticket key when it is created, and cannot be told another. So a listener's *outer* context is created
by the master, before any fork, and lives as long as the listener: all workers of all generations have it by inheritance, and a
client that comes back resumes with whichever of them, before and after a reload.

Certificates change with reloads, and a reload may fail. So the master never loads one into an outer context: it reads the files
into a store (keystore.py), tries them on a scratch context, and each child *arms* its own copy of the outer context with those of
its generation (showcase.py), before it drops its privileges. What another generation shows does not change with that, nor does a
child that is replaced a week later depend on files that somebody is editing.
"""

from __future__ import annotations

import hashlib
import ssl
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lbproxy.config.model import CertificateConfig, ListenConfig, ListenTlsConfig, NameTlsConfig, PoolConfig, PoolTlsConfig
from lbproxy.config.vocabulary import SPOKEN
from lbproxy.errors import StartError
from lbproxy.http.h2 import offered as h2
from lbproxy.tls import openssl, profiles, session_cache, verification
from lbproxy.tls.client_authorities import (
    Authorities,
    demand,
    demand_by_files,
    load_trusted,
    look_for_revoked,
    read_authorities,
    read_lists,
)
from lbproxy.tls.facts import FileFacts, Term, facts_in
from lbproxy.tls.files import FileFault
from lbproxy.tls.keystore import KeyStore, Locked, Piece, overwriting
from lbproxy.tls.sni import Arrangement, Candidate, arrange
from lbproxy.tls.unlock import Shut, unlock

CLIENT_AUTH = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}

TICKETS = 2
"""TLS 1.3 tickets per full handshake. Browsers open several connections side by side and use each ticket once (RFC 8446 C.4).
Server's CPU, measured 2026-11-23 with OpenSSL 3.0: a ticket costs 30 us; resuming instead of a full handshake saves 900 us with an
RSA 2048 certificate and 50 us with EC P-256, the cheaper one from the start."""


class Pem(NamedTuple):
    """A certificate chain and its key, as they were when they were read."""

    files: CertificateConfig
    store: KeyStore
    cert: Piece
    key: Piece
    vault: KeyStore | None = None
    """Where the key stands, and nothing else does; None: in `store`."""

    def pieces(self) -> tuple[tuple[KeyStore, Piece], tuple[KeyStore, Piece]]:
        """Where certificate and key stand."""
        return (self.store, self.cert), (self.vault or self.store, self.key)


class PoolPem(NamedTuple):
    """The files of a pool that re-encrypts, likewise."""

    store: KeyStore
    ca: Piece | None
    pair: Pem | None
    crl: Piece | None = None

    def copied(self, store: KeyStore) -> PoolPem:
        """The same in another store."""
        pair = self.pair
        return PoolPem(
            store,
            None if self.ca is None else store.copy(self.store, self.ca),
            None if pair is None else Pem(pair.files, store, store.copy(self.store, pair.cert), store.copy(self.store, pair.key)),
            None if self.crl is None else store.copy(self.store, self.crl),
        )


class OuterKey(NamedTuple):
    """What makes up an outer context. Another value needs another context, and ends what was resumed with the old one: who could
    not get in by a full handshake any more must not get in by a ticket."""

    address: str
    protocols: tuple[str, ...]
    profile: str
    client_auth: str
    client_ca: bytes  # a digest of the file's content


def read_pem(files: CertificateConfig, store: KeyStore, vault: KeyStore | None = None) -> Pem:
    """Raises StartError."""
    return read_pems([files], store, vault)[0]


def read_pems(
    pairs: Sequence[CertificateConfig],
    store: KeyStore,
    vault: KeyStore | None = None,
    ready: Mapping[CertificateConfig, HeldPair] | None = None,
) -> list[Pem]:
    """All that have to be opened with passphrases at once; `vault`: where keys go, if not into the store; `ready`: those that were
    read already. Raises StartError."""
    found: dict[int, Pem] = {}
    locked: list[int] = []
    for number, files in enumerate(pairs):
        if ready is not None and files in ready:
            found[number] = ready[files].pem
            continue
        try:
            key = (vault or store).take_key(files.key, container=files.cert == files.key)
            found[number] = Pem(files, store, store.take_certificates(files.cert), key, vault)
        except Locked:
            locked.append(number)
        except OSError as error:
            raise StartError(f"certificate {files.cert} with key {files.key}: {error.strerror or error}") from error
        except ValueError as error:
            raise StartError(f"certificate {files.cert}: {error}") from error
    if locked:
        found |= zip(locked, _unlocked([pairs[number] for number in locked], store, vault), strict=True)
    return [found[number] for number in range(len(pairs))]


def _unlocked(pairs: Sequence[CertificateConfig], store: KeyStore, vault: KeyStore | None) -> Iterator[Pem]:
    try:
        for files, pieces in zip(pairs, unlock(pairs, store, vault), strict=True):
            if isinstance(pieces, Shut):
                raise StartError(f"certificate {files.cert}: {pieces.fault.message}")
            yield Pem(files, store, pieces.chain or store.take_certificates(files.cert), pieces.key, vault)
    except OSError as error:
        raise StartError(f"certificate {pairs[0].cert} and others: {error.strerror or error}") from error
    except ValueError as error:
        raise StartError(f"certificate {pairs[0].cert} and others: {error}") from error


def read_pool(pool: PoolConfig, store: KeyStore) -> PoolPem:
    """Of a pool that re-encrypts. Raises StartError."""
    settings = pool.tls
    if settings is None:
        raise ValueError(f"pool {pool.name} does not re-encrypt")
    ca, crl = read_pool_trust(settings, store)
    pair = pool_pair(settings)
    return PoolPem(store, ca, None if pair is None else read_pem(pair, store), crl)


def read_pool_trust(settings: PoolTlsConfig, store: KeyStore) -> tuple[Piece | None, Piece | None]:
    """A pool's authorities and its lists of revoked certificates. Raises StartError."""
    try:
        ca = store.take(settings.ca) if settings.ca is not None and settings.verify else None
    except OSError as error:
        raise StartError(f"certificate authority {settings.ca}: {error.strerror or error}") from error
    return ca, None if settings.crl is None else read_lists(settings.crl, store)


def pool_pair(settings: PoolTlsConfig) -> CertificateConfig | None:
    """The files of what a pool shows its backends."""
    if settings.cert is None or settings.key is None:
        return None
    return CertificateConfig(settings.cert, settings.key, settings.key_mode, settings.passphrase)


def outer_key(listen: ListenConfig) -> OuterKey:
    """Of a TLS listener, by what its files hold now. Raises StartError."""
    tls = listen.tls
    own = (tls.min_version, tls.max_version, tls.ciphers, *tls.groups)
    profile = tls.profile if own == (None, None, None) else f"{tls.profile} {own}"
    return OuterKey(str(listen.address), offered(listen), profile, tls.client_auth, _digest_of_policies(listen))


def _digest_of_policies(listen: ListenConfig) -> bytes:
    """Of all that is asked of clients, and of what its files hold; b"" where nothing is."""
    if not listen.tls.asks:
        return b""
    told = hashlib.sha256()
    for policy in listen.tls.policies:
        names = policy.names if isinstance(policy, NameTlsConfig) else ()
        told.update(repr((names, policy.client_auth, policy.client_depth)).encode())
        for path, what in ((policy.client_ca, "certificate authority"), (policy.client_crl, "revoked certificates")):
            try:
                told.update(b"" if path is None else hashlib.sha256(path.read_bytes()).digest())
            except OSError as error:
                raise StartError(f"{what} {path}: {error.strerror or error}") from error
    return told.digest()


def offered(listen: ListenConfig) -> tuple[str, ...]:
    """What a listener's clients may speak, best first: as configured, as far as it can be spoken here. Raises StartError."""
    found = tuple(protocol for protocol in listen.speaks if protocol != "h2" or not h2.MISSING)
    if not found:
        raise StartError(f"{listen.address}: protocols: {h2.MISSING}")
    return found


def outer_context(
    listen: ListenConfig, authorities: Sequence[Authorities | None] | None = None, number: int = 0
) -> ssl.SSLContext:
    """Everything of a TLS listener but its certificates, with what is asked of clients by the policy of that `number`;
    `authorities`: of clients, by policy, else what their files hold now. Raises StartError."""
    context = verification.server()
    try:
        profiles.apply_own(context, listen.tls)
    except profiles.NotInOpenSSL as error:
        raise StartError(f"{listen.address}: tls.{error.key}: {error}") from error
    context.set_alpn_protocols(list(offered(listen)))
    context.num_tickets = TICKETS
    session_cache.switch_off(context)
    if authorities is None:
        demand_by_files(context, listen, number)
    elif (found := authorities[number]) is not None:
        demand(context, found)
    context.verify_mode = CLIENT_AUTH[listen.tls.policies[number].client_auth]
    return context


class HeldPair(NamedTuple):
    """A pair, and what it stands for."""

    pem: Pem
    candidate: Candidate
    terms: tuple[Term, ...] = ()
    notes: tuple[FileFault, ...] = ()
    """What there is to tell of it (facts.py)."""

    @property
    def facts(self) -> FileFacts:
        """All that is known of it."""
        return FileFacts(self.candidate, self.terms, self.notes)


NONE_READY: Mapping[CertificateConfig, HeldPair] = MappingProxyType({})


class Credentials(NamedTuple):
    """What a listener shows, of one generation."""

    listen: ListenConfig
    held: tuple[HeldPair, ...]
    arranged: Arrangement
    """Of those, by number."""
    authorities: tuple[Authorities | None, ...] = (None,)
    """Of clients' certificates, by policy."""


TRIED = 64
"""Pairs of a listener that are tried in OpenSSL before anybody is forked for them. It takes 0.6 ms each; of more, the default
alone: that a key fits was seen before (audit.py)."""


def credentials(
    listen: ListenConfig, pems: Sequence[Pem], now: datetime | None = None, ready: Mapping[CertificateConfig, HeldPair] = NONE_READY
) -> Credentials:
    """`pems`: of listen.pairs, in order; `ready`: those of them that are known already. Raises StartError.

    `now`: an aware time to judge dates by; None is the system's clock. What is out of date is shown all the same where nothing
    better can be: a person sees why, and who does not care about dates is served.
    """
    if (listen.tls.names or listen.tls.client_depth != ListenTlsConfig().client_depth) and openssl.functions() is None:
        raise StartError(f"{listen.address}: tls.name and client_depth need an OpenSSL that Python's ssl does not hide")
    authorities = read_authorities(listen, pems[0].store)
    held = tuple(ready.get(read.files) or held_of(read) for read in pems)
    arranged = arrange([each.candidate for each in held], now or datetime.now(UTC))
    with overwriting():
        scratches = [outer_context(listen, authorities, number) for number in range(len(authorities))]
        for index in range(len(held)) if len(held) <= TRIED else arranged.default:
            load(scratches[0], held[index].pem)  # a trial: children could only die of it
    return Credentials(listen, held, arranged, authorities)


def spoken(pool: PoolConfig) -> list[str]:
    """What a pool's backends are offered, as far as it can be spoken here. Raises StartError."""
    wanted = SPOKEN[pool.protocol]
    found = [protocol for protocol in wanted if protocol != "h2" or not h2.MISSING]
    if not found:
        raise StartError(f"pool {pool.name}: protocol: {h2.MISSING}")
    return found


def client_context(pool: PoolConfig, read: PoolPem | None = None) -> ssl.SSLContext:
    """The context for connections to the backends of a pool that re-encrypts; `read`: of its files, else what they hold now. Raises
    StartError as above.

    Chain and name are verified unless the pool says `verify = false`; the caller gives the name (`server_hostname`) with each
    connection: the pool's server_name, or else the backend's host.
    """
    settings = pool.tls
    if settings is None:
        raise ValueError(f"pool {pool.name} does not re-encrypt")
    if read is None:
        with closing(KeyStore()) as store:
            return client_context(pool, read_pool(pool, store))
    context = verification.client()
    try:
        limit(context, settings)
    except ssl.SSLError as error:
        raise StartError(f"pool {pool.name}: tls.ciphers {settings.ciphers}: {error}") from error
    profiles.harden(context)
    context.set_alpn_protocols(spoken(pool))
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif read.ca is not None:
        with read.store.as_file(read.ca) as held:
            load_trusted(context, settings.ca or SYSTEM, held)
        if settings.ca is not None:
            verification.trust_what_was_named(context)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.crl is not None and read.crl is not None:
        with read.store.as_file(read.crl) as held:
            look_for_revoked(context, settings.crl, held)
    if settings.sni is not None and openssl.functions() is None:
        raise StartError(f"pool {pool.name}: tls.sni: this Python's OpenSSL cannot be asked for it")
    if read.pair is not None:
        with overwriting():
            load(context, read.pair)
    return context


SYSTEM = Path("system")
"""What the authorities of this machine are called where they stand in a store: a process behind walls cannot read their files."""
OLD_CIPHERS = "DEFAULT:@SECLEVEL=0"
"""TLS 1.0 and 1.1 sign with what OpenSSL 3 allows at this level only; whoever asks for them has nothing better to talk to."""


def limit(context: ssl.SSLContext, settings: PoolTlsConfig) -> None:
    """Versions and cipher suites towards backends. Raises ssl.SSLError for suites that OpenSSL does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of those who ask for old versions, and know it
        context.minimum_version = profiles.VERSIONS[settings.min_version]
        if settings.max_version is not None:
            context.maximum_version = profiles.VERSIONS[settings.max_version]
    ciphers = settings.ciphers or (OLD_CIPHERS if settings.min_version < "1.2" else None)
    if ciphers is not None:
        context.set_ciphers(ciphers)


def load_pair(context: ssl.SSLContext, certificate: CertificateConfig) -> None:
    """Put a certificate chain and its key into `context`. Raises StartError."""
    with closing(KeyStore()) as store, overwriting():
        load(context, read_pem(certificate, store))


def load(context: ssl.SSLContext, pem: Pem) -> None:
    """Put a pair into `context`, where it takes the place of one with the same kind of key. Raises StartError."""
    files = pem.files
    try:
        (store, own), (keys, other) = pem.pieces()
        with store.as_file(own) as cert, keys.as_file(other) as key:
            # With no password at all OpenSSL would ask the terminal for the one of an encrypted key, and start would hang.
            context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        raise StartError(f"certificate {files.cert} with key {files.key}: {error.reason or error}") from error
    except OSError as error:
        raise StartError(f"certificate {files.cert} with key {files.key}: {error.strerror or error}") from error


def trust(context: ssl.SSLContext, ca: Path) -> None:
    """Let `context` verify by the authorities in a file. Raises StartError."""
    with closing(KeyStore()) as store:
        try:
            piece = store.take(ca)
        except OSError as error:
            raise StartError(f"certificate authority {ca}: {error.strerror or error}") from error
        with store.as_file(piece) as held:
            load_trusted(context, ca, held)


def held_of(read: Pem) -> HeldPair:
    """With what it stands for. Raises StartError."""
    try:
        return HeldPair(read, *facts_in(read.files.cert, read.store.text(*read.cert)))
    except ValueError as error:
        raise StartError(f"certificate {read.files.cert}: {error}") from error
