"""Requests of operators, carried out on a fleet whose clock and processes are a script."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lbproxy import __version__
from lbproxy.balance import backend as balance
from lbproxy.balance.ledger import (
    HEADER_CELLS,
    SIZE,
    HealthState,
    Ledger,
    PerSlot,
    Scalar,
    SlotState,
    admin_cell,
    cell_at,
    is_drained,
    ordered_weight,
    scalar_at,
    state_at,
)
from lbproxy.balance.slots import SlotTable
from lbproxy.config.model import Address, BackendConfig, Config, ListenConfig, LogConfig, PoolConfig, ProcessConfig, RouteConfig
from lbproxy.config.plan import plan
from lbproxy.ipc.messages import Heartbeat, Quit, Ready, SetLogLevel
from lbproxy.master.fleet import events
from lbproxy.master.fleet.events import Died, Said, Terminate
from lbproxy.master.fleet.pending_reload import CALM
from lbproxy.master.operator import operator, requests
from lbproxy.master.operator.operator import OVER_RELOADS, UNTIL_RELOAD, Operator
from lbproxy.master.operator.requests import Answer
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.prepare import MOST_WORKERS
from lbproxy.master.resources.shared import MasterResources
from tests.support.ports import free_port
from tests.unit.balance.locks import Lock
from tests.unit.master.fleet.play import CONTROL, Play, exited

Told = dict[str, Any]
HERE = Address("127.0.0.1", free_port())


def config_of(*pools: PoolConfig) -> Config:
    return Config(
        "lbproxy.toml",
        (ListenConfig(HERE),),
        (RouteConfig("web"),),
        pools,
        ProcessConfig(drain_timeout=12.5),
        LogConfig(level="warning"),
    )


def pool(name: str, *weights: int) -> PoolConfig:
    return PoolConfig(name, tuple(BackendConfig(Address(f"{name}.test", 9000 + at), weight) for at, weight in enumerate(weights)))


def provision_of(config: Config) -> GenerationResources:
    """As resources/prepare.py makes it, with a slot for each backend in order."""
    backends: dict[str, tuple[balance.Backend, ...]] = {}
    slot = 0
    for each in config.pools:
        placed = []
        for one in each.backends:
            host, port = one.address
            placed.append(balance.Backend(each.name, str(one.address), host, "127.0.0.1", port, one.weight, 0, slot))
            slot += 1
        backends[each.name] = tuple(placed)
    return GenerationResources(config, 2, (), backends, {}, None, -1, {}, frozenset(range(slot)))


class Desk(Play):
    """The operator with its fleet, and a shell that tells it of reloads as the master does."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.wanted = config
        self.ledger = Ledger(bytearray(SIZE))
        self.levels: list[SetLogLevel] = []
        self.resources = {1: provision_of(config)}
        self.shared = MasterResources(self.ledger, Lock(), SlotTable(), None, None)
        self.operator = Operator(self.shared, self.fleet, self.resources, self._feed, self.levels.append)

    def _feed(self, event: events.Event) -> None:
        self.do(event)  # the Operator wants nothing back

    def _carry_out(self, action: events.Action) -> None:
        match action:
            case events.Prepare(number):
                self.operator.reload_begins()
                if not self.refuse:
                    self.resources[number] = provision_of(self.wanted)
        super()._carry_out(action)
        match action:
            case events.Serving(number, milliseconds) if number > 1:
                before = self.resources[number - 1].config
                self.operator.reload_served(number, plan(before, self.resources[number].config), milliseconds)
            case events.Rejected(number, why):
                self.operator.reload_rejected(number, why)

    def ask(self, request: requests.Request) -> list[Told]:
        """The answers to this one: none as long as it waits. Each has to be JSON."""
        answers: list[Told] = []

        def reply(answer: Answer) -> None:
            assert not answers, "answered twice"
            json.dumps(answer, allow_nan=False)
            answers.append(answer)

        self.operator.handle(request, reply)
        return answers

    def answer(self, request: requests.Request) -> Told:
        """The answer, at once."""
        [answer] = self.ask(request)
        return answer

    def newest(self) -> list[int]:
        """Slots of the newest generation."""
        return [child.row for child in self.fleet.living() if child.generation == max(self.fleet.generations)]

    def get_ready(self) -> None:
        for slot in self.newest():
            self.do(Said(slot, Ready(7)))

    def order(self, slot: int) -> tuple[bool, int | None]:
        cell = self.ledger.cells[state_at(SlotState.ADMIN, slot)]
        return is_drained(cell), ordered_weight(cell)


