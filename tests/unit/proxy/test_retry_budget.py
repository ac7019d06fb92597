"""How many second tries at once, and how soon."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import SIZE, Ledger, PerSlot, PickLock, cell_at
from lbproxy.balance.pool import Pool
from lbproxy.config import model
from lbproxy.http.h1.request import parse_request
from lbproxy.proxy.retry_budget import LEAST, LONGEST, PATIENCE, SHORTEST, RetryBudgets
from tests.unit.balance.locks import Lock
from tests.unit.proxy.tunnels import ASK, GRANT
from tests.unit.proxy.world import EOF, LOST, World, get, ok, post


class Fleet:
    """Workers with so many requests in flight each, and their second tries."""

    def __init__(self, *live: int, pools: tuple[model.PoolConfig, ...] = (), chance: Callable[[], float] = lambda: 0.5) -> None:
        self.ledger = Ledger(bytearray(SIZE))
        self.lock = Lock()
        self.slept: list[float] = []
        locks = [PickLock(self.lock, self.ledger, child) for child in range(len(live))]
        backends = [Backend("app", f"b{slot}", "b", "127.0.0.1", 9000 + slot, 1, 0, slot) for slot in (4, 5)]
        self.pool = Pool("app", backends, self.ledger, locks[0], 0)
        self.other = Pool("other", [backends[0]._replace(slot=6)], self.ledger, locks[0], 0)
        for child, requests in enumerate(live):
            self.ledger.open_row(child)
            self.ledger.cells[cell_at(child, PerSlot.IN_FLIGHT, 4 + child % 2)] = requests
        cells, slept = self.ledger.cells, self.slept.append
        self.of = [RetryBudgets(cells, child, lock, slept, pools, chance) for child, lock in enumerate(locks)]

    def retrying(self) -> int:
        return self.ledger.slot_total(PerSlot.RETRYING, 4)


@pytest.mark.parametrize(
    ("live", "share", "allowed"),
    [((0, 0), 20, LEAST), ((5, 10), 20, LEAST), ((60, 40), 20, 20), ((0, 1000), 20, 200), ((60, 40), 50, 50), ((60, 40), 0, LEAST)],
)
def test_a_share_of_what_is_in_flight_over_all_workers(live: tuple[int, int], share: int, allowed: int) -> None:
    """Exactly, whichever worker asks; what ended makes room, also by its worker's death; other pools have budgets of their own."""
    fleet = Fleet(*live, pools=(model.PoolConfig("app", (), retry_budget=share),))
    begun: list[int] = []
    while (mine := fleet.of[len(begun) % 2].begin(fleet.pool, 1, True)) >= 0:
        begun.append(mine)
    assert len(begun) == fleet.retrying() == allowed
    assert not fleet.lock.held
    assert fleet.of[0].begin(fleet.other, 1, True) >= 0
    fleet.of[0].end(begun[0])
    assert fleet.of[1].begin(fleet.pool, 1, True) == begun[1]
    fleet.ledger.retire_row(0)
    assert fleet.retrying() == fleet.ledger.cells[cell_at(1, PerSlot.RETRYING, 4)] == 1 + allowed // 2


@pytest.mark.parametrize(("chance", "second", "last"), [(0.0, SHORTEST, SHORTEST), (0.999999, 0.05, LONGEST)])
def test_pauses_grow_and_are_left_to_chance(chance: float, second: float, last: float) -> None:
    """Between 25 and 250 ms; the first try elsewhere needs none when nothing was sent, and room is waited for."""
    fleet = Fleet(0, chance=lambda: chance)
    [retries], slept = fleet.of, fleet.slept
    assert retries.begin(fleet.pool, 1, True) >= 0
    assert slept == []
    assert retries.begin(fleet.pool, 1, False) >= 0
    assert retries.begin(fleet.pool, 2, True) >= 0
    assert slept[0] == pytest.approx(second, abs=0.001)
    assert slept[0] <= slept[1]
    slept.clear()
    assert retries.begin(fleet.pool, 1, False) == -1
    assert len(slept) == PATIENCE
    assert slept == sorted(slept)
    assert slept[-1] == pytest.approx(last, abs=0.001)


