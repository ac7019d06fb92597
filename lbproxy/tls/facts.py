"""Facts of a certificate and of what stands behind it in its file: plain values, made once of each content.

Whoever has them tells of ten thousand certificates, and again after each renewal, without taking one of them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lbproxy.tls import pem
from lbproxy.tls.files import Chain, FileFault, parsed, subject, validity
from lbproxy.tls.sni import UNKNOWN, Candidate, Names, candidate_of, kind_of

if TYPE_CHECKING:
    from cryptography import x509

AFFORDABLE_RSA_BITS = 3072
"""Signing takes 0.24 ms with 2048 bits, 1.8 with 3072, 4.0 with 4096, and 0.02 with EC P-256 (openssl speed, 2026-11-28)."""

_TLS_FEATURE = bytes.fromhex("06082b06010505070118")
"""1.3.6.1.5.5.7.1.24 in DER."""


class Term(NamedTuple):
    """Something that is good for a time."""

    what: str
    start: datetime
    end: datetime

    def fault(self, now: datetime) -> FileFault | None:
        """What is wrong with it at that time."""
        if self.start <= now <= self.end:
            return None
        if now > self.end:
            return FileFault(f"{self.what} expired on {self.end:%Y-%m-%d %H:%M} UTC", "renew it")
        when = f"{self.start:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M} UTC now"
        return FileFault(f"{self.what} is not valid before {when}", "is this machine's clock right?")

    def ending(self) -> FileFault:
        """What is told of it shortly before."""
        return FileFault(f"{self.what} ends on {self.end:%Y-%m-%d %H:%M} UTC", "renew it")


class FileFacts(NamedTuple):
    """All that is known of one file."""

    candidate: Candidate = UNKNOWN
    terms: tuple[Term, ...] = ()
    notes: tuple[FileFault, ...] = ()
    """What holds at any time."""


NO_FACTS = FileFacts()


def facts_in(path: Path, content: bytes) -> FileFacts:
    """Of a PEM text that stands, or stood, in that file. Raises ValueError where there is no certificate in it."""
    ders = pem.ders(content)
    if not ders:
        raise ValueError("no certificate in PEM form")
    return facts_of(path, [parsed(der) for der in ders])


def facts_of(path: Path, chain: Chain, leaf_der: bytes | None = None) -> FileFacts:
    """Of certificates in their order; `leaf_der`: the first of them, where it is at hand."""
    leaf = chain[0] if chain else None
    if leaf is None:
        why = f"the certificate in {path} breaks a rule of X.509: OpenSSL takes it, clients may not, its dates are unread"
        return FileFacts(UNKNOWN, (), (FileFault(why, "issue it anew"),) if chain else ())
    der = leaf_der or _der(leaf)
    names = pem.names_of(der)
    notes = (*_cost(leaf), *_order(path, chain, names), *_demands(leaf, der))
    return FileFacts(candidate_of(leaf), tuple(_terms(chain, leaf, names)), notes)


def _terms(chain: Chain, leaf: x509.Certificate, names: tuple[bytes, bytes]) -> Iterator[Term]:
    """The certificate, and whoever signed it. Further up a chain may carry an expired root on purpose (Let's Encrypt did for
    years): clients that do not need it do not mind."""
    called = subject(leaf)
    yield Term(f"the certificate of {called}", *validity(leaf))
    signer = chain[1] if len(chain) > 1 else None
    if signer is not None and _signed_by(leaf, names, signer) and not _is_root(_names(signer)):
        yield Term(f"the intermediate {_subject(signer)} behind the certificate of {called}", *validity(signer))


def _order(path: Path, chain: Chain, names: tuple[bytes, bytes]) -> Iterator[FileFault]:
    """What clients, who get the file as it is, make of it."""
    known = [each for each in chain if each is not None]
    if len(known) < len(chain):
        return
    leaf = known[0]
    for position, (one, after) in enumerate(pairwise(known), start=2):
        own = names if one is leaf else _names(one)
        if _is_root(own):  # nobody needs what stands behind a root
            break
        if not _signed_by(one, own, after):
            why = f"certificate {position} of {len(known)} in {path} is not the one that signed the one before it"
            yield FileFault(why, "the site's own comes first, then whoever signed it, and so on")
            break
    if len(known) == 1 and not _is_root(names) and _from_a_public_authority(leaf):
        why = f"{path} holds the certificate of {subject(leaf)} alone, without the one of {leaf.issuer.rfc4514_string()}"
        yield FileFault(why, "many clients cannot verify it: use the file that is called fullchain")


def _demands(leaf: x509.Certificate, der: bytes) -> Iterator[FileFault]:
    """What clients demand of it, or it of them."""
    if (weak := _weak_signature(leaf)) is not None:
        yield FileFault(f"the certificate of {subject(leaf)} is signed with {weak}: clients refuse it", "renew it")
    if _must_staple(leaf, der):
        what = "demands a stapled OCSP answer, which lbproxy does not send: some clients refuse it"
        yield FileFault(f"the certificate of {subject(leaf)} {what}", "have it issued without must-staple")


def _cost(leaf: x509.Certificate) -> Iterator[FileFault]:
    """What each handshake with it costs us: clients make us pay, at no cost of theirs."""
    if kind_of(leaf) != "RSA":
        return
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        public = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return  # `audit` tells
    if isinstance(public, rsa.RSAPublicKey) and public.key_size > AFFORDABLE_RSA_BITS:
        why = f"the RSA key of {subject(leaf)} has {public.key_size} bits: each handshake costs many times one with 2048"
        yield FileFault(why, "EC P-256 is as strong as anybody needs, and costs next to nothing")


@lru_cache(maxsize=64)
def _names(one: x509.Certificate) -> tuple[bytes, bytes]:
    """Issuer and subject as they are written there: to take them apart costs more."""
    return pem.names_of(_der(one))


@lru_cache(maxsize=64)
def _subject(one: x509.Certificate) -> str:
    return subject(one)


def _der(one: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return one.public_bytes(Encoding.DER)


def _is_root(names: tuple[bytes, bytes]) -> bool:
    issuer, subject = names
    return issuer == subject


def _signed_by(one: x509.Certificate, names: tuple[bytes, bytes], other: x509.Certificate) -> bool:
    """By its name, which two may write in two ways."""
    return names[0] == _names(other)[1] or one.issuer == other.subject


def _from_a_public_authority(leaf: x509.Certificate) -> bool:
    """Those say where their own certificate is to be had (RFC 5280 4.2.2.1); in private ones the root often signs for itself."""
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return any(each.access_method == AuthorityInformationAccessOID.CA_ISSUERS for each in access)


def _weak_signature(leaf: x509.Certificate) -> str | None:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        found = leaf.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return None
    return found.name.upper() if found is not None and found.name in ("md5", "sha1") else None


def _must_staple(leaf: x509.Certificate, der: bytes) -> bool:
    """RFC 7633."""
    if _TLS_FEATURE not in der:  # so it need not be taken apart
        return False
    from cryptography import x509

    try:
        return x509.TLSFeatureType.status_request in leaf.extensions.get_extension_for_class(x509.TLSFeature).value
    except (x509.ExtensionNotFound, ValueError):
        return False


# ---------------------------------------------------------------- from one process to another


def told_facts(facts: FileFacts) -> list[Any]:
    """As JSON carries it."""
    names, start, end, kind = facts.candidate
    terms = [[what, begin.timestamp(), end.timestamp()] for what, begin, end in facts.terms]
    known = None if facts.candidate is UNKNOWN else [names.dns, names.ips, start.timestamp(), end.timestamp(), kind]
    return [known, terms, facts.notes]


def heard_facts(told: list[Any]) -> FileFacts:
    """What `told_facts` told."""
    known, terms, notes = told
    candidate = UNKNOWN
    if known is not None:
        dns, ips, start, end, kind = known
        candidate = Candidate(Names(tuple(dns), tuple(ips)), _time(start), _time(end), kind)
    heard = tuple(Term(what, _time(start), _time(end)) for what, start, end in terms)
    return FileFacts(candidate, heard, tuple(FileFault(*each) for each in notes))


@lru_cache(maxsize=1024)
def _time(seconds: float) -> datetime:
    """Certificates that were made together have their dates in common, and intermediates have them all."""
    return datetime.fromtimestamp(seconds, UTC)