@pytest.fixture
def desk() -> Desk:
    made = Desk(config_of(pool("web", 1, 3), pool("api", 1)))
    made.start()
    made.wait(60)
    return made


# ---------------------------------------------------------------- reload


def test_a_reload_is_answered_when_the_new_generation_serves(desk: Desk) -> None:
    desk.wanted = config_of(pool("web", 1, 5), pool("api", 1, 1))
    answers = desk.ask(requests.ReloadRequest())
    assert answers == []
    desk.now += 0.25
    desk.get_ready()
    [answer] = answers
    assert answer == {
        "ok": True,
        "generation": 2,
        "changes": ["~ backend web/web.test:9001: weight 3 -> 5", "+ backend api/api.test:9001"],
        "restart": [],
        "pids": [child.pid for child in desk.fleet.living() if child.generation == 2],
        "milliseconds": 250,
        "warnings": [],
    }
    last = desk.answer(requests.StatusRequest())["last_reload"]
    assert {key: last[key] for key in ("ok", "generation", "error", "changes")} == {
        "ok": True, "generation": 2, "error": "", "changes": answer["changes"],
    }  # fmt: skip


def test_what_a_reload_cannot_change_is_said(desk: Desk) -> None:
    desk.wanted = replace(desk.wanted, proxy=replace(desk.wanted.proxy, user="somebody"))
    answers = desk.ask(requests.ReloadRequest())
    desk.get_ready()
    [line] = answers[0]["restart"]
    assert "proxy.user" in line
    assert "needs a restart" in line


def test_a_refused_configuration_is_answered_at_once_with_all_its_faults(desk: Desk) -> None:
    desk.refuse = "lbproxy.toml:3: listen.address: no\nlbproxy.toml:9: pool.web: no"
    assert desk.answer(requests.ReloadRequest()) == {"ok": False, "error": desk.refuse, "serving": 1}
    last = desk.answer(requests.StatusRequest())["last_reload"]
    assert (last["ok"], last["generation"], last["error"]) == (False, 2, desk.refuse)


def test_a_reload_whose_workers_die_is_answered_with_the_reason(desk: Desk) -> None:
    answers = desk.ask(requests.ReloadRequest())
    desk.do(Died(desk.newest()[0], exited(3)))
    assert answers == [{"ok": False, "error": "worker 1 of the new generation: exit 3", "serving": 1}]


def test_who_asks_while_a_reload_runs_gets_the_answer_of_the_next(desk: Desk) -> None:
    """The file may have changed after it was read for the one that runs."""
    first = desk.ask(requests.ReloadRequest())
    second, third = desk.ask(requests.ReloadRequest()), desk.ask(requests.ReloadRequest())
    desk.get_ready()
    assert [answer["generation"] for answer in first] == [2]
    assert (second, third) == ([], [])
    desk.wait(CALM * 4)
    assert desk.prepared == [2, 3]
    desk.get_ready()
    assert [answer["generation"] for answer in (*second, *third)] == [3, 3]
    assert len(first) == 1


def test_a_stop_answers_everybody_who_waits_for_a_reload(desk: Desk) -> None:
    """Those of the one that runs, and those of the one that will never begin."""
    first, second = desk.ask(requests.ReloadRequest()), desk.ask(requests.ReloadRequest())
    desk.do(Terminate("SIGTERM"))
    for answers in (first, second):
        [answer] = answers
        assert answer["ok"] is False
        assert answer["error"] == "SIGTERM came"
    assert desk.answer(requests.ReloadRequest()) == {"ok": False, "error": "lbproxy is stopping"}


# ---------------------------------------------------------------- stop


def test_a_stop_drains_and_tells_how_long_that_may_take(desk: Desk) -> None:
    assert desk.answer(requests.StopRequest(now=False)) == {"ok": True, "drain_timeout": 12.5}
    assert {drain.row for drain in desk.drains} == {0, 1}
    assert desk.kills == []
    assert desk.fleet.stop is not None
    assert desk.fleet.stop.code == 0


