"""What is wrong with the certificate, key and authority files of a configuration: everything, at once, in words to act on.

Each file is taken through the questions in the order in which a person would fix them: is it there, may we read it, is it what it
should be, do the two belong together, is it still good. A missing file gets no complaint about its dates. Whether a pair can be
used is asked of OpenSSL, on a scratch context, because its answer is the one that counts at start; `cryptography` tells what it
leaves open: dates, strength, which certificate a key does belong to.
"""

from __future__ import annotations

import os
import pwd
import ssl
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.config.model import Certificate, Config
from lbproxy.errors import Complaint

if TYPE_CHECKING:
    from cryptography import x509

MIN_RSA_BITS = 2048
"""NIST SP 800-57: shorter ones are below 112 bits of security; browsers refuse them (CA/Browser Forum baseline, 6.1.5)."""
MIN_EC_BITS = 224

PRIVATE = b"PRIVATE KEY-----"
ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")


class Fault(NamedTuple):
    """A complaint that does not know yet where in the configuration it stands."""

    message: str
    hint: str = ""


class Place(NamedTuple):
    """Where the configuration names a file."""

    source: str
    line: int
    key: str

    def complaint(self, fault: Fault) -> Complaint:
        return Complaint(self.source, self.line, self.key, fault.message, fault.hint)


def audit(config: Config, now: datetime | None = None) -> list[Complaint]:
    """Everything that start would refuse about TLS files, in the order of the configuration. Raises nothing.

    `now`: an aware time to judge dates by; None is the system's clock.
    """
    now = now or datetime.now(UTC)
    complaints: list[Complaint] = []
    served = [certificate for listen in config.listen for certificate in listen.certificates]
    for number, listen in enumerate(config.listen):
        for index, certificate in enumerate(listen.certificates):
            place = Place(config.source, listen.line, f"listen[{number}].certificates[{index}]")
            complaints += _pair(place, certificate, served, now)
        if listen.tls.client_ca is not None:
            complaints += _authorities(Place(config.source, listen.line, f"listen[{number}].tls.client_ca"), listen.tls.client_ca)
    for pool in config.pools:
        if pool.tls is None:
            continue
        place = Place(config.source, pool.line, f"pool.{pool.name}.tls")
        if pool.tls.ca is not None:
            complaints += _authorities(place._replace(key=f"{place.key}.ca"), pool.tls.ca)
        if pool.tls.cert is not None and pool.tls.key is not None:
            pair = Certificate(pool.tls.cert, pool.tls.key)
            complaints += _pair(place, pair, served, now)
    return complaints


# ---------------------------------------------------------------- a certificate and its key


def _pair(place: Place, pair: Certificate, siblings: Sequence[Certificate], now: datetime) -> Iterator[Complaint]:
    """`siblings`: all pairs of the configuration, among which a key may have been mixed up."""
    cert_place = place._replace(key=f"{place.key}.cert")
    key_place = place._replace(key=f"{place.key}.key")
    chain = _chain(pair.cert)
    if isinstance(chain, Fault):
        yield cert_place.complaint(chain)
    else:
        yield from map(cert_place.complaint, _fitness(chain[0], now))
        content = _read(pair.cert)
        if pair.cert != pair.key and not isinstance(content, Fault) and PRIVATE in content:
            yield from map(cert_place.complaint, _exposure(pair.cert))  # a key kept beside the certificate, as HAProxy wants it
    key_fault = _key_file(pair.key)
    if key_fault is not None:
        yield key_place.complaint(key_fault)
        return
    yield from map(key_place.complaint, _exposure(pair.key))
    if not isinstance(chain, Fault):
        yield from map(key_place.complaint, _togetherness(pair, chain, siblings))


def _key_file(path: Path) -> Fault | None:
    """Why this is no key that we can use, if it is none."""
    content = _read(path)
    if isinstance(content, Fault):
        return content
    if any(mark in content for mark in ENCRYPTED):
        return Fault(
            f"{path} is encrypted with a pass phrase, and nobody is there to type it when lbproxy starts by itself",
            f"openssl pkey -in {path} -out plain.key && chmod 600 plain.key",
        )
    if PRIVATE not in content:
        return Fault(f"{path} holds no private key in PEM form ({_what_it_holds(content)})")
    return None


def _exposure(path: Path) -> Iterator[Fault]:
    """A private key that others than its owner may read.

    One habit is let through: root's key, readable by a group (0640), as Debian's ssl-cert package sets it up.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        yield _os_fault(error, path)
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IRWXO:
        who = "everybody"
    elif mode & stat.S_IRWXG and not (status.st_uid == 0 and mode & stat.S_IRWXG == stat.S_IRGRP):
        who = "its group"
    else:
        return
    yield Fault(f"{path} holds a private key, but {who} may use it (mode {mode:04o})", f"chmod 600 {path}")


def _togetherness(pair: Certificate, chain: Sequence[x509.Certificate], siblings: Sequence[Certificate]) -> Iterator[Fault]:
    """Whether OpenSSL takes the two as a pair, and if not, what the key does belong to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(pair.cert, pair.key, password="")
    except ssl.SSLError as error:
        if error.reason == "EE_KEY_TOO_SMALL" and any(_weakness(chain[0])):
            return  # said already, with figures
        yield _explain(error, pair, chain, siblings)
    except OSError as error:
        yield _os_fault(error, pair.key)


