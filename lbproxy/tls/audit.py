"""The audit of a configuration's certificate, key and authority files: all that is wrong, at once, in words to act on.

Each file is taken through the questions in the order in which a person would fix them: is it there, may we read it, is it what it
should be, do the two belong together, is it strong enough. Whether a pair can be used is asked of OpenSSL, on a scratch context,
because its answer is the one that counts at start; `cryptography` tells what it leaves open: strength, which certificate a key does
belong to.

Dates are no fault of a file: see remarks.py.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.config.model import Acme, Certificate, Config, Listen, PoolTls
from lbproxy.config.model.acme import TLS_ALPN
from lbproxy.errors import Complaint, StartError
from lbproxy.tls import challenge_hello, contexts, pem, profiles, remote_key, tickets, verification
from lbproxy.tls.contexts import TRIED
from lbproxy.tls.files import (
    PRIVATE,
    Chain,
    Fault,
    Place,
    exposure,
    os_fault,
    parsed,
    read,
    read_chain,
    read_lists,
    subject,
    what_it_holds,
)
from lbproxy.tls.keystore import overwriting
from lbproxy.tls.sni import kind_of
from lbproxy.tls.unlock import Known, Opened, Shut, chain_of, opened

if TYPE_CHECKING:
    from cryptography import x509

MIN_RSA_BITS = 2048
"""NIST SP 800-57: shorter ones are below 112 bits of security; browsers refuse them (CA/Browser Forum baseline, 6.1.5)."""
MIN_EC_BITS = 224
MOST_SIBLINGS = 100
"""Certificates among which a key may have been mixed up."""


def audit(config: Config) -> list[Complaint]:
    """Everything that start would refuse about TLS files, in the order of the configuration. Raises nothing."""
    complaints: list[Complaint] = []
    known: Known = {}
    served = [certificate for listen in config.listen for certificate in listen.pairs]
    with overwriting():
        for number, listen in enumerate(config.listen):
            for index, certificate in enumerate(listen.certificates):
                place = Place(config.source, listen.line, f"listen[{number}].certificates[{index}]")
                look = _pair if index < TRIED else _pair_at_a_glance
                complaints += look(place, certificate, served, known)
                complaints += _of_another_kind(place, certificate) if config.proxy.key_isolation else ()
            complaints += _own_settings(Place(config.source, listen.line, f"listen[{number}].tls"), listen)
            complaints += _of_clients(Place(config.source, listen.line, f"listen[{number}].tls"), listen)
        if config.acme is not None:
            complaints += _acme(Place(config.source, 0, "acme"), config.acme)
        if config.proxy.key_isolation and (why := remote_key.missing()):
            complaints.append(Complaint(config.source, 0, "proxy.key_isolation", why, "leave it out: keys are in the workers then"))
        for number, path in enumerate(config.proxy.ticket_keys):
            complaints += _ticket_key(Place(config.source, 0, f"proxy.ticket_keys[{number}]"), path)
        for pool in config.pools:
            if pool.tls is None:
                continue
            place = Place(config.source, pool.line, f"pool.{pool.name}.tls")
            if pool.tls.ca is not None:
                complaints += authorities(place._replace(key=f"{place.key}.ca"), pool.tls.ca)
            if pool.tls.crl is not None:
                complaints += lists(place._replace(key=f"{place.key}.crl"), pool.tls.crl)
            if pool.tls.cert is not None and pool.tls.key is not None:
                pair = Certificate(pool.tls.cert, pool.tls.key, pool.tls.key_mode, pool.tls.passphrase)
                complaints += _pair(place, pair, served, known)
            complaints += _ciphers(place, pool.tls)
    return complaints


Unusable = list[tuple[int, str]]
"""Numbers of a listener's `listed` pairs, each with the reason."""