def test_a_stop_now_kills(desk: Desk) -> None:
    assert desk.answer(requests.StopRequest(now=True))["ok"] is True
    assert {row for row, _ in desk.kills} == {0, 1, CONTROL}
    assert desk.fleet.stop is not None
    assert desk.fleet.stop.code == 2


def test_a_second_stop_kills_as_a_second_signal_does(desk: Desk) -> None:
    desk.answer(requests.StopRequest(now=False))
    desk.answer(requests.StopRequest(now=False))
    assert {row for row, _ in desk.kills} == {0, 1, CONTROL}


# ---------------------------------------------------------------- backends


def test_a_drain_is_written_down_and_lasts_over_reloads(desk: Desk) -> None:
    desk.ledger.open_row(0)
    desk.ledger.cells[cell_at(0, PerSlot.IN_FLIGHT, 1)] = 4
    answer = desk.answer(requests.BackendRequest("web/web.test:9001", "drain", 0))
    assert answer == {"ok": True, "backend": "web/web.test:9001", "in_flight": 4, "note": OVER_RELOADS}
    assert [desk.order(slot) for slot in range(3)] == [(False, None), (True, None), (False, None)]
    desk.ask(requests.ReloadRequest())
    desk.get_ready()
    assert desk.order(1) == (True, None)
    assert desk.answer(requests.BackendRequest("web/web.test:9001", "enable", 0)) == {
        "ok": True, "backend": "web/web.test:9001", "in_flight": 4,
    }  # fmt: skip
    assert desk.order(1) == (False, None)


def test_a_weight_is_written_down_until_the_next_reload(desk: Desk) -> None:
    assert desk.answer(requests.BackendRequest("web/web.test:9000", "weight", 7))["note"] == UNTIL_RELOAD
    assert desk.order(0) == (False, 7)
    desk.ask(requests.ReloadRequest())
    assert desk.order(0) == (False, 7)  # the old generation serves yet
    desk.get_ready()
    assert desk.order(0) == (False, None)


def test_a_failed_reload_forgets_no_weight(desk: Desk) -> None:
    desk.answer(requests.BackendRequest("web/web.test:9000", "weight", 7))
    desk.refuse = "no"
    desk.answer(requests.ReloadRequest())
    assert desk.order(0) == (False, 7)


def test_the_configured_weight_is_no_order(desk: Desk) -> None:
    desk.answer(requests.BackendRequest("web/web.test:9001", "weight", 0))
    assert desk.order(1) == (False, 0)
    assert desk.answer(requests.BackendRequest("web/web.test:9001", "weight", 3))["note"] == "as the file says"
    assert desk.ledger.cells[state_at(SlotState.ADMIN, 1)] == admin_cell(False, None)


def test_drain_and_weight_do_not_undo_each_other(desk: Desk) -> None:
    desk.answer(requests.BackendRequest("web/web.test:9000", "weight", 7))
    desk.answer(requests.BackendRequest("web/web.test:9000", "drain", 0))
    assert desk.order(0) == (True, 7)
    desk.answer(requests.BackendRequest("web/web.test:9000", "weight", 9))
    assert desk.order(0) == (True, 9)
    desk.answer(requests.BackendRequest("web/web.test:9000", "enable", 0))
    assert desk.order(0) == (False, 9)


def test_a_backend_is_named_by_its_address_where_one_pool_alone_has_it(desk: Desk) -> None:
    assert desk.answer(requests.BackendRequest("api.test:9000", "drain", 0))["backend"] == "api/api.test:9000"
    assert desk.order(2) == (True, None)


def test_a_name_that_fits_nothing_or_too_much_is_refused_with_what_there_is() -> None:
    shared = BackendConfig(Address("both.test", 9000))
    desk = Desk(config_of(PoolConfig("web", (shared,)), PoolConfig("api", (shared,)), pool("many", *[1] * 30)))
    desk.start()
    answer = desk.answer(requests.BackendRequest("both.test:9000", "drain", 0))
    assert answer == {"ok": False, "error": "both.test:9000 is in several pools: say web/both.test:9000 or api/both.test:9000"}
    error = desk.answer(requests.BackendRequest("web/gone.test:1", "drain", 0))["error"]
    assert error.startswith("no backend web/gone.test:1; there are web/both.test:9000, api/both.test:9000, many/")
    assert error.endswith(" ...")
    assert all(desk.order(slot) == (False, None) for slot in range(32))