@pytest.mark.parametrize(
    ("allowed", "field", "method"),
    [
        (True, "Idempotency-Key: 7", b"PUT"),
        (True, "Idempotency-Key:", b"POST"),
        (True, "X: y", b"POST"),
        (False, "Idempotency-Key: 7", b"POST"),
    ],
)
def test_a_key_against_doubles(allowed: bool, field: str, method: bytes) -> None:
    """Counts where the backends are said to heed it."""
    head = parse_request(f"POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode(), 8192, 100)
    fleet = Fleet(0, pools=(model.PoolConfig("app", (), idempotency_key=allowed),))
    assert fleet.of[0].method(fleet.pool, head) == method
    assert fleet.of[0].method(fleet.other, head) == b"POST"


def with_pool(world: World, settings: model.PoolConfig) -> None:
    """Second tries as this pool has them."""
    world.service.retries = RetryBudgets(world.ledger.cells, 0, world.pick_lock, world.sleep, (settings,))


@pytest.mark.parametrize(("retries", "dials"), [(0, 1), (1, 3), (2, 4)])
def test_so_many_tries_as_the_pool_says(retries: int, dials: int) -> None:
    """Refused connections get one more; and the access log tells how many there were. None at all is none."""
    world = World(backends=5)
    with_pool(world, model.PoolConfig("app", (), retries=retries))
    world.refuse(*range(5))
    client = world.connect()
    client.feed(get())
    world.settle()
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert len(world.dials) == dials
    assert [line["tries"] for line in world.lines()] == [dials]
    world.at_rest()


def test_no_second_time_on_a_stale_connection_either() -> None:
    """Where nothing may be sent twice."""
    world = World(backends=1)
    with_pool(world, model.PoolConfig("app", (), retries=0))
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok())
    client.take()
    client.feed(get())
    world.upstream.feed(EOF)
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert len(world.dials) == 1
    world.at_rest()


def test_an_exchange_pauses_only_after_something_was_sent() -> None:
    """For then it may have been heard, and the next backend is no stranger to what went wrong."""
    world = World()
    client = world.connect()
    client.feed(get())
    world.upstream.feed(EOF)
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert len(world.slept) == 1
    assert world.count(PerSlot.RETRYING, 0) == 0
    world.at_rest()


def test_a_refused_connection_costs_nobody_anything() -> None:
    """And so the next backend is asked at once."""
    world = World()
    world.refuse(0)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert (world.dials, world.slept) == ([9000, 9001], [])
    world.at_rest()


def test_an_exchange_beyond_the_budget_gives_up() -> None:
    """And tells what went wrong, as if it were the last try."""
    world = World()
    world.ledger.cells[cell_at(0, PerSlot.RETRYING, 0)] = LEAST
    client = world.connect()
    client.feed(get())
    world.upstream.feed(EOF)
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert len(world.dials) == 1
    world.ledger.cells[cell_at(0, PerSlot.RETRYING, 0)] = 0
    world.at_rest()


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("asked", "answer"), [(ASK, GRANT), (get(), EVENTS)], ids=["a tunnel", "events"])
def test_what_goes_on_for_hours_has_no_place_in_the_budget(asked: bytes, answer: bytes) -> None:
    """A second try that has succeeded is none any more; where a backend is down, a few WebSockets would take it all."""
    world = World()
    world.refuse(0)
    client = world.connect()
    client.feed(asked)
    assert world.count(PerSlot.RETRYING, 0) == 1
    world.upstream.feed(answer)
    assert client.take().startswith(answer[:12])
    assert world.count(PerSlot.RETRYING, 0) == 0
    client.feed(LOST)
    world.at_rest()


def test_a_client_that_leaves_during_the_pause() -> None:
    """Ends it; nothing is asked of anybody any more."""
    world = World()
    client = world.connect()
    client.feed(get())
    settle = world.settle
    world.settle = lambda: None  # type: ignore[method-assign]  # the pause lasts
    world.upstream.feed(EOF)
    assert len(world.slept) == 1
    client.feed(EOF)
    world.settle = settle  # type: ignore[method-assign]
    world.settle()
    assert len(world.dials) == 1
    assert world.outcomes() == [(499, "client_closed")]
    world.at_rest()


def test_a_post_with_a_key_goes_elsewhere() -> None:
    """Where the pool allows it."""
    world = World()
    with_pool(world, model.PoolConfig("app", (), idempotency_key=True))
    client = world.connect()
    client.feed(post(b"order", "Idempotency-Key: 7"))
    world.upstream.feed(EOF)
    assert world.upstream.take().endswith(b"order")
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert len(set(world.dials)) == 2
    world.at_rest()
