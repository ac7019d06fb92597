"""The audit of a configuration's certificate, key and authority files: all that is wrong, at once, in words to act on.

What is asked of a pair stands in pair_audit.py, of whole folders of them in folder_audit.py. Dates are no fault of a file: see
remarks.py.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from lbproxy.config.model import AcmeConfig, CertificateConfig, Config, ListenConfig, PoolTlsConfig
from lbproxy.config.model.acme import TLS_ALPN
from lbproxy.errors import Complaint, StartError
from lbproxy.tls import challenge_hello, contexts, profiles, remote_key, tickets, verification
from lbproxy.tls.contexts import TRIED
from lbproxy.tls.files import FileFault, Location, exposure, os_fault, read, read_chain, read_lists
from lbproxy.tls.keystore import overwriting
from lbproxy.tls.pair_audit import at_a_glance, judged, of_another_kind
from lbproxy.tls.unlock import Known


def audit(config: Config) -> list[Complaint]:
    """Everything that start would refuse about TLS files, in the order of the configuration. Raises nothing."""
    complaints: list[Complaint] = []
    known: Known = {}
    served = [certificate for listen in config.listen for certificate in listen.pairs]
    with overwriting():
        for number, listen in enumerate(config.listen):
            for index, certificate in enumerate(listen.certificates):
                place = Location(config.source, listen.line, f"listen[{number}].certificates[{index}]")
                look = judged if index < TRIED else at_a_glance
                complaints += look(place, certificate, served, known)
                complaints += of_another_kind(place, certificate) if config.proxy.key_isolation else ()
            complaints += _own_settings(Location(config.source, listen.line, f"listen[{number}].tls"), listen)
            complaints += _of_clients(Location(config.source, listen.line, f"listen[{number}].tls"), listen)
        if config.acme is not None:
            complaints += _acme(Location(config.source, 0, "acme"), config.acme)
        if config.proxy.key_isolation and (why := remote_key.missing()):
            complaints.append(Complaint(config.source, 0, "proxy.key_isolation", why, "leave it out: keys are in the workers then"))
        for number, path in enumerate(config.proxy.ticket_keys):
            complaints += _ticket_key(Location(config.source, 0, f"proxy.ticket_keys[{number}]"), path)
        for pool in config.pools:
            if pool.tls is None:
                continue
            place = Location(config.source, pool.line, f"pool.{pool.name}.tls")
            if pool.tls.ca is not None:
                complaints += authorities(place._replace(key=f"{place.key}.ca"), pool.tls.ca)
            if pool.tls.crl is not None:
                complaints += lists(place._replace(key=f"{place.key}.crl"), pool.tls.crl)
            if pool.tls.cert is not None and pool.tls.key is not None:
                pair = CertificateConfig(pool.tls.cert, pool.tls.key, pool.tls.key_mode, pool.tls.passphrase)
                complaints += judged(place, pair, served, known)
            complaints += _ciphers(place, pool.tls)
    return complaints


def _ciphers(place: Location, tls: PoolTlsConfig) -> Iterator[Complaint]:
    """Which there are is OpenSSL's to say."""
    try:
        contexts.limit(verification.client(), tls)
    except ssl.SSLError:
        hint = "openssl ciphers -v tells which there are"
        message = f'wanted cipher suites as OpenSSL names them, such as "ECDHE+AESGCM", got "{tls.ciphers}"'
        yield place._replace(key=f"{place.key}.ciphers").complaint(FileFault(message, hint))


def _acme(place: Location, acme: AcmeConfig) -> Iterator[Complaint]:
    """The files of its authorities, and whether hellos can be read where that is how names are proved."""
    for number, authority in enumerate(acme.authorities):
        at = place._replace(key=f"{place.key}.fallback" if number else place.key)
        if authority.ca is not None:
            yield from authorities(at._replace(key=f"{at.key}.ca"), authority.ca)
        if authority.eab_key is not None:
            key = at._replace(key=f"{at.key}.eab_key")
            content = read(authority.eab_key)
            if isinstance(content, FileFault):
                yield key.complaint(content)
            else:
                yield from map(key.complaint, exposure(authority.eab_key, "private", "key of an account"))
    if acme.challenge == TLS_ALPN and not challenge_hello.available():
        fault = FileFault("this Python's OpenSSL keeps its functions to itself, so that no hello can be read", 'take "http-01"')
        yield place._replace(key=f"{place.key}.challenge").complaint(fault)


def _ticket_key(place: Location, path: Path) -> Iterator[Complaint]:
    """Who can read it can read every session that was resumed with it."""
    try:
        tickets.read_secrets([path])
    except StartError as error:
        yield place.complaint(FileFault(str(error)))
        return
    yield from map(place.complaint, exposure(path, "private", "ticket key"))


def _own_settings(place: Location, listen: ListenConfig) -> Iterator[Complaint]:
    """Versions, suites and groups: which there are is OpenSSL's to say."""
    try:
        profiles.apply_own(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), listen.tls)
    except profiles.NotInOpenSSL as error:
        hint = "openssl ciphers -v tells which there are" if error.key == "ciphers" else "X25519 and P-256 are known everywhere"
        yield place._replace(key=f"{place.key}.{error.key}").complaint(FileFault(str(error), hint))


# ---------------------------------------------------------------- authorities


def authorities(place: Location, path: Path) -> Iterator[Complaint]:
    """Whether OpenSSL trusts by what stands in that file."""
    chain = read_chain(path)
    if isinstance(chain, FileFault):
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
            yield place.complaint(FileFault(f"{path} cannot be used: OpenSSL says {said}"))


def _of_clients(place: Location, listen: ListenConfig) -> Iterator[Complaint]:
    """Who signs clients' certificates, and which were revoked."""
    for policy in listen.tls.policies:
        key = place.key if policy is listen.tls else f"{place.key}.name"
        if policy.client_ca is not None:
            yield from authorities(place._replace(key=f"{key}.client_ca"), policy.client_ca)
        if policy.client_crl is not None:
            yield from lists(place._replace(key=f"{key}.client_crl"), policy.client_crl)


def lists(place: Location, path: Path) -> Iterator[Complaint]:
    """Whether a file holds lists of revoked certificates."""
    found = read_lists(path)
    if isinstance(found, FileFault):
        yield place.complaint(found)
