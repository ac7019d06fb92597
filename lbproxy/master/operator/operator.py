"""The operator's requests (requests.py), carried out; and who waits for the end of a reload.

Answers are plain values for JSON. Each tells whether what was changed lasts: the file is the truth after a restart, and after a
reload for all but the drain of a backend, which an unrelated reload must not undo.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from lbproxy import __version__
from lbproxy.balance.backend import Backend
from lbproxy.balance.endpoints import in_order, is_name
from lbproxy.balance.ledger import PerSlot, SlotState, admin_cell, is_drained, ordered_weight, state_at
from lbproxy.config import plan as plans
from lbproxy.config.digest import digest
from lbproxy.config.model import Config
from lbproxy.ipc.messages import AcmeName, SetLogLevel
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.fleet import Fleet
from lbproxy.master.fleet.generation import Generation
from lbproxy.master.operator import certificates, requests, stored_answers
from lbproxy.master.operator.requests import Answer
from lbproxy.master.operator.status import describe
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.prepare import MOST_WORKERS
from lbproxy.master.resources.shared import MasterResources
from lbproxy.master.watches.cache import CacheKeeping
from lbproxy.observe import log
from lbproxy.observe.metrics import Snapshot
from lbproxy.observe.snapshot import snapshot

Reply = Callable[[Answer], None]

UNTIL_RELOAD = "until the next reload, which goes by the file again"
OVER_RELOADS = "kept over reloads, forgotten by a restart"


class Operator:
    """`handle` requests; tell it how reloads go."""

    def __init__(
        self,
        shared: MasterResources,
        fleet: Fleet,
        resources: Mapping[int, GenerationResources],
        feed: Callable[[events.Event], None],
        set_level: Callable[[SetLogLevel], None],
    ) -> None:
        """`resources`: of the living generations, by number. `set_level` tells it to the master's log and to every child."""
        self._shared = shared
        self._fleet = fleet
        self._resources = resources
        self._feed = feed
        self._set_level = set_level
        self._started = time.time()
        self._wait_for_next: list[Reply] = []
        self._wait_for_this: list[Reply] = []
        self._last_reload: Answer | None = None
        self._level = ""
        self._digest: tuple[Config, str] | None = None
        self.acme: Callable[[], Mapping[str, AcmeName]] = dict
        self.key_sets: Callable[[], Sequence[Answer]] = tuple
        self.taps: Callable[[], Sequence[Answer]] = tuple
        """How the names stand that certificates are obtained for."""
        self.files: Callable[[], Answer | None] = lambda: None
        """Which file nothing is heard of, if there is one."""
        self.watched: Callable[[], Answer] = dict
        """What is looked at, and what was seen."""
        self.cache: CacheKeeping | None = None
        self._do: dict[type[requests.Request], Callable[[Any, Reply], None]] = {
            requests.StatusRequest: self._status,
            requests.ReloadRequest: self._reload,
            requests.StopRequest: self._stop,
            requests.BackendRequest: self._backend,
            requests.WorkersRequest: self._workers,
            requests.LogLevelRequest: self._log_level,
            requests.CertificatesRequest: self._certificates,
            requests.CacheRequest: self._cache,
        }

    def handle(self, request: requests.Request, reply: Reply) -> None:
        """`reply` is called once: now, or when it is known how it went."""
        if not isinstance(request, requests.StatusRequest):
            self._do[type(request)](request, reply)
            return
        try:
            self._status(request, reply)
        except Exception as error:  # children write what it reads: nothing that ever stands there may end what serves
            log.get_logger().error("status.fault", exc_info=error)
            reply({"ok": False, "error": f"{type(error).__name__}: {error}"})

    def level_of(self, generation: int) -> str:
        """What an operator ordered for the logs of its children; "" when it is what the configuration says."""
        serving = self._fleet.serving
        return self._level if serving is not None and serving.number == generation else ""

    # ---- reloads

    def reload_begins(self) -> None:
        """Whoever asked until now gets the answer of this one."""
        self._wait_for_this += self._wait_for_next
        self._wait_for_next = []

    def reload_served(self, number: int, plan: plans.Plan, milliseconds: int) -> None:
        """All workers of the generation serve."""
        self._level = ""
        self._forget_weights()
        self._shared.name_state.forget_weights()
        generation = self._fleet.generations.get(number)
        told: Answer = {
            "ok": True,
            "generation": number,
            "changes": list(map(str, plan.changes)),
            "restart": list(plan.restart),
            "pids": [child.pid for child in generation.children(Role.WORKER)] if generation is not None else [],
            "milliseconds": milliseconds,
            "warnings": list(map(str, self._serving_resources.warnings())),
        }
        self._last_reload = {"at": time.time(), "ok": True, "generation": number, "error": "", "changes": told["changes"]}
        self._answer(told)

    def _forget_weights(self) -> None:
        cells = self._shared.ledger.cells
        for backend in self._backends():
            at = state_at(SlotState.ADMIN, backend.slot)
            cells[at] = admin_cell(is_drained(cells[at]), None)

    def reload_rejected(self, number: int, why: str) -> None:
        """It came to nothing; what served before serves on."""
        if self._fleet.stop is not None:  # nothing begins any more
            self.reload_begins()
        self._last_reload = {"at": time.time(), "ok": False, "generation": number, "error": why, "changes": []}
        serving = self._fleet.serving
        self._answer({"ok": False, "error": why, "serving": serving.number if serving is not None else 0})

    def _answer(self, answer: Answer) -> None:
        waiting, self._wait_for_this = self._wait_for_this, []
        for reply in waiting:
            reply(answer)

    # ---- requests

    def _reload(self, _: requests.ReloadRequest, reply: Reply) -> None:
        if self._fleet.stop is not None:
            reply({"ok": False, "error": "lbproxy is stopping"})
            return
        self._wait_for_next.append(reply)
        self._feed(events.ReloadWanted())

    def _stop(self, request: requests.StopRequest, reply: Reply) -> None:
        reply({"ok": True, "drain_timeout": self._serving_resources.config.proxy.drain_timeout})
        self._feed(events.Terminate("lbproxy stop"))
        if request.now:
            self._feed(events.Terminate("lbproxy stop --now"))

    def _workers(self, request: requests.WorkersRequest, reply: Reply) -> None:
        generation = self._fleet.serving
        if generation is None:
            reply({"ok": False, "error": "nothing serves right now"})
            return
        wanted = len(generation.workers()) + request.delta
        if not 1 <= wanted <= MOST_WORKERS:
            reply({"ok": False, "error": f"{wanted} workers: wanted 1 to {MOST_WORKERS}"})
            return
        self._feed(events.Scale(request.delta))
        reply({"ok": True, "workers": wanted, "note": UNTIL_RELOAD})

    def _log_level(self, request: requests.LogLevelRequest, reply: Reply) -> None:
        self._level = request.level
        self._set_level(SetLogLevel(request.level))
        reply({"ok": True, "note": UNTIL_RELOAD})

    def _certificates(self, request: requests.CertificatesRequest, reply: Reply) -> None:
        resources, now = self._serving_resources, time.time()
        if request.name:
            found = certificates.asked_for(request.name, resources.listeners, resources.refused, now)
        else:
            found = certificates.listed(resources.listeners, resources.refused, now)
        reply({"ok": True, "certificates": certificates.with_acme(found, self.acme())})

    def _cache(self, request: requests.CacheRequest, reply: Reply) -> None:
        if self.cache is None:
            reply({"ok": False, "error": "nothing serves right now"})
        else:
            stored_answers.carry_out(request, self.cache, self._shared.ledger, reply)

    def _backend(self, request: requests.BackendRequest, reply: Reply) -> None:
        fitting = self._called(request.name)
        if len(fitting) != 1:
            reply({"ok": False, "error": self._no_such(request.name, fitting)})
            return
        [(called, backends)] = fitting.items()
        cells = self._shared.ledger.cells
        for backend in backends:
            at = state_at(SlotState.ADMIN, backend.slot)
            cells[at] = _ordered(request, cells[at], backend)
        if is_name(backends[0].host) and called == f"{backends[0].pool}/{backends[0].written}":
            book = self._shared.name_state
            book.order(called, _ordered(request, book.orders.get(called, 0), backends[0]))
        note = ""
        if request.action == "weight":
            note = UNTIL_RELOAD if request.weight != backends[0].weight else "as the file says"
        elif request.action == "drain":
            note = OVER_RELOADS
        in_flight = sum(self._shared.ledger.slot_total(PerSlot.IN_FLIGHT, backend.slot) for backend in backends)
        reply({"ok": True, "backend": called, "in_flight": in_flight} | ({"note": note} if note else {}))

    def _called(self, name: str) -> dict[str, list[Backend]]:
        """The backends that somebody may mean, by what they are called in full: one address, or all that a written name has."""
        fitting: dict[str, list[Backend]] = {}
        for backend in self._backends():
            if name in (backend.identity, backend.name):
                fitting.setdefault(backend.identity, []).append(backend)
            written = f"{backend.pool}/{backend.written}"
            if name in (written, str(backend.written)) and written != backend.identity:
                fitting.setdefault(written, []).append(backend)
        return fitting

    def _no_such(self, name: str, fitting: Collection[str]) -> str:
        if fitting:
            return f"{name} is in several pools: say {' or '.join(fitting)}"
        known = [backend.identity for backend in self._backends()]
        return f"no backend {name}; there are {', '.join(known[:20])}{' ...' if len(known) > 20 else ''}"

    # ---- status

    def _status(self, _: requests.StatusRequest, reply: Reply) -> None:
        config = self._serving_resources.config
        now = time.monotonic()
        reply(
            {
                "ok": True,
                "version": __version__,
                "started": self._started,
                "uptime": time.time() - self._started,
                "config": config.source,
                "digest": self._digest_of(config),
                "generations": [_generation(generation, now) for generation in self._fleet.generations.values()],
                "listeners": [str(listen.address) for listen in config.listen],
                "last_reload": self._last_reload,
                "log_level": self._level or config.log.level,
                "faults": self._shared.ledger.verify(),
                "warnings": [*map(str, self._serving_resources.warnings()), *self._unseen()],
                "openssl": ssl.OPENSSL_VERSION,
                "files": self.files(),
                "watched": self.watched(),
                **self._ending(),
                **describe(self._snapshot()),
            }
        )

    def _unseen(self) -> list[str]:
        """What is not looked at right now."""
        found = self.files()
        return [] if found is None else [f"changes of files are not seen: {found['why']}"]

    def _digest_of(self, config: Config) -> str:
        """Written out once: of a long configuration that takes a while."""
        if self._digest is None or self._digest[0] is not config:
            self._digest = (config, digest(config))
        return self._digest[1]

    def _ending(self) -> Answer:
        """The certificates that end first, and how many there are."""
        resources = self._serving_resources
        found = certificates.listed(resources.listeners, resources.refused, time.time())
        told = certificates.with_acme(found[: certificates.MOST_IN_STATUS], self.acme())
        acme = certificates.acme(self.acme())[: certificates.MOST_IN_STATUS]
        others = {"key_sets": list(self.key_sets()), "taps": list(self.taps())}
        return {"certificates": told, "certificates_total": len(found), "acme": acme, **others}

    def _snapshot(self) -> Snapshot:
        number = self._fleet.serving.number if self._fleet.serving is not None else 0
        return snapshot(self._shared.ledger, self._backends(), generation=number, started=self._started, now=time.time())

    def _backends(self) -> list[Backend]:
        resources = self._serving_resources
        return in_order(resources.config, resources.backends)

    @property
    def _serving_resources(self) -> GenerationResources:
        """What clients meet; before anything serves, the first."""
        serving = self._fleet.serving
        return self._resources[serving.number if serving is not None else min(self._resources)]


def _ordered(request: requests.BackendRequest, order: int, backend: Backend) -> int:
    """The cell for a backend that was ordered `order` before."""
    if request.action == "weight":
        return admin_cell(is_drained(order), None if request.weight == backend.weight else request.weight)
    return admin_cell(request.action == "drain", ordered_weight(order))


def _generation(generation: Generation, now: float) -> Answer:
    def told(role: Role) -> Answer | None:
        found = generation.children(role)
        return {"pid": found[0].pid, "phase": found[0].phase.value, "walls": found[0].walls} if found else None

    return {
        "number": generation.number,
        "stage": generation.stage.value,
        "age": now - generation.born,
        "workers": [
            {
                "worker": child.worker + 1,
                "pid": child.pid,
                "phase": child.phase.value,
                "age": now - child.born,
                "connections": child.beat.connections,
                "live_requests": child.beat.live_requests,
                "rss_kib": child.beat.rss_kib,
                "lag_ms": child.beat.lag_ms,
                "form": child.form,
                "walls": child.walls,
            }
            for child in generation.children(Role.WORKER)
        ],
        "control": told(Role.CONTROL),
        "acme": told(Role.ACME),
    }
