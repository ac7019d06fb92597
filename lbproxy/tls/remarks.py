"""Remarks about certificates: what the operator should know, and nothing that keeps lbproxy from serving.

A date is no mistake in a file. Yesterday the same file was good; and when the clock is wrong, as on machines that boot without a
battery, all of them are. Whoever refused to start over one certificate would stop the traffic of all the others, and would not take
in the renewed one either. So dates are told, as often as somebody looks, and never in the way. The same with a certificate that no
client can get to see: a mistake, most likely, and no reason to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.config.acme_names import wanted
from lbproxy.config.model import Certificate, Config, Listen, PoolTls
from lbproxy.errors import Complaint, by_place
from lbproxy.tls import pem
from lbproxy.tls.files import Chain, Fault, Place, read_chain, read_lists, subject, update_times, validity
from lbproxy.tls.sni import UNKNOWN, Arrangement, Candidate, arrange, candidate_of, kind_of
from lbproxy.tls.unlock import chain_of

if TYPE_CHECKING:
    from cryptography import x509

AFFORDABLE_RSA_BITS = 3072
"""Signing takes 0.24 ms with 2048 bits, 1.8 with 3072, 4.0 with 4096, and 0.02 with EC P-256 (openssl speed, 2026-11-28)."""


_TLS_FEATURE = bytes.fromhex("06082b06010505070118")
"""1.3.6.1.5.5.7.1.24 in DER."""
MOST_TOLD = 20
"""Of one kind, about one listener: more are told of when these are mended."""


class Dated(NamedTuple):
    """Something that is good for a time."""

    place: Place
    what: str | Callable[[], str]
    start: datetime
    end: datetime

    def fault(self, now: datetime) -> Fault | None:
        """What is wrong with it at that time."""
        if self.start <= now <= self.end:
            return None
        what = self.what if isinstance(self.what, str) else self.what()
        if now > self.end:
            return Fault(f"{what} expired on {self.end:%Y-%m-%d %H:%M} UTC", "renew it")
        when = f"{self.start:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M} UTC now"
        return Fault(f"{what} is not valid before {when}", "is this machine's clock right?")


class Shown(NamedTuple):
    """A certificate among several of a listener."""

    place: Place
    files: Certificate
    candidate: Candidate


class Remarks(NamedTuple):
    """About one configuration, with the files as they were."""

    dated: tuple[Dated, ...] = ()
    listeners: tuple[tuple[Listen, tuple[Shown, ...]], ...] = ()
    """Those with certificates."""
    notes: tuple[Complaint, ...] = ()

    def at(self, now: datetime | None = None) -> list[Complaint]:
        """All there is to say at that time, by lines; None is the system's clock."""
        now = now or datetime.now(UTC)
        said = [*self.notes]
        said += [one.place.complaint(fault) for one in self.dated if (fault := one.fault(now)) is not None]
        for listen, shown in self.listeners:
            said += _never_shown(listen, shown, now)
        return by_place(said)


NO_REMARKS = Remarks()


class Sources(NamedTuple):
    """The ways to have what stands in files."""

    chain: Callable[[Certificate], Chain | Fault] = chain_of
    authorities: Callable[[Path], Chain | Fault] = read_chain
    lists: Callable[[Path], Sequence[x509.CertificateRevocationList] | Fault] = read_lists


FILES = Sources()
"""Files themselves."""


