"""Authorities and lists of revoked certificates that are about to go live: whether they are whole, and belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.errors import Complaint
from lbproxy.tls import audit
from lbproxy.tls.files import Chain, FileFault, Location, read_chain, read_lists, update_times

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes


class Trust(NamedTuple):
    """What certificates are judged by."""

    ca: Path | None
    crl: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """Those there are."""
        return tuple(path for path in self if path is not None)


def unfit(trust: Trust, now: datetime) -> str:
    """Why it cannot go live; "": it can. `now`: aware."""
    nowhere = Location("", 0, "")
    said: list[Complaint] = []
    if trust.ca is not None:
        said += audit.authorities(nowhere, trust.ca)
    if trust.crl is not None:
        said += audit.lists(nowhere, trust.crl)
    if said:
        return said[0].message
    return next(_faults_of_lists(trust, now), "")


def _faults_of_lists(trust: Trust, now: datetime) -> Iterator[str]:
    """With such lists nobody at all would pass."""
    if trust.crl is None:
        return
    listed = read_lists(trust.crl)
    chain = None if trust.ca is None else read_chain(trust.ca)
    if isinstance(listed, FileFault) or isinstance(chain, FileFault):
        return  # told already, or somebody writes at it right now
    for one in listed:
        start, end = update_times(one)
        if not start <= now <= end:
            yield f"the list of {one.issuer.rfc4514_string()} in {trust.crl} is good from {start:%Y-%m-%d} to {end:%Y-%m-%d}"
    if chain is not None:
        yield from _strangers(trust, listed, chain)


def _strangers(trust: Trust, listed: Sequence[x509.CertificateRevocationList], chain: Chain) -> Iterator[str]:
    known = 0
    for one in listed:
        named = [each for each in chain if each is not None and each.subject == one.issuer]
        if named and not any(map(one.is_signature_valid, _keys(named))):
            yield f"the list of {one.issuer.rfc4514_string()} in {trust.crl} is not signed by who is called so in {trust.ca}"
        known += len(named)
    if not known and None not in chain:
        yield f"{trust.crl} holds no list of anybody in {trust.ca}"


def _keys(certificates: Sequence[x509.Certificate]) -> Iterator[CertificateIssuerPublicKeyTypes]:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    able = (dsa.DSAPublicKey, rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)
    for each in certificates:
        key = each.public_key()
        if isinstance(key, able):
            yield key