def audit_folder(listen: Listen, span: range | None = None, *, isolated: bool = False) -> Unusable:
    """Which pairs of a listener's folder, or of some of them, cannot be used; `isolated`: with key_isolation. Raises nothing."""
    found: Unusable = []
    look = _pair if len(listen.listed) <= TRIED else _pair_at_a_glance
    siblings = listen.listed[:MOST_SIBLINGS]
    known: Known = {}
    with overwriting():
        for index in span or range(len(listen.listed)):
            faults = list(look(Place("", 0, ""), listen.listed[index], siblings, known))
            faults += _of_another_kind(Place("", 0, ""), listen.listed[index]) if isolated else ()
            if faults:
                found.append((index, faults[0].message + (f" ({faults[0].hint})" if faults[0].hint else "")))
    return found


def without_unusable(config: Config, unusable: Sequence[Unusable]) -> tuple[Config, list[Complaint]]:
    """The configuration with what can be used of each listener's folder, and a complaint about each of which that is nothing."""
    listens, complaints = [], []
    for number, (listen, found) in enumerate(zip(config.listen, unusable, strict=True)):
        out = {index for index, _ in found}
        kept = tuple(pair for index, pair in enumerate(listen.listed) if index not in out)
        if found and not kept:
            first = f"none of the certificates in {listen.folder} can be used: {found[0][1]}"
            complaints.append(Complaint(config.source, listen.line, f"listen[{number}].certificates", first))
        why = tuple(f"{listen.listed[index].cert} is left out: {reason}" for index, reason in found)
        listens.append(replace(listen, listed=kept, left_out=(*listen.left_out, *why)) if found else listen)
    return replace(config, listen=tuple(listens)), complaints


# ---------------------------------------------------------------- a certificate and its key


def _pair(place: Place, pair: Certificate, siblings: Sequence[Certificate], known: Known) -> Iterator[Complaint]:
    """`siblings`: all pairs of the configuration, among which a key may have been mixed up; `known`: passphrases."""
    cert_place = place._replace(key=f"{place.key}.cert")
    key_place = place._replace(key=f"{place.key}.key")
    found = opened(pair, known)
    if isinstance(found, Opened) and found.chain:
        yield from map(cert_place.complaint, _container(pair, found, siblings))
        return
    if isinstance(found, Shut) and found.about == "cert":
        yield cert_place.complaint(found.fault)
        return
    chain = read_chain(pair.cert)
    if isinstance(chain, Fault):
        yield cert_place.complaint(chain)
    else:
        yield from map(cert_place.complaint, _weakness(chain[0]))
        content = read(pair.cert)
        if pair.cert != pair.key and not isinstance(content, Fault) and PRIVATE in content:
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
    if not isinstance(chain, Fault):
        yield from map(key_place.complaint, _togetherness(pair, chain, siblings, found))


def _container(pair: Certificate, found: Opened, siblings: Sequence[Certificate]) -> Iterator[Fault]:
    """A PKCS #12 file."""
    chain = [parsed(der) for der in pem.ders(found.chain)]
    yield from _weakness(chain[0])
    yield from exposure(pair.cert, pair.key_mode)
    yield from _togetherness(pair, chain, siblings, found)


def _pair_at_a_glance(place: Place, pair: Certificate, _: Sequence[Certificate], known: Known) -> Iterator[Complaint]:
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
    if isinstance(chain, Fault):
        yield place.complaint(chain)
        return
    yield from map(place.complaint, _weakness(chain[0]))
    content = read(pair.key) if found is None else found.key
    fault = content if isinstance(content, Fault) else _key_fault(pair.key, content)
    if fault is not None or isinstance(content, Fault):
        yield from map(place.complaint, [fault] if fault else [])
        return
    yield from map(place.complaint, exposure(pair.key, pair.key_mode))
    public = _public_half(content)
    if chain[0] is None or public is None:  # one that OpenSSL understands, or nobody does
        yield from map(place.complaint, _togetherness(pair, chain, (), found))
    elif not _same_key(chain[0], public):
        why = f"{pair.key} does not match {pair.cert} ({subject(chain[0])})"
        yield place.complaint(Fault(why, "is it the key of another one?"))


