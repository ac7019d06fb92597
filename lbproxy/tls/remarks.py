"""Remarks about certificates: what the operator should know, and nothing that keeps lbproxy from serving.

A date is no mistake in a file. Yesterday the same file was good; and when the clock is wrong, as on machines that boot without a
battery, all of them are. Whoever refused to start over one certificate would stop the traffic of all the others, and would not take
in the renewed one either. So dates are told, as often as somebody looks, and never in the way. The same with a certificate that no
client can get to see: a mistake, most likely, and no reason to stop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from lbproxy.config.model import Certificate, Config, Listen
from lbproxy.errors import Complaint, by_place
from lbproxy.tls.files import Fault, Place, read_chain, subject, validity
from lbproxy.tls.sni import UNKNOWN, Candidate, names_of, preferred

AFFORDABLE_RSA_BITS = 3072
"""Signing takes 0.24 ms with 2048 bits, 1.8 with 3072, 4.0 with 4096, and 0.02 with EC P-256 (openssl speed, 2026-11-28)."""


class Dated(NamedTuple):
    """Something that is good for a time."""

    place: Place
    what: str
    start: datetime
    end: datetime

    def fault(self, now: datetime) -> Fault | None:
        """What is wrong with it at that time."""
        if now > self.end:
            return Fault(f"{self.what} expired on {self.end:%Y-%m-%d %H:%M} UTC", "renew it")
        if now < self.start:
            when = f"{self.start:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M} UTC now"
            return Fault(f"{self.what} is not valid before {when}", "is this machine's clock right?")
        return None


class Shown(NamedTuple):
    """A certificate among several of a listener."""

    place: Place
    files: Certificate
    candidate: Candidate


class Remarks(NamedTuple):
    """About one configuration, with the files as they were."""

    dated: tuple[Dated, ...] = ()
    listeners: tuple[tuple[Listen, tuple[Shown, ...]], ...] = ()
    """Those with several certificates."""
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


def remarks(config: Config) -> Remarks:
    """Raises nothing: files that cannot be read are `audit`'s to tell."""
    dated: list[Dated] = []
    notes: list[Complaint] = []
    listeners = []
    for number, listen in enumerate(config.listen):
        at = Place(config.source, listen.line, f"listen[{number}]")
        shown = []
        for index, pair in enumerate(listen.certificates):
            place = at._replace(key=f"{at.key}.certificates[{index}].cert")
            chain = _Chain(place, pair.cert)
            dated += chain.dated()
            notes += chain.notes()
            notes += chain.cost()
            shown.append(Shown(place, pair, chain.candidate()))
        if len(shown) > 1:
            listeners.append((listen, tuple(shown)))
        if listen.tls.client_ca is not None:
            dated += _authorities(at._replace(key=f"{at.key}.tls.client_ca"), listen.tls.client_ca)
    for pool in config.pools:
        if pool.tls is None:
            continue
        at = Place(config.source, pool.line, f"pool.{pool.name}.tls")
        if pool.tls.ca is not None:
            dated += _authorities(at._replace(key=f"{at.key}.ca"), pool.tls.ca)
        if pool.tls.cert is not None:
            chain = _Chain(at._replace(key=f"{at.key}.cert"), pool.tls.cert)
            dated += chain.dated()
            notes += chain.notes()
    return Remarks(tuple(dated), tuple(listeners), tuple(notes))


class _Chain:
    """A certificate and what stands behind it in its file."""

    def __init__(self, place: Place, path: Path) -> None:
        found = read_chain(path)
        self._place = place
        self._path = path
        self._chain = [] if isinstance(found, Fault) else list(found)

    def candidate(self) -> Candidate:
        """For the choice among several."""
        leaf = self._chain[0] if self._chain else None
        return UNKNOWN if leaf is None else Candidate(names_of(leaf), *validity(leaf))

    def dated(self) -> Iterator[Dated]:
        """The certificate, and whoever signed it. Further up a chain may carry an expired root on purpose (Let's Encrypt did for
        years): clients that do not need it do not mind."""
        leaf, signer = (*self._chain[:2], None, None)[:2]
        if leaf is None:
            return
        yield Dated(self._place, f"the certificate of {subject(leaf)}", *validity(leaf))
        if signer is not None and signer.subject == leaf.issuer and signer.issuer != signer.subject:
            what = f"the intermediate {subject(signer)} behind the certificate of {subject(leaf)}"
            yield Dated(self._place, what, *validity(signer))

    def notes(self) -> Iterator[Complaint]:
        """What holds at any time."""
        if self._chain and self._chain[0] is None:
            why = f"the certificate in {self._path} breaks a rule of X.509: OpenSSL takes it, clients may not, its dates are unread"
            yield self._place.complaint(Fault(why, "issue it anew"))

    def cost(self) -> Iterator[Complaint]:
        """What each handshake with it costs us: clients make us pay, at no cost of theirs."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import rsa

        leaf = self._chain[0] if self._chain else None
        if leaf is None:
            return
        try:
            public = leaf.public_key()
        except (ValueError, UnsupportedAlgorithm):
            return  # `audit` tells
        if isinstance(public, rsa.RSAPublicKey) and public.key_size > AFFORDABLE_RSA_BITS:
            why = f"the RSA key of {subject(leaf)} has {public.key_size} bits: each handshake costs many times one with 2048"
            yield self._place.complaint(Fault(why, "EC P-256 is as strong as anybody needs, and costs next to nothing"))


def _authorities(place: Place, path: Path) -> Iterator[Dated]:
    found = read_chain(path)
    for one in () if isinstance(found, Fault) else found:
        if one is not None:
            yield Dated(place, f"the authority {subject(one)} in {path}", *validity(one))


# ---------------------------------------------------------------- certificates that nobody gets to see


def _never_shown(listen: Listen, shown: tuple[Shown, ...], now: datetime) -> Iterator[Complaint]:
    """The default is shown to whoever asks for nothing known; any other has to be asked for."""
    owners: dict[str, Shown] = {}
    default, *more = preferred([one.candidate for one in shown], now)
    _own(owners, shown[default])
    for index in more:
        one = shown[index]
        if one.candidate is UNKNOWN:
            continue
        names = one.candidate.names
        wanted = [*names.dns, *(ip for ip in names.ips if _reachable(listen, ip))]
        taken = [name for name in wanted if name in owners]
        _own(owners, one)
        if wanted and len(taken) < len(wanted):
            continue
        yield one.place.complaint(Fault(f"{one.files.cert} is never shown: {_why(listen, one, taken, owners)}", _HINT))


_HINT = "take it out, or have it issued for the name that clients ask for"


def _own(owners: dict[str, Shown], one: Shown) -> None:
    for name in (*one.candidate.names.dns, *one.candidate.names.ips):
        owners.setdefault(name, one)


def _reachable(listen: Listen, ip: str) -> bool:
    """Whether a connection to this listener can have been made to that address."""
    if listen.address.path:
        return False
    here, there = ip_address(listen.address.host), ip_address(ip)
    return here == there or (here.is_unspecified and here.version == there.version)


def _why(listen: Listen, one: Shown, taken: Iterable[str], owners: dict[str, Shown]) -> str:
    if told := [f"{name} is served by {owners[name].files.cert}" for name in taken]:
        return ", ".join(told[:3]) + (" and so on" if len(told) > 3 else "")
    if one.candidate.names.ips:
        return f"it stands for {', '.join(one.candidate.names.ips[:3])}, and this listener is at {listen.address}"
    return "there is no name in it that a client could ask for"
