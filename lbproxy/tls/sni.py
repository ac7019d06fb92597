"""The choice of a client's certificate by the name it asks for (SNI, RFC 6066 section 3).

The listener's own, *outer* context accepts every connection and carries the session-ticket keys; a chosen certificate's context
only lends its certificate to the handshake. So tickets stay good whichever certificate is shown and however often it is replaced.
"""

from __future__ import annotations

import re
import ssl
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.tls import pem
from lbproxy.tls.files import parsed, validity

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

    def current(self, now: datetime) -> bool:
        """Whether clients take it."""
        return self.start <= now <= self.end


UNKNOWN = Candidate(NO_NAMES, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
"""One that OpenSSL understands and nobody else."""


def candidate(content: bytes) -> Candidate:
    """The first certificate in a PEM text. Raises ValueError when there is none."""
    found = pem.ders(content)
    if not found:
        raise ValueError("no certificate in PEM form")
    leaf = parsed(found[0])
    return UNKNOWN if leaf is None else Candidate(names_of(leaf), *validity(leaf))


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
    wanted = {*first.names.dns, *first.names.ips}
    return one is first if first.current(now) else bool(wanted) and one.current(now) and wanted <= {*one.names.dns, *one.names.ips}


class CertificateChooser:
    """The `sni_callback` of a listener with several certificates.

    An exact name wins over a wildcard; a wildcard stands for exactly one label, the leftmost. A name in two certificates belongs to
    the one that comes first. For an unknown name the outer context's own certificate is shown (as nginx does): refusing would tell
    scanners which names exist, and the request's Host decides about routes anyway.

    Who asks for no name has asked for an address (RFC 6066 section 3: a literal address is no name): `by_address` tells which
    certificate stands for it. OpenSSL cannot ask for that, it knows no address; whoever begins a handshake looks there before.
    """

    __slots__ = ("_by_name", "by_address")

    def __init__(self, certificates: Iterable[tuple[Names, ssl.SSLContext]]) -> None:
        self._by_name: dict[str, ssl.SSLContext] = {}
        self.by_address: dict[str, ssl.SSLContext] = {}
        for names, context in certificates:
            for name in names.dns:
                self._by_name.setdefault(name, context)
            for ip in names.ips:
                self.by_address.setdefault(ip, context)

    def choose(self, name: str) -> ssl.SSLContext | None:
        """The context for the name a client asked for, None for the default."""
        name = name.lower().removesuffix(".")  # some clients send the root's dot, against RFC 6066; nginx forgives it too
        exact = self._by_name.get(name)
        if exact is not None:
            return exact
        label, dot, parent = name.partition(".")
        return self._by_name.get(f"*.{parent}") if label and dot else None

    def __call__(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, outer: ssl.SSLContext) -> None:
        """OpenSSL's question during the handshake; None as the answer means "go on"."""
        if name is None:
            return  # what was chosen by its address stays
        chosen = self.choose(name) or outer
        if chosen is not connection.context:
            connection.context = chosen


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