def _of_another_kind(place: Place, pair: Certificate) -> Iterator[Complaint]:
    """Than those that can be kept apart from the workers."""
    chain = chain_of(pair)
    leaf = None if isinstance(chain, Fault) else chain[0]
    if leaf is not None and (kind := kind_of(leaf)) not in remote_key.KINDS:
        why = f"{pair.key} is of the kind {kind}, and key_isolation is for {' and '.join(remote_key.KINDS)}"
        yield place.complaint(Fault(why, "have the certificate issued for an EC key, which every client knows"))


def _key_file(path: Path) -> Fault | None:
    """Why this is no key that we can use, if it is none."""
    content = read(path)
    return content if isinstance(content, Fault) else _key_fault(path, content)


def _key_fault(path: Path, content: bytes) -> Fault | None:
    if PRIVATE not in content:
        return Fault(f"{path} holds no private key in PEM form ({what_it_holds(content)})")
    return None


def _togetherness(
    pair: Certificate, chain: Chain, siblings: Sequence[Certificate], found: Opened | None
) -> Iterator[Fault]:
    """Whether OpenSSL takes the two as a pair, and if not, what the key does belong to."""
    try:
        contexts.load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair)
    except StartError as refused:
        error = refused.__cause__
        if isinstance(error, ssl.SSLError):
            if error.reason == "EE_KEY_TOO_SMALL" and any(_weakness(chain[0])):
                return  # said already, with figures
            public = _public_key(pair.key) if found is None else _public_half(found.key)
            yield _explain(error, pair, chain, siblings, public)
        elif isinstance(error, OSError):
            yield os_fault(error, pair.key)
        else:
            yield Fault(str(refused))


def _explain(
    error: ssl.SSLError, pair: Certificate, chain: Chain, siblings: Sequence[Certificate], public: bytes | None
) -> Fault:
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return Fault(f"{pair.cert} is too weak for this machine's OpenSSL ({error.reason})", "issue it anew, with EC P-256")
    # OpenSSL's reason does not tell a mismatch reliably: keys of two kinds give NO_CERTIFICATE_ASSIGNED.
    if public is None or chain[0] is None or _same_key(chain[0], public):
        return Fault(f"{pair.key} cannot be used with {pair.cert}: OpenSSL says {error.reason or error}")
    for position, certificate in enumerate(chain[1:], start=2):
        if _same_key(certificate, public):
            return Fault(
                f"{pair.key} belongs to certificate {position} of {len(chain)} in {pair.cert}, not to the first",
                "the site's own certificate comes first in the file, then the one that signed it, and so on",
            )
    for sibling in siblings[:MOST_SIBLINGS]:
        other = read_chain(sibling.cert)
        if not isinstance(other, Fault) and _same_key(other[0], public):
            return Fault(f"{pair.key} does not match {pair.cert}; it belongs to {sibling.cert}", "have two keys been mixed up?")
    whose = f" ({subject(chain[0])})" if chain[0] is not None else ""
    return Fault(f"{pair.key} does not match {pair.cert}{whose}", "is it the key of an older certificate?")


def _weakness(leaf: x509.Certificate | None) -> Iterator[Fault]:
    """Keys that clients will not take."""
    if leaf is None:
        return
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        public = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        yield Fault(f"the certificate of {subject(leaf)} has a key of an unknown kind: {error}")
        return
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < MIN_RSA_BITS:
        yield Fault(f"the RSA key of {subject(leaf)} has {public.key_size} bits, wanted at least {MIN_RSA_BITS}", "make a new key")
    if isinstance(public, ec.EllipticCurvePublicKey) and public.key_size < MIN_EC_BITS:
        yield Fault(f"the EC key of {subject(leaf)} has {public.key_size} bits, wanted at least {MIN_EC_BITS}", "make a new key")


