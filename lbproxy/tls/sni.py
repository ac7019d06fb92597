"""The choice of a client's certificate by the name it asks for (SNI, RFC 6066 section 3).

The listener's own, *outer* context accepts every connection and carries the session-ticket keys; a chosen certificate's context
only lends its certificate to the handshake. So tickets stay good whichever certificate is shown and however often it is replaced.
"""

from __future__ import annotations

import re
import ssl
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.errors import LbproxyError
from lbproxy.tls.files import validity

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

    from cryptography import x509


class Names(NamedTuple):
    """What a certificate stands for."""

    dns: tuple[str, ...] = ()
    """Lower case, IDNA names as ASCII, wildcards as written; those that no client can ask for left out."""
    ips: tuple[str, ...] = ()
    """In canonical form."""


NO_NAMES = Names()

_ASKABLE = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
"""Only a whole first label can be a wildcard here, as for browsers (RFC 9525 6.3)."""


def names_of(leaf: x509.Certificate) -> Names:
    """Of subjectAltName; where that names no host the common name, as OpenSSL and old clients have it. (Who verifies must not, RFC
    9525; who shows a certificate only guesses what the other side goes by.)"""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    dns: list[str] = []
    ips: list[str] = []
    try:
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = alternative.get_values_for_type(x509.DNSName)
        ips = list(map(str, alternative.get_values_for_type(x509.IPAddress)))
    except (x509.ExtensionNotFound, ValueError):  # none, or one that cannot be read
        pass
    if not dns and not ips:
        for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
            text = str(attribute.value)
            try:
                ips.append(str(ip_address(text)))
            except ValueError:
                dns.append(text)
    asked = (name.lower().removesuffix(".") for name in dns)
    return Names(tuple(dict.fromkeys(name for name in asked if _ASKABLE.fullmatch(name))), tuple(dict.fromkeys(ips)))


class Candidate(NamedTuple):
    """A certificate that a listener may show."""

    names: Names
    start: datetime
    end: datetime
    kind: str = ""
    """Of its key: "RSA", "EC", "Ed25519" and so on. Of several kinds each client gets one that it can check."""

    def current(self, now: datetime) -> bool:
        """Whether clients take it."""
        return self.start <= now <= self.end


