"""Sets of keys (RFC 7517) that are fetched for [route.jwt]: a greenlet each, names in threads.

A set that cannot be had changes nothing: workers keep the last good one for as long as it takes. A token with a key that is in no
set asks for a look before the time; strangers can make such tokens, so that happens once in a tenth of the usual time at most.
What goes to the master, and from there to workers, is only what they need of public keys.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NoReturn
from urllib.parse import SplitResult

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from gevent.pool import Group

from lbproxy.config.model import Address, KeySet
from lbproxy.control.fetch import FetchTarget, NotFetched, fetch
from lbproxy.errors import StartError, Unresolved
from lbproxy.http.tokens import BadKeys, public
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import KeySetState, KeysFetched, NewKeyAuthorities
from lbproxy.names.answer import NameAnswer
from lbproxy.names.lookup import attempt
from lbproxy.observe.log import get_logger
from lbproxy.tls.key_servers import context_of
from lbproxy.tls.keystore import KeyStore

LARGEST = 256 * 1024
"""Bytes of an answer."""
MOST_PUBLIC = 32 * 1024
"""Bytes of what is needed of it: 40 keys of RSA with 4096 bits, 150 of elliptic curves."""
RETRY = 1.0
RETRY_MOST = 60.0
"""Seconds from a failure to the next try, twice as many each time, and never more than `jwks_refresh`."""
EARLY = 10
"""A look before the time comes after this part of the usual one."""
SPREAD = 0.1

Lookup = Callable[[str, Sequence[Address]], NameAnswer | Unresolved]


class KeySets:
    """All of the configuration. Its greenlets are the group's."""

    def __init__(
        self, handover: Handover, group: Group, tell: Callable[[KeysFetched | KeySetState], None], lookup: Lookup = attempt
    ) -> None:
        """`lookup` may wait: it is called in a thread."""
        self._group = group
        self._followed = {keys.name: FollowedSet(keys, handover, tell, lookup) for keys in handover.config.key_sets}

    def start(self) -> None:
        """From now on."""
        for each in self._followed.values():
            self._group.spawn(each.run)

    def hurry(self, name: str) -> None:
        """A token names a key that is not in that set. From the event loop: nothing here waits."""
        if name in self._followed:
            self._followed[name].hurry()

    def renew(self, message: NewKeyAuthorities, descriptor: int) -> None:
        """What the master says: the server of that set is judged by these from now on, and asked at once."""
        if descriptor < 0:
            return
        with closing(KeyStore(descriptor)) as store:
            held = store.text(0, message.size)
        if message.name in self._followed:
            self._followed[message.name].renew(held)


class FollowedSet:
    """One set of keys, and what is known of it."""

    def __init__(self, keys: KeySet, handover: Handover, tell: Callable[[KeysFetched | KeySetState], None], lookup: Lookup) -> None:
        self._keys = keys
        self._resolvers = handover.config.proxy.resolvers
        self._context = handover.key_set_contexts.get(keys.name)
        self._tell = tell
        self._lookup = lookup
        self._hurry = Event()
        self._renewed = Event()
        self._tried = 0.0
        self._last = b""
        self._state = KeySetState(keys.name, 0, 0, 0, "")

    def hurry(self) -> None:
        """See KeySets."""
        self._hurry.set()

    def renew(self, held: bytes) -> None:
        """See KeySets; `held`: as tls/key_servers.py has them."""
        if self._keys.ca is None or self._context is None:
            return
        try:
            self._context = context_of(self._keys, {self._keys.ca: held})
        except StartError as error:
            get_logger().error("jwks.unusable", url=self._keys.url, why=str(error), then="the old authorities stay")
            return
        self._renewed.set()

    def run(self) -> NoReturn:
        """Fetch it, now and for ever."""
        while True:
            self._hurry.clear()
            self._renewed.clear()
            self._try()
            self._rest(self._delay(random.random()))  # noqa: S311  # spreading load is no secret

    def _rest(self, delay: float) -> None:
        early = min(self._keys.refresh / EARLY, delay)
        if self._renewed.wait(early):
            return
        wishes = [self._renewed]
        if not self._state.failures:  # else the next try is near anyhow
            wishes.append(self._hurry)
        gevent.wait(wishes, delay - early, 1)

    def _delay(self, chance: float) -> float:
        usual = self._keys.refresh * (1 - SPREAD * chance)
        failures = self._state.failures
        return min(RETRY * 2.0 ** min(failures - 1, 16), RETRY_MOST, usual) if failures else usual

    def _try(self) -> None:
        try:
            found = public(self._fetch())
            if len(found) > MOST_PUBLIC:
                raise NotFetched(f"keys of more than {MOST_PUBLIC} bytes")
        except (NotFetched, BadKeys, Unresolved) as error:
            self._failed(str(error))
            return
        except Exception as error:  # hostile bytes found a hole in a library: no reason to stop asking
            get_logger().error("jwks.fault", url=self._keys.url, exc_info=error)
            self._failed(f"{type(error).__name__}: {error}")
            return
        count = len(json.loads(found)["keys"])
        if found != self._last:
            self._tell(KeysFetched(self._keys.name, found.decode("ascii")))
            get_logger().info("jwks.fetched", url=self._keys.url, keys=count)
        elif self._state.failures:
            get_logger().info("jwks.recovered", url=self._keys.url, keys=count)
        self._last = found
        self._say(KeySetState(self._keys.name, count, int(time.time()), 0, ""))

    def _failed(self, why: str) -> None:
        failures = self._state.failures + 1
        if failures == 1 or why != self._state.why:
            kept = self._state.keys
            get_logger().warning("jwks.failed", url=self._keys.url, why=why, then="the last good one stays" if kept else "503")
        self._say(self._state._replace(failures=failures, why=why))

    def _say(self, state: KeySetState) -> None:
        self._state = state
        self._tell(state)

    def _fetch(self) -> bytes:
        """Raises NotFetched, Unresolved."""
        begun, parts = time.monotonic(), self._keys.parts
        host = (parts.hostname or "").removesuffix(".")
        addresses: Sequence[str] = [host]
        if ":" not in host and not host.rpartition(".")[2].isdigit():
            with gevent.Timeout(self._keys.timeout, NotFetched("its name is not resolved in time")):
                found = get_hub().threadpool.apply(self._lookup, (host, self._resolvers))
            if isinstance(found, Unresolved):
                raise found
            addresses = found.addresses
        left = max(0.1, self._keys.timeout - (time.monotonic() - begun))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return fetch(FetchTarget(host, _authority(parts), self._keys.port, target, self._context, LARGEST), addresses, left)


def _authority(parts: SplitResult) -> str:
    return parts.netloc.lower()