def _ciphers(place: Place, tls: PoolTls) -> Iterator[Complaint]:
    """Which there are is OpenSSL's to say."""
    try:
        contexts.limit(verification.client(), tls)
    except ssl.SSLError:
        hint = "openssl ciphers -v tells which there are"
        message = f'wanted cipher suites as OpenSSL names them, such as "ECDHE+AESGCM", got "{tls.ciphers}"'
        yield place._replace(key=f"{place.key}.ciphers").complaint(Fault(message, hint))


def _acme(place: Place, acme: Acme) -> Iterator[Complaint]:
    """The files of its authorities, and whether hellos can be read where that is how names are proved."""
    for number, authority in enumerate(acme.authorities):
        at = place._replace(key=f"{place.key}.fallback" if number else place.key)
        if authority.ca is not None:
            yield from authorities(at._replace(key=f"{at.key}.ca"), authority.ca)
        if authority.eab_key is not None:
            key = at._replace(key=f"{at.key}.eab_key")
            content = read(authority.eab_key)
            if isinstance(content, Fault):
                yield key.complaint(content)
            else:
                yield from map(key.complaint, exposure(authority.eab_key, "private", "key of an account"))
    if acme.challenge == TLS_ALPN and not challenge_hello.available():
        fault = Fault("this Python's OpenSSL keeps its functions to itself, so that no hello can be read", 'take "http-01"')
        yield place._replace(key=f"{place.key}.challenge").complaint(fault)


def _ticket_key(place: Place, path: Path) -> Iterator[Complaint]:
    """Who can read it can read every session that was resumed with it."""
    try:
        tickets.read_secrets([path])
    except StartError as error:
        yield place.complaint(Fault(str(error)))
        return
    yield from map(place.complaint, exposure(path, "private", "ticket key"))


def _own_settings(place: Place, listen: Listen) -> Iterator[Complaint]:
    """Versions, suites and groups: which there are is OpenSSL's to say."""
    try:
        profiles.apply_own(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), listen.tls)
    except profiles.Unknown as error:
        hint = "openssl ciphers -v tells which there are" if error.key == "ciphers" else "X25519 and P-256 are known everywhere"
        yield place._replace(key=f"{place.key}.{error.key}").complaint(Fault(str(error), hint))


# ---------------------------------------------------------------- authorities


def authorities(place: Place, path: Path) -> Iterator[Complaint]:
    """Whether OpenSSL trusts by what stands in that file."""
    chain = read_chain(path)
    if isinstance(chain, Fault):
        yield place.complaint(chain)
        return
    try:
        contexts.trust(verification.client(), path)
    except StartError as refused:
        error = refused.__cause__
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            yield place.complaint(os_fault(error, path))
        else:
            said = getattr(error, "reason", None) or error
            yield place.complaint(Fault(f"{path} cannot be used: OpenSSL says {said}"))


def _of_clients(place: Place, listen: Listen) -> Iterator[Complaint]:
    """Who signs clients' certificates, and which were revoked."""
    for policy in listen.tls.policies:
        key = place.key if policy is listen.tls else f"{place.key}.name"
        if policy.client_ca is not None:
            yield from authorities(place._replace(key=f"{key}.client_ca"), policy.client_ca)
        if policy.client_crl is not None:
            yield from lists(place._replace(key=f"{key}.client_crl"), policy.client_crl)


def lists(place: Place, path: Path) -> Iterator[Complaint]:
    """Whether a file holds lists of revoked certificates."""
    found = read_lists(path)
    if isinstance(found, Fault):
        yield place.complaint(found)


# ---------------------------------------------------------------- keys


def _public_key(path: Path) -> bytes | None:
    """The public half of a private key's file as DER, None when it cannot be told."""
    try:
        return _public_half(path.read_bytes())
    except OSError:
        return None  # OpenSSL already refused the pair; this only was to say more


def _public_half(content: bytes) -> bytes | None:
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