def remarks(config: Config, known: Mapping[Path, Candidate] | None = None, sources: Sources = FILES) -> Remarks:
    """Raises nothing: files that cannot be read are `audit`'s to tell. `known`: what is known already of what stands in files."""
    dated: list[Dated] = []
    notes: list[Complaint] = []
    listeners = []
    for number, listen in enumerate(config.listen):
        at = Place(config.source, listen.line, f"listen[{number}]")
        shown = []
        notes += [at._replace(key=f"{at.key}.certificates").complaint(Fault(why)) for why in listen.left_out[:MOST_TOLD]]
        for index, pair in enumerate(() if listen.acme else listen.pairs):
            place = at._replace(key=f"{at.key}.certificates" + ("" if listen.folder else f"[{index}].cert"))
            chain = _Chain(place, pair.cert, sources.chain(pair))
            dated += chain.dated()
            notes += chain.notes()
            notes += chain.cost()
            notes += chain.order()
            notes += chain.demands()
            shown.append(Shown(place, pair, (known or {}).get(pair.cert) or chain.candidate()))
        if shown:
            listeners.append((listen, tuple(shown)))
            notes += _passed_by(listen, shown)
        for policy in listen.tls.policies:
            key = f"{at.key}.tls" if policy is listen.tls else f"{at.key}.tls.name"
            if policy.client_ca is not None:
                dated += _authorities(at._replace(key=f"{key}.client_ca"), policy.client_ca, sources)
            if policy.client_crl is not None:
                dated += _lists(at._replace(key=f"{key}.client_crl"), policy.client_crl, sources)
    for pool in config.pools:
        if pool.tls is None:
            if pool.protocol == "auto":
                fault = Fault('without tls there is no ALPN to choose by: "auto" is HTTP/1.1', 'say "h2" for HTTP/2 without TLS')
                notes.append(Place(config.source, pool.line, f"pool.{pool.name}.protocol").complaint(fault))
            continue
        at = Place(config.source, pool.line, f"pool.{pool.name}.tls")
        notes += _trusting(at, pool.tls)
        if pool.tls.crl is not None:
            dated += _lists(at._replace(key=f"{at.key}.crl"), pool.tls.crl, sources)
        if pool.tls.ca is not None:
            dated += _authorities(at._replace(key=f"{at.key}.ca"), pool.tls.ca, sources)
        if pool.tls.cert is not None:
            own = Certificate(pool.tls.cert, pool.tls.key or pool.tls.cert, passphrase=pool.tls.passphrase)
            chain = _Chain(at._replace(key=f"{at.key}.cert"), own.cert, sources.chain(own))
            dated += chain.dated()
            notes += chain.notes()
    notes += _uncovered(config, listeners)
    return Remarks(tuple(dated), tuple(listeners), tuple(notes))


