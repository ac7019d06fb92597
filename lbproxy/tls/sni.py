"""Which certificate a client gets: by the name it asks for (SNI, RFC 6066 section 3).

The listener's own, *outer* context accepts every connection and carries the session-ticket keys; a chosen certificate's context
only lends its certificate to the handshake. So tickets stay good whichever certificate is shown and however often it is replaced.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


def names_in(pem: bytes) -> tuple[str, ...]:
    """The DNS names (lower case, IDNA names as ASCII, wildcards as written) of the first certificate in a PEM text.

    Only subjectAltName counts: the common name has been no host name since RFC 6125, and no browser reads it. Raises ValueError for
    a certificate that cannot be read.
    """
    from cryptography import x509  # not at the top: 50 ms that a listener with one certificate need not spend

    leaf = x509.load_pem_x509_certificates(pem)[0]
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))


class CertificateChooser:
    """The `sni_callback` of a listener with several certificates.

    An exact name wins over a wildcard; a wildcard stands for exactly one label, the leftmost. A name in two certificates belongs to
    the one configured first. An unknown or absent name changes nothing, so the outer context's own certificate is shown (as
    nginx does): refusing would tell scanners which names exist, and the request's Host decides about routes anyway.
    """

    __slots__ = ("_by_name",)

    def __init__(self, certificates: Iterable[tuple[Iterable[str], ssl.SSLContext]]) -> None:
        self._by_name: dict[str, ssl.SSLContext] = {}
        for names, context in certificates:
            for name in names:
                self._by_name.setdefault(name, context)

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
            return
        chosen = self.choose(name)
        if chosen is not None and chosen is not outer:
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
