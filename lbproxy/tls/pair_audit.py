"""Questions about a certificate and its key: whether they can be used, and if not, why not, in words to act on.

Each file is taken through the questions in the order in which a person would fix them: is it there, may we read it, is it what it
should be, do the two belong together, is it strong enough. Whether a pair can be used is asked of OpenSSL, on a scratch context,
because its answer is the one that counts at start; `cryptography` tells what it leaves open: strength, which certificate a key does
belong to.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.config.model import CertificateConfig
from lbproxy.errors import Complaint, StartError
from lbproxy.tls import contexts, pem, remote_key
from lbproxy.tls.files import (
    PRIVATE,
    Chain,
    FileFault,
    Location,
    exposure,
    os_fault,
    parsed,
    read,
    read_chain,
    subject,
    what_it_holds,
)
from lbproxy.tls.sni import kind_of
from lbproxy.tls.unlock import Known, Shut, UnlockedPair, chain_of, opened

if TYPE_CHECKING:
    from cryptography import x509

MIN_RSA_BITS = 2048
"""NIST SP 800-57: shorter ones are below 112 bits of security; browsers refuse them (CA/Browser Forum baseline, 6.1.5)."""
MIN_EC_BITS = 224
MOST_SIBLINGS = 100
"""Certificates among which a key may have been mixed up."""


def judged(place: Location, pair: CertificateConfig, siblings: Sequence[CertificateConfig], known: Known) -> Iterator[Complaint]:
    """`siblings`: all pairs of the configuration, among which a key may have been mixed up; `known`: passphrases."""
    cert_place = place._replace(key=f"{place.key}.cert")
    key_place = place._replace(key=f"{place.key}.key")
    found = opened(pair, known)
    if isinstance(found, UnlockedPair) and found.chain:
        yield from map(cert_place.complaint, _container(pair, found, siblings))
        return
    if isinstance(found, Shut) and found.about == "cert":
        yield cert_place.complaint(found.fault)
        return
    chain = read_chain(pair.cert)
    if isinstance(chain, FileFault):
        yield cert_place.complaint(chain)
    else:
        yield from map(cert_place.complaint, weakness(chain[0]))
        content = read(pair.cert)
        if pair.cert != pair.key and not isinstance(content, FileFault) and PRIVATE in content:
            exposed = exposure(pair.cert, pair.key_mode)  # a key kept beside the certificate, as HAProxy wants it
            yield from map(cert_place.complaint, exposed)
    if isinstance(found, Shut):
        yield place._replace(key=f"{place.key}.{found.about}").complaint(found.fault)
        return
    key_fault = None if found is not None else _key_file(pair.key)
    if key_fault is not None:
        yield key_place.complaint(key_fault)
        return
    yield from map(key_place.complaint, exposure(pair.key, pair.key_mode))
    if not isinstance(chain, FileFault):
        yield from map(key_place.complaint, _togetherness(pair, chain, siblings, found))


def _container(pair: CertificateConfig, found: UnlockedPair, siblings: Sequence[CertificateConfig]) -> Iterator[FileFault]:
    """A PKCS #12 file."""
    chain = [parsed(der) for der in pem.ders(found.chain)]
    yield from weakness(chain[0])
    yield from exposure(pair.cert, pair.key_mode)
    yield from _togetherness(pair, chain, siblings, found)


def at_a_glance(place: Location, pair: CertificateConfig, _: Sequence[CertificateConfig], known: Known) -> Iterator[Complaint]:
    """The same for one among very many: whether key and certificate belong together is seen by their public halves, which takes a
    tenth of what OpenSSL needs to load them."""
    found = opened(pair, known)
    if isinstance(found, Shut):
        yield place.complaint(found.fault)
        return
    if found is not None and found.chain:
        yield from map(place.complaint, _container(pair, found, ()))
        return
    chain = read_chain(pair.cert)
    if isinstance(chain, FileFault):
        yield place.complaint(chain)
        return
    yield from map(place.complaint, weakness(chain[0]))
    content = read(pair.key) if found is None else found.key
    fault = content if isinstance(content, FileFault) else _key_fault(pair.key, content)
    if fault is not None or isinstance(content, FileFault):
        yield from map(place.complaint, [fault] if fault else [])
        return
    yield from map(place.complaint, exposure(pair.key, pair.key_mode))
    public = public_half(content)
    if chain[0] is None or public is None:  # one that OpenSSL understands, or nobody does
        yield from map(place.complaint, _togetherness(pair, chain, (), found))
    elif not _same_key(chain[0], public):
        why = f"{pair.key} does not match {pair.cert} ({subject(chain[0])})"
        yield place.complaint(FileFault(why, "is it the key of another one?"))