# ---------------------------------------------------------------- workers, log level


def test_one_worker_more_and_one_less(desk: Desk) -> None:
    assert desk.answer(requests.WorkersRequest(1)) == {"ok": True, "workers": 3, "note": UNTIL_RELOAD}
    assert desk.spawned[-1].worker == 2
    desk.get_ready()
    assert desk.answer(requests.WorkersRequest(-1))["workers"] == 2
    assert [drain.row for drain in desk.drains] == [2]


def test_the_last_worker_stays_and_there_are_no_more_than_the_ledger_has_rows_for(desk: Desk) -> None:
    assert desk.answer(requests.WorkersRequest(-1))["workers"] == 1
    answer = desk.answer(requests.WorkersRequest(-1))
    assert answer == {"ok": False, "error": f"0 workers: wanted 1 to {MOST_WORKERS}"}
    assert len(desk.drains) == 1


def test_before_anybody_serves_no_number_of_workers_can_be_changed() -> None:
    desk = Desk(config_of(pool("web", 1)))
    desk.begin()
    assert desk.answer(requests.WorkersRequest(1)) == {"ok": False, "error": "nothing serves right now"}


def test_the_level_is_told_to_all_and_shown_until_the_next_reload(desk: Desk) -> None:
    assert desk.answer(requests.StatusRequest())["log_level"] == "warning"
    assert desk.answer(requests.LogLevelRequest("debug")) == {"ok": True, "note": UNTIL_RELOAD}
    assert desk.levels == [SetLogLevel("debug")]
    assert desk.answer(requests.StatusRequest())["log_level"] == "debug"
    desk.ask(requests.ReloadRequest())
    assert (desk.operator.level_of(1), desk.operator.level_of(2)) == ("debug", "")
    desk.get_ready()
    assert desk.answer(requests.StatusRequest())["log_level"] == "warning"
    assert (desk.operator.level_of(1), desk.operator.level_of(2)) == ("", "")


# ---------------------------------------------------------------- status


def test_status_tells_of_generations_processes_traffic_and_backends(desk: Desk) -> None:
    desk.ledger.open_row(0)
    desk.ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.UP
    desk.ledger.cells[cell_at(0, PerSlot.IN_FLIGHT, 0)] = 2
    desk.ledger.cells[scalar_at(0, Scalar.CONNECTIONS)] = 5
    desk.do(Said(0, Heartbeat(3, 40_000, 5, 2)))
    status = desk.answer(requests.StatusRequest())
    assert (status["ok"], status["version"], status["config"]) == (True, __version__, "lbproxy.toml")
    assert status["listeners"] == [str(HERE)]
    assert status["last_reload"] is None
    [generation] = status["generations"]
    assert (generation["number"], generation["stage"]) == (1, "serving")
    first, second = generation["workers"]
    expected = {"worker": 1, "pid": 101, "phase": "serving", "connections": 5, "live_requests": 2, "rss_kib": 40_000, "lag_ms": 3}
    assert {key: first[key] for key in expected} == expected
    assert second["worker"] == 2
    assert generation["control"] == {"pid": 103, "phase": "serving", "walls": []}
    pools = status["pools"]
    assert [(one["name"], one["usable"]) for one in pools] == [("web", 1), ("api", 0)]
    backend = pools[0]["backends"][0]
    assert (backend["name"], backend["health"], backend["in_flight"]) == ("web.test:9000", "up", 2)
    totals = status["totals"]
    assert totals["connections"] == 5


def test_status_shows_every_living_generation_and_the_configuration_that_serves(desk: Desk) -> None:
    desk.wanted = config_of(pool("web", 1))
    desk.ask(requests.ReloadRequest())

    def stages() -> list[tuple[int, str]]:
        generations = desk.answer(requests.StatusRequest())["generations"]
        return [(one["number"], one["stage"]) for one in generations]

    assert stages() == [(1, "serving"), (2, "starting")]
    desk.get_ready()
    assert stages() == [(1, "retiring"), (2, "serving")]
    pools = desk.answer(requests.StatusRequest())["pools"]
    assert [len(one["backends"]) for one in pools] == [1]
    assert (CONTROL, Quit()) in desk.sent


