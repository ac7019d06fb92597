"""Remarks about certificates: what the operator should know, and nothing that keeps lbproxy from serving.

A date is no mistake in a file. Yesterday the same file was good; and when the clock is wrong, as on machines that boot without a
battery, all of them are. Whoever refused to start over one certificate would stop the traffic of all the others, and would not take
in the renewed one either. So dates are told, as often as somebody looks, and never in the way. The same with a certificate that no
client can get to see: a mistake, most likely, and no reason to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.config.acme_names import wanted
from lbproxy.config.model import CertificateConfig, Config, ListenConfig, PoolTlsConfig
from lbproxy.errors import Complaint, by_place
from lbproxy.tls.facts import NO_FACTS, FileFacts, Term, facts_of
from lbproxy.tls.files import Chain, FileFault, Location, read_chain, read_lists, subject, update_times, validity
from lbproxy.tls.sni import UNKNOWN, Arrangement, Candidate, arrange
from lbproxy.tls.unlock import chain_of

if TYPE_CHECKING:
    from cryptography import x509

MOST_TOLD = 20
"""Of one kind, about one listener: more are told of when these are mended."""


class Dated(NamedTuple):
    """Something that is good for a time, and where the configuration names it."""

    place: Location
    term: Term


class Shown(NamedTuple):
    """A certificate among several of a listener."""

    place: Location
    files: CertificateConfig
    candidate: Candidate


class Remarks(NamedTuple):
    """About one configuration, with the files as they were."""

    dated: tuple[Dated, ...] = ()
    listeners: tuple[tuple[ListenConfig, tuple[Shown, ...]], ...] = ()
    """Those with certificates."""
    notes: tuple[Complaint, ...] = ()

    def at(self, now: datetime | None = None) -> list[Complaint]:
        """All there is to say at that time, by lines; None is the system's clock."""
        now = now or datetime.now(UTC)
        said = [*self.notes]
        said += [one.place.complaint(fault) for one in self.dated if (fault := one.term.fault(now)) is not None]
        for listen, shown in self.listeners:
            said += _never_shown(listen, shown, now)
        return by_place(said)


NO_REMARKS = Remarks()


def facts_of_files(files: CertificateConfig) -> FileFacts:
    """Of a pair; nothing where it cannot be read."""
    found = chain_of(files)
    return NO_FACTS if isinstance(found, FileFault) else facts_of(files.cert, found)


class Sources(NamedTuple):
    """The ways to have what stands in files."""

    facts: Callable[[CertificateConfig], FileFacts] = facts_of_files
    authorities: Callable[[Path], Chain | FileFault] = read_chain
    lists: Callable[[Path], Sequence[x509.CertificateRevocationList] | FileFault] = read_lists


FILES = Sources()
"""Files themselves."""


def remarks(config: Config, sources: Sources = FILES) -> Remarks:
    """Raises nothing: files that cannot be read are `audit`'s to tell."""
    dated: list[Dated] = []
    notes: list[Complaint] = []
    listeners = []
    for number, listen in enumerate(config.listen):
        at = Location(config.source, listen.line, f"listen[{number}]")
        shown = []
        notes += [at._replace(key=f"{at.key}.certificates").complaint(FileFault(why)) for why in listen.left_out[:MOST_TOLD]]
        for index, pair in enumerate(() if listen.acme else listen.pairs):
            place = at._replace(key=f"{at.key}.certificates" + ("" if listen.folder else f"[{index}].cert"))
            facts = sources.facts(pair)
            dated += [Dated(place, term) for term in facts.terms]
            notes += map(place.complaint, facts.notes)
            shown.append(Shown(place, pair, facts.candidate))
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
                fault = FileFault(
                    'without tls there is no ALPN to choose by: "auto" is HTTP/1.1', 'say "h2" for HTTP/2 without TLS'
                )
                notes.append(Location(config.source, pool.line, f"pool.{pool.name}.protocol").complaint(fault))
            continue
        at = Location(config.source, pool.line, f"pool.{pool.name}.tls")
        notes += _trusting(at, pool.tls)
        if pool.tls.crl is not None:
            dated += _lists(at._replace(key=f"{at.key}.crl"), pool.tls.crl, sources)
        if pool.tls.ca is not None:
            dated += _authorities(at._replace(key=f"{at.key}.ca"), pool.tls.ca, sources)
        if pool.tls.cert is not None:
            own = CertificateConfig(pool.tls.cert, pool.tls.key or pool.tls.cert, passphrase=pool.tls.passphrase)
            facts, place = sources.facts(own), at._replace(key=f"{at.key}.cert")
            dated += [Dated(place, term) for term in facts.terms]
            if facts.candidate is UNKNOWN:  # what else there is clients mind, and no backend
                notes += map(place.complaint, facts.notes)
    notes += _uncovered(config, listeners)
    return Remarks(tuple(dated), tuple(listeners), tuple(notes))


