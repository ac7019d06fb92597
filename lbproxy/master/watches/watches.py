"""The watches of the master over what changes while a generation serves: files, and what processes beside the workers say."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Mapping
from typing import Any

from lbproxy.ipc.messages import Resolved
from lbproxy.master.files.watch import FileWatch, Look
from lbproxy.master.fleet.child import Role
from lbproxy.master.names.updates import AddressUpdates
from lbproxy.master.operator.operator import Operator
from lbproxy.master.processes.child_pipes import ChildPipes
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.shared import MasterResources
from lbproxy.master.tap.taps import Taps
from lbproxy.master.watches.acme import AcmeWatch
from lbproxy.master.watches.cache import CacheKeeping
from lbproxy.master.watches.certificates import CertificateWatch
from lbproxy.master.watches.documents import DocumentWatch
from lbproxy.master.watches.key_sets import KeySetWatch
from lbproxy.master.watches.rules import RuleWatch
from lbproxy.master.watches.taps import TapWatch
from lbproxy.master.watches.tickets import TicketWatch
from lbproxy.master.watches.trust import TrustWatch


class Watches:
    """All of them, one master's."""

    def __init__(
        self,
        shared: MasterResources,
        resources: Mapping[int, GenerationResources],
        serving: Callable[[], tuple[int, GenerationResources] | None],
        pipes: ChildPipes,
        operator: Operator,
        names: AddressUpdates,
        look: Look,
        selector: selectors.BaseSelector,
    ) -> None:
        """`resources`: of living generations, by number; `serving`: number and resources of what clients meet; `look`: begins a
        process that looks at files."""
        self._names = names
        self._serving = serving
        self.rules = RuleWatch(resources, serving, shared)
        self.certificates = CertificateWatch(serving, pipes)
        forget = self.certificates.forget
        self._tickets = TicketWatch(serving, resources, shared.tickets, pipes, forget)
        judges = self.certificates, TrustWatch(pipes, forget), DocumentWatch(pipes, forget), self._tickets
        self.files = FileWatch(serving, judges, look, selector=selector)
        pipes.on_stranger.append(lambda pid, _: self.files.ended(pid))
        operator.files, operator.watched = self.files.told, self.files.sightings.told
        self._key_sets = KeySetWatch(resources, serving, pipes, forget)
        operator.key_sets = self._key_sets.told
        self.acme = AcmeWatch(serving, pipes, operator)
        self.cache = CacheKeeping(resources, serving, shared.ledger)
        operator.cache, pipes.on_death = self.cache, self.cache.died
        self.taps = TapWatch(resources, serving, pipes, Taps(shared.account, shared.sockets))
        operator.taps = self.taps.told
        self.heard: Mapping[Role, Callable[[Any], None]] = {
            Role.WORKER: self._on_keys,
            Role.CONTROL: self._on_control,
            Role.ACME: self.acme.heard,
        }
        """What is told by processes of each role and is no matter of the fleet's (child_pipes.ASIDE)."""

    def look(self, now: float) -> None:
        """Everything that is due."""
        self.files.look(now)
        self.certificates.look(now)
        self._tickets.look(now)
        self.acme.look()
        self.cache.look(now)
        self.taps.look(now)
        self.rules.look(now)

    def _on_control(self, told: Any) -> None:
        if isinstance(told, Resolved):
            self._names.heard(told)
        else:
            self._on_keys(told)

    def _on_keys(self, told: Any) -> None:
        self._key_sets.heard(told, time.monotonic())