def _explain(error: ssl.SSLError, pair: Certificate, chain: Sequence[x509.Certificate], siblings: Sequence[Certificate]) -> Fault:
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return Fault(f"{pair.cert} is too weak for this machine's OpenSSL ({error.reason})", "issue it anew, with EC P-256")
    # OpenSSL's reason does not tell a mismatch reliably: keys of two kinds give NO_CERTIFICATE_ASSIGNED.
    public = _public_key(pair.key)
    if public is None or _same_key(chain[0], public):
        return Fault(f"{pair.key} cannot be used with {pair.cert}: OpenSSL says {error.reason or error}")
    for position, certificate in enumerate(chain[1:], start=2):
        if _same_key(certificate, public):
            return Fault(
                f"{pair.key} belongs to certificate {position} of {len(chain)} in {pair.cert}, not to the first",
                "the site's own certificate comes first in the file, then the one that signed it, and so on",
            )
    for sibling in siblings:
        other = _chain(sibling.cert)
        if not isinstance(other, Fault) and _same_key(other[0], public):
            return Fault(f"{pair.key} does not match {pair.cert}; it belongs to {sibling.cert}", "have two keys been mixed up?")
    return Fault(f"{pair.key} does not match {pair.cert} ({_subject(chain[0])})", "is it the key of an older certificate?")


def _fitness(leaf: x509.Certificate, now: datetime) -> Iterator[Fault]:
    """Dates and strength of the certificate that clients will judge.

    Only the first of the file: a chain may carry an expired cross-signed root on purpose (Let's Encrypt did for years), and clients
    that do not need it do not mind.
    """
    if now > leaf.not_valid_after_utc:
        yield Fault(f"the certificate of {_subject(leaf)} expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", "renew it")
    elif now < leaf.not_valid_before_utc:
        yield Fault(
            f"the certificate of {_subject(leaf)} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; "
            f"it is {now:%Y-%m-%d %H:%M} UTC now",
            "is this machine's clock right?",
        )
    yield from _weakness(leaf)


def _weakness(leaf: x509.Certificate) -> Iterator[Fault]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        public = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        yield Fault(f"the certificate of {_subject(leaf)} has a key of an unknown kind: {error}")
        return
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < MIN_RSA_BITS:
        yield Fault(f"the RSA key of {_subject(leaf)} has {public.key_size} bits, wanted at least {MIN_RSA_BITS}", "make a new key")
    if isinstance(public, ec.EllipticCurvePublicKey) and public.key_size < MIN_EC_BITS:
        yield Fault(f"the EC key of {_subject(leaf)} has {public.key_size} bits, wanted at least {MIN_EC_BITS}", "make a new key")


# ---------------------------------------------------------------- authorities


def _authorities(place: Place, path: Path) -> Iterator[Complaint]:
    chain = _chain(path)
    if isinstance(chain, Fault):
        yield place.complaint(chain)
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        yield place.complaint(Fault(f"{path} cannot be used: OpenSSL says {error.reason or error}"))
    except OSError as error:
        yield place.complaint(_os_fault(error, path))


# ---------------------------------------------------------------- files


def _chain(path: Path) -> Sequence[x509.Certificate] | Fault:
    """The certificates of a PEM file, at least one, or why there are none."""
    from cryptography import x509  # not at the top: 50 ms that a start without TLS need not spend

    content = _read(path)
    if isinstance(content, Fault):
        return content
    if b"-----BEGIN CERTIFICATE-----" not in content:
        return Fault(f"{path} holds no certificate in PEM form ({_what_it_holds(content)})")
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        return Fault(f"{path} holds a certificate that cannot be read: {error}")


def _read(path: Path) -> bytes | Fault:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a FIFO would block us, a device feed us for ever
            return Fault(f"{path} is {'a directory' if path.is_dir() else 'no regular file'}, wanted a PEM file")
        return path.read_bytes()
    except OSError as error:
        return _os_fault(error, path)


def _os_fault(error: OSError, path: Path) -> Fault:
    if isinstance(error, FileNotFoundError):
        return Fault(f"{path} does not exist")
    if isinstance(error, PermissionError):
        return Fault(f"{path} may not be read by {_who_am_i()}")
    return Fault(f"{path} cannot be read: {error.strerror or error}")


def _who_am_i() -> str:
    uid = os.geteuid()
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:  # a container's uid without an account
        return f"uid {uid}"


def _what_it_holds(content: bytes) -> str:
    """What came instead, so that two swapped settings are seen at once. Never shows content: it may be a secret."""
    if not content.strip():
        return "it is empty"
    if PRIVATE in content:
        return "it holds a private key"
    if b"-----BEGIN CERTIFICATE REQUEST-----" in content:
        return "it holds a certificate request, not yet signed"
    if b"-----BEGIN CERTIFICATE-----" in content:
        return "it holds a certificate"
    if content.startswith(b"\x30"):  # ASN.1 SEQUENCE: how every DER or PKCS #12 file begins
        return "it looks like DER or PKCS #12: convert it with openssl"
    return "it is something else"


# ---------------------------------------------------------------- keys


def _public_key(path: Path) -> bytes | None:
    """The public half of a private key's file as DER, None when it cannot be told."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        public = load_pem_private_key(path.read_bytes(), None).public_key()
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm, OSError):
        return None  # OpenSSL already refused the pair; this only was to say more


def _same_key(certificate: x509.Certificate, public: bytes) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public
    except (ValueError, UnsupportedAlgorithm):
        return False


def _subject(certificate: x509.Certificate) -> str:
    """What a person calls this certificate: its first DNS name, else its subject."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = names.get_values_for_type(x509.DNSName)
        if dns:
            return dns[0]
    except (x509.ExtensionNotFound, ValueError):
        pass  # no alternative names, or unreadable ones: the subject will do
    return certificate.subject.rfc4514_string() or "no name"