def _authorities(place: Location, path: Path, sources: Sources) -> Iterator[Dated]:
    found = sources.authorities(path)
    for one in () if isinstance(found, FileFault) else found:
        if one is not None:
            yield Dated(place, Term(f"the authority {subject(one)} in {path}", *validity(one)))


def _lists(place: Location, path: Path, sources: Sources) -> Iterator[Dated]:
    """Of revoked certificates. While one is out of date nobody passes whom its authority signed."""
    found = sources.lists(path)
    for one in () if isinstance(found, FileFault) else found:
        what = f"the list of revoked certificates of {one.issuer.rfc4514_string()} in {path}"
        yield Dated(place, Term(f"{what}, and with it nobody passes whom that signed:", *update_times(one)))


def _trusting(place: Location, tls: PoolTlsConfig) -> Iterator[Complaint]:
    """What is said every time, since nobody else would."""
    if not tls.verify and not tls.pins:
        why = "backends' certificates are not verified: whoever stands between can read and change everything"
        yield place._replace(key=f"{place.key}.verify").complaint(FileFault(why, 'ca = "their-ca.pem" does, or pins = ["..."]'))
    if len(tls.pins) == 1:
        why = "there is one pin: with the next key nobody is reached until this file is changed"
        yield place._replace(key=f"{place.key}.pins").complaint(FileFault(why, "make the next key now, and pin it as well"))


# ---------------------------------------------------------------- certificates that nobody gets to see


def _never_shown(listen: ListenConfig, shown: tuple[Shown, ...], now: datetime) -> Iterator[Complaint]:
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
            yield one.place.complaint(FileFault(f"{one.files.cert} is never shown: {why}", _HINT))


def _passed_by(listen: ListenConfig, shown: Sequence[Shown]) -> Iterator[Complaint]:
    """Names of certificates whose clients are passed through. A wildcard may be meant to stand for all the others."""
    passed = {name for name, _ in listen.passthrough}
    told = 0
    for one in shown:
        for name in one.candidate.names.dns:
            told += name in passed
            if name in passed and told <= MOST_TOLD:
                why = f"{one.files.cert} stands for {name}, whose clients are passed through: it is not shown to them"
                yield one.place.complaint(FileFault(why, f"take {name} out of passthrough, if they are to be decrypted here"))


_HINT = "take it out, or have it issued for the name that clients ask for"


def _reachable(listen: ListenConfig, ip: str) -> bool:
    """Whether a connection to this listener can have been made to that address."""
    if listen.address.path:
        return False
    here, there = ip_address(listen.address.host), ip_address(ip)
    return here == there or (here.is_unspecified and here.version == there.version)


def _why(listen: ListenConfig, one: Shown, arranged: Arrangement, shown: tuple[Shown, ...]) -> str:
    names = one.candidate.names
    owners = [(name, arranged.by_name[name]) for name in names.dns if name in arranged.by_name]
    owners += [(ip, arranged.by_address[ip]) for ip in names.ips if ip in arranged.by_address and _reachable(listen, ip)]
    if told := [f"{name} is served by {shown[together[0]].files.cert}" for name, together in owners]:
        return ", ".join(told[:3]) + (" and so on" if len(told) > 3 else "")
    if names.ips:
        return f"it stands for {', '.join(names.ips[:3])}, and this listener is at {listen.address}"
    return "there is no name in it that a client could ask for"


# ---------------------------------------------------------------- hosts without a certificate


def _uncovered(config: Config, listeners: Sequence[tuple[ListenConfig, tuple[Shown, ...]]]) -> Iterator[Complaint]:
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
        place = Location(config.source, line, "route.host")
        refused = all(listen.tls.unknown_name == "refuse" for listen, _ in listeners)
        what = "over TLS its clients are refused" if refused else "over TLS its clients are shown another"
        yield place.complaint(FileFault(f"no certificate stands for {host}: {what}", "have one issued for it, too"))