def of_another_kind(place: Location, pair: CertificateConfig) -> Iterator[Complaint]:
    """Than those that can be kept apart from the workers."""
    chain = chain_of(pair)
    leaf = None if isinstance(chain, FileFault) else chain[0]
    if leaf is not None and (kind := kind_of(leaf)) not in remote_key.KINDS:
        why = f"{pair.key} is of the kind {kind}, and key_isolation is for {' and '.join(remote_key.KINDS)}"
        yield place.complaint(FileFault(why, "have the certificate issued for an EC key, which every client knows"))


def _key_file(path: Path) -> FileFault | None:
    """Why this is no key that we can use, if it is none."""
    content = read(path)
    return content if isinstance(content, FileFault) else _key_fault(path, content)


def _key_fault(path: Path, content: bytes) -> FileFault | None:
    if PRIVATE not in content:
        return FileFault(f"{path} holds no private key in PEM form ({what_it_holds(content)})")
    return None


def _togetherness(
    pair: CertificateConfig, chain: Chain, siblings: Sequence[CertificateConfig], found: UnlockedPair | None
) -> Iterator[FileFault]:
    """Whether OpenSSL takes the two as a pair, and if not, what the key does belong to."""
    try:
        contexts.load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair)
    except StartError as refused:
        error = refused.__cause__
        if isinstance(error, ssl.SSLError):
            if error.reason == "EE_KEY_TOO_SMALL" and any(weakness(chain[0])):
                return  # said already, with figures
            public = _public_key(pair.key) if found is None else public_half(found.key)
            yield _explain(error, pair, chain, siblings, public)
        elif isinstance(error, OSError):
            yield os_fault(error, pair.key)
        else:
            yield FileFault(str(refused))


def _explain(
    error: ssl.SSLError, pair: CertificateConfig, chain: Chain, siblings: Sequence[CertificateConfig], public: bytes | None
) -> FileFault:
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return FileFault(f"{pair.cert} is too weak for this machine's OpenSSL ({error.reason})", "issue it anew, with EC P-256")
    # OpenSSL's reason does not tell a mismatch reliably: keys of two kinds give NO_CERTIFICATE_ASSIGNED.
    if public is None or chain[0] is None or _same_key(chain[0], public):
        return FileFault(f"{pair.key} cannot be used with {pair.cert}: OpenSSL says {error.reason or error}")
    for position, certificate in enumerate(chain[1:], start=2):
        if _same_key(certificate, public):
            return FileFault(
                f"{pair.key} belongs to certificate {position} of {len(chain)} in {pair.cert}, not to the first",
                "the site's own certificate comes first in the file, then the one that signed it, and so on",
            )
    for sibling in siblings[:MOST_SIBLINGS]:
        other = read_chain(sibling.cert)
        if not isinstance(other, FileFault) and _same_key(other[0], public):
            return FileFault(f"{pair.key} does not match {pair.cert}; it belongs to {sibling.cert}", "have two keys been mixed up?")
    whose = f" ({subject(chain[0])})" if chain[0] is not None else ""
    return FileFault(f"{pair.key} does not match {pair.cert}{whose}", "is it the key of an older certificate?")


def weakness(leaf: x509.Certificate | None) -> Iterator[FileFault]:
    """Keys that clients will not take."""
    if leaf is None:
        return
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        public = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        yield FileFault(f"the certificate of {subject(leaf)} has a key of an unknown kind: {error}")
        return
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < MIN_RSA_BITS:
        yield FileFault(
            f"the RSA key of {subject(leaf)} has {public.key_size} bits, wanted at least {MIN_RSA_BITS}", "make a new key"
        )
    if isinstance(public, ec.EllipticCurvePublicKey) and public.key_size < MIN_EC_BITS:
        yield FileFault(
            f"the EC key of {subject(leaf)} has {public.key_size} bits, wanted at least {MIN_EC_BITS}", "make a new key"
        )


def _public_key(path: Path) -> bytes | None:
    """The same of a file."""
    try:
        return public_half(path.read_bytes())
    except OSError:
        return None  # OpenSSL already refused the pair; this only was to say more


def public_half(content: bytes) -> bytes | None:
    """Of a private key as PEM: its public half as DER, None when it cannot be told."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        # Whether its numbers are good is OpenSSL's to say: for RSA that takes longer than all the rest.
        public = load_pem_private_key(content, None, unsafe_skip_rsa_key_validation=True).public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _same_key(certificate: x509.Certificate | None, public: bytes) -> bool:
    if certificate is None:
        return False
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public
    except (ValueError, UnsupportedAlgorithm):
        return False