UNKNOWN = Candidate(NO_NAMES, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
"""One that OpenSSL understands and nobody else."""


def candidate_of(leaf: x509.Certificate | None) -> Candidate:
    """Of a certificate; None: one that only OpenSSL understands."""
    return UNKNOWN if leaf is None else Candidate(names_of(leaf), *validity(leaf), kind_of(leaf))


_KINDS = {
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.2.840.10045.2.1": "EC",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}


def kind_of(leaf: x509.Certificate) -> str:
    """Of its key, as one that OpenSSL keeps apart from the others."""
    try:
        oid = leaf.public_key_algorithm_oid.dotted_string
    except (AttributeError, ValueError):  # before version 43 of cryptography
        return type(leaf.public_key()).__name__
    return _KINDS.get(oid, oid)


def preferred(candidates: Sequence[Candidate], now: datetime) -> list[int]:
    """In which order they are offered: the default first, then by preference where two have the same name.

    The order of the configuration, but what is out of date comes last; and the first is passed over as the default only when
    another has all its names and is in date: what was renewed into another file serves, though the old one is still configured.
    """
    order = sorted(range(len(candidates)), key=lambda index: not candidates[index].current(now))
    default = next((index for index in order if _stands_in(candidates[index], candidates[0], now)), 0)
    order.remove(default)
    return [default, *order]


def _stands_in(one: Candidate, first: Candidate, now: datetime) -> bool:
    return one is first if first.current(now) else one.current(now) and _covers(one, first)


def _covers(one: Candidate, other: Candidate) -> bool:
    """Whether it has all names of the other, which has some."""
    wanted = {*other.names.dns, *other.names.ips}
    return bool(wanted) and wanted <= {*one.names.dns, *one.names.ips}


Together = tuple[int, ...]
"""Numbers of the certificates that are shown together, one of each kind of key at most; the client's hello decides."""


class Arrangement(NamedTuple):
    """Which certificates are shown to whom."""

    default: Together
    """To who asks for nothing known."""
    by_name: dict[str, Together]
    by_address: dict[str, Together]

    def named(self, name: str) -> Together | None:
        """For the name a client asks for; None: there is none.

        An exact name wins over a wildcard; a wildcard stands for exactly one label, the leftmost.
        """
        name = name.lower().removesuffix(".")  # some clients send the root's dot, against RFC 6066; nginx forgives it too
        exact = self.by_name.get(name)
        if exact is not None:
            return exact
        label, dot, parent = name.partition(".")
        return self.by_name.get(f"*.{parent}") if label and dot else None


def arrange(candidates: Sequence[Candidate], now: datetime) -> Arrangement:
    """A name in two certificates of the same kind belongs to the preferred one, and one that is out of date is shown beside none
    that is not: clients that can check both would get it."""
    order = preferred(candidates, now)
    current = [each.current(now) for each in candidates]
    by_name: dict[str, Together] = {}
    by_address: dict[str, Together] = {}
    for index in order:
        for where, names in ((by_name, candidates[index].names.dns), (by_address, candidates[index].names.ips)):
            for name in names:
                where[name] = _joined(where.get(name, ()), index, candidates, current)
    default: Together = (order[0],)
    for index in order[1:]:
        if _covers(candidates[index], candidates[order[0]]) and (current[index] or not current[order[0]]):
            default = _joined(default, index, candidates, current)
    return Arrangement(default, by_name, by_address)


def _joined(together: Together, index: int, candidates: Sequence[Candidate], current: Sequence[bool]) -> Together:
    if not together:
        return (index,)
    if current[index] and not current[together[0]]:
        return (index,)
    if current[together[0]] and not current[index]:
        return together
    kinds = {candidates[other].kind for other in together}
    return together if candidates[index].kind in kinds else tuple(sorted((*together, index)))


class Unshowable(LbproxyError):
    """Raised for certificates that cannot be shown now, where no others may be shown instead."""


class CertificateChooser:
    """The `sni_callback` of a listener with several certificates.

    For an unknown name the default is shown, as nginx does, unless the listener refuses: that tells scanners which names exist,
    and the request's Host decides about routes anyway.

    Who asks for no name has asked for an address (RFC 6066 section 3: a literal address is no name): `at_address` tells which
    context stands for it. OpenSSL cannot ask for that, it knows no address; whoever begins a handshake looks there before.
    """

    __slots__ = ("_lend", "_policy", "_refuse", "arranged")

    def __init__(
        self,
        arranged: Arrangement,
        lend: Callable[[Together, int], ssl.SSLContext],
        *,
        refuse: bool = False,
        policy: Callable[[str], int] | None = None,
    ) -> None:
        """`lend`: the context that shows these and asks what the policy of a number does. `refuse`: unknown names, and who asks for
        none. `policy`: its number for a name, "" for none; None: always 0."""
        self._policy = policy
        self.arranged = arranged
        self._lend = lend
        self._refuse = refuse

    def choose(self, name: str) -> ssl.SSLContext | None:
        """The context for the name a client asked for, None for the default."""
        together = self.arranged.named(name)
        return None if together is None else self._lend(together, self._policy_of(name))

    def _policy_of(self, name: str) -> int:
        return 0 if self._policy is None else self._policy(name)

    def at_address(self, address: str) -> ssl.SSLContext | None:
        """The context for who connected to that address and may ask for no name."""
        together = self.arranged.by_address.get(address)
        return None if together is None else self._lend(together, self._policy_of(""))

    def __call__(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, outer: ssl.SSLContext) -> int | None:
        """OpenSSL's question during the handshake; None as the answer means "go on"."""
        if name is None and connection.context is not outer:
            return None  # what was chosen by its address stays
        try:
            return self._show(connection, name)
        except Unshowable:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR

    def _show(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None) -> int | None:
        chosen = None if name is None else self.choose(name)
        if chosen is None:
            if self._refuse:
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            chosen = self._lend(self.arranged.default, self._policy_of(name or ""))
        if chosen is not connection.context:
            connection.context = chosen
        return None


def install(outer: ssl.SSLContext, chooser: CertificateChooser) -> None:
    """Let `chooser` decide for connections on `outer`.

    Python decodes the name as ASCII before it calls us. When a client sends other bytes, the handshake fails as it should, but
    Python also prints a traceback to stderr, which would let anybody fill our log. That one report is silenced, for the whole
    process.
    """
    outer.sni_callback = chooser
    if sys.unraisablehook is not _without_bad_names:
        _report_others.append(sys.unraisablehook)
        sys.unraisablehook = _without_bad_names


_report_others: list[Callable[[UnraisableHookArgs], object]] = []


def _without_bad_names(unraisable: UnraisableHookArgs) -> None:
    # What the ssl module reports is the error together with the name as bytes; nothing else has that shape.
    if isinstance(unraisable.exc_value, UnicodeDecodeError) and isinstance(unraisable.object, bytes):
        return
    _report_others[-1](unraisable)