class _Chain:
    """A certificate and what stands behind it in its file."""

    def __init__(self, place: Place, path: Path, found: Chain | Fault) -> None:
        self._place = place
        self._path = path
        self._chain = [] if isinstance(found, Fault) else list(found)

    def candidate(self) -> Candidate:
        """For the choice among several."""
        return candidate_of(self._chain[0] if self._chain else None)

    def dated(self) -> Iterator[Dated]:
        """The certificate, and whoever signed it. Further up a chain may carry an expired root on purpose (Let's Encrypt did for
        years): clients that do not need it do not mind."""
        leaf, signer = (*self._chain[:2], None, None)[:2]
        if leaf is None:
            return
        yield Dated(self._place, partial(_called, leaf), *validity(leaf))
        if signer is not None and _signed_by(leaf, signer) and not _is_root(signer):
            what = partial(_behind, signer, leaf)
            yield Dated(self._place, what, *validity(signer))

    def notes(self) -> Iterator[Complaint]:
        """What holds at any time."""
        if self._chain and self._chain[0] is None:
            why = f"the certificate in {self._path} breaks a rule of X.509: OpenSSL takes it, clients may not, its dates are unread"
            yield self._place.complaint(Fault(why, "issue it anew"))

    def order(self) -> Iterator[Complaint]:
        """What clients, who get the file as it is, make of it."""
        known = [each for each in self._chain if each is not None]
        if len(known) < len(self._chain) or not known:
            return
        leaf, path = known[0], self._path
        for position, (one, after) in enumerate(pairwise(known), start=2):
            if _is_root(one):  # nobody needs what stands behind a root
                break
            if not _signed_by(one, after):
                why = f"certificate {position} of {len(known)} in {path} is not the one that signed the one before it"
                yield self._place.complaint(Fault(why, "the site's own comes first, then whoever signed it, and so on"))
                break
        if len(known) == 1 and not _is_root(leaf) and _from_a_public_authority(leaf):
            why = f"{path} holds the certificate of {subject(leaf)} alone, without the one of {leaf.issuer.rfc4514_string()}"
            yield self._place.complaint(Fault(why, "many clients cannot verify it: use the file that is called fullchain"))

    def demands(self) -> Iterator[Complaint]:
        """What clients demand of it, or it of them."""
        leaf = self._chain[0] if self._chain else None
        if leaf is None:
            return
        if (weak := _weak_signature(leaf)) is not None:
            yield self._place.complaint(Fault(f"{_called(leaf)} is signed with {weak}: clients refuse it", "renew it"))
        if _must_staple(leaf):
            why = f"{_called(leaf)} demands a stapled OCSP answer, which lbproxy does not send: some clients refuse it"
            yield self._place.complaint(Fault(why, "have it issued without must-staple"))

    def cost(self) -> Iterator[Complaint]:
        """What each handshake with it costs us: clients make us pay, at no cost of theirs."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import rsa

        leaf = self._chain[0] if self._chain else None
        if leaf is None or kind_of(leaf) != "RSA":
            return
        try:
            public = leaf.public_key()
        except (ValueError, UnsupportedAlgorithm):
            return  # `audit` tells
        if isinstance(public, rsa.RSAPublicKey) and public.key_size > AFFORDABLE_RSA_BITS:
            why = f"the RSA key of {subject(leaf)} has {public.key_size} bits: each handshake costs many times one with 2048"
            yield self._place.complaint(Fault(why, "EC P-256 is as strong as anybody needs, and costs next to nothing"))


@lru_cache(maxsize=64)
def _names(one: x509.Certificate) -> tuple[bytes, bytes]:
    """Issuer and subject as they are written there: to take them apart costs more."""
    return pem.names_of(_der(one))


@lru_cache(maxsize=64)
def _der(one: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return one.public_bytes(Encoding.DER)


def _is_root(one: x509.Certificate) -> bool:
    issuer, subject = _names(one)
    return issuer == subject


def _signed_by(one: x509.Certificate, other: x509.Certificate) -> bool:
    """By its name, which two may write in two ways."""
    return _names(one)[0] == _names(other)[1] or one.issuer == other.subject


def _called(leaf: x509.Certificate) -> str:
    return f"the certificate of {subject(leaf)}"


def _behind(signer: x509.Certificate, leaf: x509.Certificate) -> str:
    return f"the intermediate {subject(signer)} behind the certificate of {subject(leaf)}"


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


def _must_staple(leaf: x509.Certificate) -> bool:
    """RFC 7633."""
    from cryptography import x509

    if _TLS_FEATURE not in _der(leaf):  # so it need not be taken apart
        return False
    try:
        return x509.TLSFeatureType.status_request in leaf.extensions.get_extension_for_class(x509.TLSFeature).value
    except (x509.ExtensionNotFound, ValueError):
        return False


def _authorities(place: Place, path: Path, sources: Sources) -> Iterator[Dated]:
    found = sources.authorities(path)
    for one in () if isinstance(found, Fault) else found:
        if one is not None:
            yield Dated(place, f"the authority {subject(one)} in {path}", *validity(one))


def _lists(place: Place, path: Path, sources: Sources) -> Iterator[Dated]:
    """Of revoked certificates. While one is out of date nobody passes whom its authority signed."""
    found = sources.lists(path)
    for one in () if isinstance(found, Fault) else found:
        what = f"the list of revoked certificates of {one.issuer.rfc4514_string()} in {path}"
        yield Dated(place, f"{what}, and with it nobody passes whom that signed:", *update_times(one))


def _trusting(place: Place, tls: PoolTls) -> Iterator[Complaint]:
    """What is said every time, since nobody else would."""
    if not tls.verify and not tls.pins:
        why = "backends' certificates are not verified: whoever stands between can read and change everything"
        yield place._replace(key=f"{place.key}.verify").complaint(Fault(why, 'ca = "their-ca.pem" does, or pins = ["..."]'))
    if len(tls.pins) == 1:
        why = "there is one pin: with the next key nobody is reached until this file is changed"
        yield place._replace(key=f"{place.key}.pins").complaint(Fault(why, "make the next key now, and pin it as well"))


# ---------------------------------------------------------------- certificates that nobody gets to see


def _never_shown(listen: Listen, shown: tuple[Shown, ...], now: datetime) -> Iterator[Complaint]:
    """The default is shown to whoever asks for nothing known; any other has to be asked for."""
    if len(shown) < 2:
        return
    arranged = arrange([one.candidate for one in shown], now)
    asked = {index for together in arranged.by_name.values() for index in together}
    asked |= {index for ip, together in arranged.by_address.items() if _reachable(listen, ip) for index in together}
    told = 0
    for index, one in enumerate(shown):
        if index in arranged.default or index in asked or one.candidate is UNKNOWN:
            continue
        told += 1
        if told <= MOST_TOLD:
            why = _why(listen, one, arranged, shown)
            yield one.place.complaint(Fault(f"{one.files.cert} is never shown: {why}", _HINT))


def _passed_by(listen: Listen, shown: Sequence[Shown]) -> Iterator[Complaint]:
    """Names of certificates whose clients are passed through. A wildcard may be meant to stand for all the others."""
    passed = {name for name, _ in listen.passthrough}
    told = 0
    for one in shown:
        for name in one.candidate.names.dns:
            told += name in passed
            if name in passed and told <= MOST_TOLD:
                why = f"{one.files.cert} stands for {name}, whose clients are passed through: it is not shown to them"
                yield one.place.complaint(Fault(why, f"take {name} out of passthrough, if they are to be decrypted here"))


_HINT = "take it out, or have it issued for the name that clients ask for"


def _reachable(listen: Listen, ip: str) -> bool:
    """Whether a connection to this listener can have been made to that address."""
    if listen.address.path:
        return False
    here, there = ip_address(listen.address.host), ip_address(ip)
    return here == there or (here.is_unspecified and here.version == there.version)


def _why(listen: Listen, one: Shown, arranged: Arrangement, shown: tuple[Shown, ...]) -> str:
    names = one.candidate.names
    owners = [(name, arranged.by_name[name]) for name in names.dns if name in arranged.by_name]
    owners += [(ip, arranged.by_address[ip]) for ip in names.ips if ip in arranged.by_address and _reachable(listen, ip)]
    if told := [f"{name} is served by {shown[together[0]].files.cert}" for name, together in owners]:
        return ", ".join(told[:3]) + (" and so on" if len(told) > 3 else "")
    if names.ips:
        return f"it stands for {', '.join(names.ips[:3])}, and this listener is at {listen.address}"
    return "there is no name in it that a client could ask for"


# ---------------------------------------------------------------- hosts without a certificate


def _uncovered(config: Config, listeners: Sequence[tuple[Listen, tuple[Shown, ...]]]) -> Iterator[Complaint]:
    """Hosts of routes that no certificate of any listener stands for: who asks for them is shown another one."""
    candidates = [one.candidate for _, shown in listeners for one in shown]
    obtained = wanted(config).names if any(listen.acme for listen in config.listen) else ()
    if not (candidates or obtained) or UNKNOWN in candidates:
        return
    names = {*obtained} | {name for each in candidates for name in (*each.names.dns, *each.names.ips)}
    lost: dict[str, int] = {}
    for route in config.routes:
        if route.host is not None and route.host not in names and f"*.{route.host.partition('.')[2]}" not in names:
            lost.setdefault(route.host, route.line)
    for host, line in [*lost.items()][:MOST_TOLD]:
        place = Place(config.source, line, "route.host")
        refused = all(listen.tls.unknown_name == "refuse" for listen, _ in listeners)
        what = "over TLS its clients are refused" if refused else "over TLS its clients are shown another"
        yield place.complaint(Fault(f"no certificate stands for {host}: {what}", "have one issued for it, too"))
