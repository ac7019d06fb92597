"""The certificates that a listener shows, in one worker, as they are asked for.

The default is loaded into the worker's own copy of the outer context before privileges go. All others wait in the store, which the
worker has a descriptor of, until somebody asks for one of their names: then a context is made that lends the certificate to the
handshake, and kept as long as it is among the MOST that were asked for last. So ten thousand certificates cost a start nothing but
their names, and a worker's memory is bounded, whatever clients ask for.

All of a listener's contexts are made alike: after SNI, ALPN and the client's chain are judged by the chosen one, while versions,
ciphers, tickets and whether a client certificate is asked for stay those of the outer one.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from lbproxy.config.model import ListenConfig
from lbproxy.errors import StartError
from lbproxy.http.misdirected import Agreement
from lbproxy.tls import openssl
from lbproxy.tls.client_policies import OWN, ClientPolicies
from lbproxy.tls.contexts import TRIED, Credentials, Pem, credentials, load, outer_context, read_pems
from lbproxy.tls.edition import applied, read
from lbproxy.tls.keystore import KeyStore, Piece, overwriting
from lbproxy.tls.sni import CertificateChooser, Together, Unshowable, install

Load = Callable[[ssl.SSLContext, Pem], None]
"""Puts a pair into a context; raises StartError."""

MOST = 1000
"""Contexts of a listener that a worker keeps beside the outer one: some 20 KiB each, half a millisecond to make one anew."""
SWEEP_EVERY = 1.0


class Showcase:
    """One listener's in one worker; `arm` comes first."""

    def __init__(self, outer: ssl.SSLContext, shown: Credentials, load: Load = load) -> None:
        self._outer = outer
        self._load = load
        self._shown = shown
        self._refuses = shown.listen.tls.unknown_name == "refuse"
        self._in_outer: Together = ()
        self._kinds: set[str] = set()
        """Of the keys in the outer context."""
        self._made: dict[tuple[Together, int], ssl.SSLContext] = {}
        """By certificates and the number of a policy; the one asked for last comes last."""
        self._policies = ClientPolicies(shown.listen, shown.authorities) if _asks_by_hello(shown.listen) else None
        self._chooser: CertificateChooser | None = None
        self.addressed = False
        """Whether there are certificates for addresses, to choose among before the handshake."""
        self.asks = self._policies is not None
        """Whether there are agreements: some client is asked for a certificate."""
        self._swept = 0.0
        self.on_fault: Callable[[str], None] = lambda why: None
        """Told of a certificate that cannot be shown; the default is shown instead."""
        self.on_made: Callable[[ssl.SSLContext], object] = lambda context: None
        """Gets every context that is made beside the outer one."""

    def arm(self) -> None:
        """Let the outer context show them. Raises StartError.

        With one certificate no SNI callback is set: a handshake then never enters Python.
        """
        if self._policies is not None:
            self._policies.install(self._outer)
        with overwriting():
            self._load_default()

    def renew(self, at: int, size: int) -> None:
        """Show from now on what the master wrote there (edition.py). Raises StartError for what cannot be shown; then everything
        is as it was."""
        before = self._shown
        edition = read(before.held[0].pem.store, Piece(at, size))
        self._shown = applied(before, edition, datetime.now(UTC))
        touched = set(edition.held)
        default = self._shown.arranged.default
        if edition.whole or default != before.arranged.default or touched & {*default}:
            try:
                self._make(default)  # a trial: half a change of the outer context could not be taken back
            except (StartError, OSError) as error:
                self._shown = before
                raise StartError(str(error)) from error
        if self._policies is not None and edition.authorities is not None:
            self._policies.renew(self._shown.authorities)
        for together, number in list(self._made):
            if edition.whole or touched & {*together} or edition.authorities is not None:
                del self._made[together, number]
        if edition.whole or touched & {*default} or default != before.arranged.default:
            with overwriting():
                self._load_default()
        elif self._chooser is not None:
            self._arrange(self._chooser)

    def _load_default(self) -> None:
        """Into the outer context, unless that holds a kind of key, which nobody could take out again, that the default has not."""
        arranged, held = self._shown.arranged, self._shown.held
        kinds = {held[index].candidate.kind for index in arranged.default}
        self._in_outer = ()
        if self._kinds <= kinds:
            for index in arranged.default:
                self._load(self._outer, held[index].pem)
            self._in_outer, self._kinds = arranged.default, kinds
        others = {*arranged.by_name.values(), *arranged.by_address.values()} - {self._in_outer}
        if self._chooser is not None:
            self._arrange(self._chooser)
        elif others or self._refuses or not self._in_outer or self._policies is not None:
            policy = None if self._policies is None else self._policies.number
            self._chooser = CertificateChooser(arranged, self._lend, refuse=self._refuses, policy=policy)
            install(self._outer, self._chooser)
            self._arrange(self._chooser)

    def _arrange(self, chooser: CertificateChooser) -> None:
        chooser.arranged = self._shown.arranged
        self.addressed = bool(chooser.arranged.by_address)

    def at_address(self, address: str) -> ssl.SSLContext | None:
        """The context for who connected to that address and may ask for no name."""
        return None if self._chooser is None else self._chooser.at_address(address)

    def make_all(self) -> None:
        """Without waiting for anybody to ask, TRIED at most: the store may be closed then. Raises StartError."""
        arranged = self._shown.arranged
        for together in [*{*arranged.by_name.values(), *arranged.by_address.values()}][:TRIED]:
            if (together, OWN) not in self._made:
                self._made[together, OWN] = self._make(together)

    def agreement(self, tls: Any) -> Agreement | None:
        """What the client of a connection may ask for; None: anything, since nobody is asked for certificates."""
        return None if self._policies is None else self._policies.agreement(tls)

    def _lend(self, together: Together, number: int = OWN) -> ssl.SSLContext:
        """The context that shows these. Where clients are asked for certificates it is never the outer one: whom that trusts could
        not be changed."""
        if together == self._in_outer and not self._refuses and self._policies is None:
            return self._outer  # who refuses tells by it whether one was chosen by its address
        context = self._made.pop((together, number), None)
        if context is None:
            try:
                context = self._make(together, number)
            except (StartError, OSError, ValueError) as error:
                self.on_fault(str(error))
                if self._policies is not None:
                    raise Unshowable(str(error)) from error  # the outer one may ask for less
                context = self._outer  # and so from now on
            while len(self._made) >= MOST:
                del self._made[next(iter(self._made))]  # a connection that was lent it keeps it
        self._made[together, number] = context
        return context

    def _make(self, together: Together, number: int = OWN) -> ssl.SSLContext:
        now = time.monotonic()
        sweep = now - self._swept > SWEEP_EVERY  # which takes longer than all the rest
        if sweep:
            self._swept = now
        context = outer_context(self._shown.listen, self._shown.authorities, number)
        if self._policies is not None:
            self._policies.install(context)
        with overwriting(sweep=sweep):
            for index in together:
                self._load(context, self._shown.held[index].pem)
        self.on_made(context)
        return context


def _asks_by_hello(listen: ListenConfig) -> bool:
    """Where OpenSSL cannot be reached a listener's own policy is that of its context, and stays so until a reload."""
    return listen.tls.asks and openssl.functions() is not None


def arm(outer: ssl.SSLContext, shown: Credentials, load: Load = load) -> Showcase:
    """Let this process's copy of a listener's outer context show these certificates. Raises StartError."""
    made = Showcase(outer, shown, load)
    made.arm()
    return made


def server_context(listen: ListenConfig) -> ssl.SSLContext:
    """An armed context of its own, with what the files hold now. Raises StartError; tls.audit says more."""
    context = outer_context(listen)
    with closing(KeyStore()) as store:
        arm(context, credentials(listen, read_pems(listen.pairs, store))).make_all()
    return context