def test_status_before_anybody_serves() -> None:
    desk = Desk(config_of(pool("web", 1)))
    desk.begin()
    status = desk.answer(requests.StatusRequest())
    [generation] = status["generations"]
    assert (generation["stage"], generation["workers"][0]["phase"]) == ("starting", "starting")
    assert len(generation["workers"]) == 2


@pytest.mark.parametrize("absurd", [-(2**63), -1, 2**40, 2**63 - 1])
def test_status_survives_whatever_a_child_that_was_taken_over_wrote_into_the_ledger(desk: Desk, absurd: int) -> None:
    cells = desk.ledger.cells
    for at in (*range(1, HEADER_CELLS), *(state_at(state, 0) for state in SlotState), *range(scalar_at(0, 0), scalar_at(1, 0))):
        cells[at] = absurd
    status = desk.answer(requests.StatusRequest())
    assert status["ok"] is True
    assert status["pools"][0]["backends"][0]["health"] == "unknown"


def test_a_status_that_fails_is_an_answer_and_not_the_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr(operator, "snapshot", fail)
    assert desk.answer(requests.StatusRequest()) == {"ok": False, "error": "OverflowError: too large"}


# ---------------------------------------------------------------- names


@pytest.fixture
def named(desk: Desk) -> Desk:
    """The first of web is a name with two addresses, in slots 0 and 10."""
    resources = desk.resources[1]
    first, *others = resources.backends["web"]
    addresses = [first._replace(name=f"web.test@{ip}:9000", ip=ip, slot=slot) for ip, slot in (("10.0.0.1", 0), ("10.0.0.2", 10))]
    resources.backends["web"] = (*addresses, *others)
    return desk


def test_an_order_for_a_name_is_one_for_all_its_addresses_and_those_to_come(named: Desk) -> None:
    named.ledger.open_row(0)
    for slot, count in ((0, 2), (10, 3), (1, 7)):
        named.ledger.cells[cell_at(0, PerSlot.IN_FLIGHT, slot)] = count
    answer = named.answer(requests.BackendRequest("web.test:9000", "drain", 0))
    assert answer == {"ok": True, "backend": "web/web.test:9000", "in_flight": 5, "note": OVER_RELOADS}
    assert [named.order(slot) for slot in (0, 10, 1)] == [(True, None), (True, None), (False, None)]
    assert named.shared.name_state.orders == {"web/web.test:9000": admin_cell(True, None)}
    named.answer(requests.BackendRequest("web/web.test:9000", "weight", 7))
    assert named.shared.name_state.orders == {"web/web.test:9000": admin_cell(True, 7)}
    named.answer(requests.BackendRequest("web/web.test:9000", "enable", 0))
    named.answer(requests.BackendRequest("web/web.test:9000", "weight", 1))  # as configured
    assert [named.order(slot) for slot in (0, 10)] == [(False, None), (False, None)]
    assert named.shared.name_state.orders == {}


def test_an_order_for_one_address_is_for_that_one(named: Desk) -> None:
    answer = named.answer(requests.BackendRequest("web.test@10.0.0.2:9000", "drain", 0))
    assert answer["backend"] == "web/web.test@10.0.0.2:9000"
    assert [named.order(slot) for slot in (0, 10)] == [(False, None), (True, None)]
    assert named.shared.name_state.orders == {}


def test_a_reload_forgets_the_weight_of_a_name(named: Desk) -> None:
    """And keeps its drain, for addresses to come as well."""
    for action, weight in (("drain", 0), ("weight", 7)):
        named.answer(requests.BackendRequest("web/web.test:9000", action, weight))  # type: ignore[arg-type]  # of the two above
    named.ask(requests.ReloadRequest())
    named.get_ready()
    assert named.shared.name_state.orders == {"web/web.test:9000": admin_cell(True, None)}


def test_status_tells_the_name_of_each_address(named: Desk) -> None:
    pools = named.answer(requests.StatusRequest())["pools"]
    assert [(one["name"], one["written"]) for one in pools[0]["backends"]] == [
        ("web.test@10.0.0.1:9000", "web.test:9000"),
        ("web.test@10.0.0.2:9000", "web.test:9000"),
        ("web.test:9001", "web.test:9001"),
    ]
