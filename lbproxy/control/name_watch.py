"""Backends' names, asked for again and again: a greenlet a name, the waiting in threads.

What is learned goes to the master, which alone hands out slots of the ledger, and comes back as Placed for everybody. It is told
again at each answer until that has happened. A name that cannot be resolved keeps what it had, for as long as it takes: an outage
of the name servers is none of ours.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import NoReturn

import gevent
import gevent.threadpool
from gevent.hub import get_hub
from gevent.pool import Group

from lbproxy.balance.endpoints import NOWHERE, names_in
from lbproxy.config.model import Address
from lbproxy.errors import Unresolved
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import Resolved
from lbproxy.names import pace
from lbproxy.names.answer import MOST_ADDRESSES, NameAnswer
from lbproxy.names.lookup import attempt
from lbproxy.observe.log import get_logger

Lookup = Callable[[str, Sequence[Address]], NameAnswer | Unresolved]


class NameWatch:
    """All of the configuration. Its greenlets are the group's."""

    def __init__(self, handover: Handover, group: Group, tell: Callable[[Resolved], None], lookup: Lookup = attempt) -> None:
        """`lookup` may wait: it is called in a thread."""
        self._handover = handover
        self._group = group
        self._tell = tell
        self._lookup = lookup

    def start(self) -> None:
        """From now on."""
        for name in names_in(self._handover.config):
            self._group.spawn(self._follow, name)

    def _follow(self, name: str) -> NoReturn:
        """Spreading load is no secret: any randomness will do."""
        failures = 0
        noted = ""
        delay = pace.first(random.random())  # noqa: S311
        while True:
            gevent.sleep(delay)
            answer = self._ask(name)
            if isinstance(answer, Unresolved):
                failures += 1
                if failures == 1:
                    get_logger().warning("names.failed", name=name, why=str(answer), kept=self._in_use(name))
                delay = pace.after_failure(failures, random.random())  # noqa: S311
                continue
            addresses = self._with_unasked(name, answer)
            note = answer.note
            if len(addresses) > MOST_ADDRESSES:
                note = note or f"{len(addresses)} addresses, the first {MOST_ADDRESSES} are used"
                addresses = addresses[:MOST_ADDRESSES]
            if failures:
                get_logger().info("names.recovered", name=name, addresses=addresses)
            if note and note != noted:
                get_logger().warning("names.odd", name=name, why=note)
            failures, noted = 0, note
            if addresses != self._in_use(name):
                self._tell(Resolved(name, ",".join(addresses)))
            delay = pace.after_answer(answer.ttl, random.random())  # noqa: S311

    def _ask(self, name: str) -> NameAnswer | Unresolved:
        try:
            return get_hub().threadpool.apply(self._lookup, (name, self._handover.config.proxy.resolvers))
        except Exception as error:  # hostile bytes found a hole in the library: no reason to stop asking
            get_logger().error("names.fault", name=name, exc_info=error)
            return Unresolved(f"{type(error).__name__}: {error}")

    def _in_use(self, name: str) -> list[str]:
        """In the order of an answer."""
        there = {backend.ip for pool in self._handover.backends.values() for backend in pool if backend.host == name}
        return _ordered(there - {NOWHERE})

    def _with_unasked(self, name: str, answer: NameAnswer) -> list[str]:
        """Of a family that could not be learned what is in use stays."""
        kept = [ip for ip in self._in_use(name) if ip_address(ip).version == answer.unasked]
        return _ordered({*answer.addresses, *kept})


def _ordered(addresses: set[str]) -> list[str]:
    return [str(ip) for ip in sorted(map(ip_address, addresses), key=lambda ip: (ip.version, ip))]
