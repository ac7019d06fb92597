"""How many second tries at once, and how soon."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import SIZE, Ledger, Scalar, scalar_at
from lbproxy.config import model
from lbproxy.http.h1.request import parse_request
from lbproxy.proxy.retries import LEAST, LONGEST, PATIENCE, SHORTEST, Retries
from tests.unit.proxy.world import EOF, World, get, ok, post


def workers(*live: int) -> tuple[Ledger, list[Retries]]:
    """With so many requests in flight each."""
    ledger = Ledger(bytearray(SIZE))
    for child, requests in enumerate(live):
        ledger.open_row(child)
        ledger.cells[scalar_at(child, Scalar.LIVE_REQUESTS)] = requests
    return ledger, [Retries(ledger.cells, child, lambda seconds: None) for child in range(len(live))]


@pytest.mark.parametrize(("live", "allowed"), [((0, 0), LEAST), ((5, 10), LEAST), ((60, 40), 20), ((0, 1000), 200)])
def test_a_share_of_what_is_in_flight_over_all_workers(live: tuple[int, int], allowed: int) -> None:
    """Whichever worker asks; what ended makes room."""
    ledger, of = workers(*live)
    begun = 0
    while of[begun % 2].may_go_on(1, True):
        of[begun % 2].begin()
        begun += 1
    assert begun == allowed
    assert not any(one.may_go_on(1, True) for one in of)
    of[0].end()
    assert of[1].may_go_on(1, True)
    of[1].begin()
    ledger.retire_row(0)
    assert ledger.total(Scalar.RETRYING) == ledger.cells[scalar_at(1, Scalar.RETRYING)]


def test_pauses_grow_and_are_left_to_chance() -> None:
    """Between 25 and 250 ms; the first try elsewhere needs none when nothing was sent, and room is waited for."""
    for chance, last in ((0.0, SHORTEST), (0.999999, LONGEST)):
        slept: list[float] = []
        ledger = Ledger(bytearray(SIZE))
        ledger.open_row(0)
        retries = Retries(ledger.cells, 0, slept.append, (), lambda chance=chance: chance)  # type: ignore[misc]  # a default argument
        assert retries.may_go_on(1, True)
        assert slept == []
        assert retries.may_go_on(1, False)
        assert slept == [pytest.approx(0.05 if chance else SHORTEST, abs=0.001)]
        slept.clear()
        for _ in range(LEAST):
            retries.begin()
        assert not retries.may_go_on(1, False)
        assert len(slept) == PATIENCE
        assert slept == sorted(slept)
        assert slept[-1] == pytest.approx(last, abs=0.001)


@pytest.mark.parametrize(
    ("pool", "field", "method"),
    [
        ("app", "Idempotency-Key: 7", b"PUT"),
        ("app", "Idempotency-Key:", b"POST"),
        ("app", "X: y", b"POST"),
        ("b", "Idempotency-Key: 7", b"POST"),
    ],
)
def test_a_key_against_doubles(pool: str, field: str, method: bytes) -> None:
    """Counts where the backends are said to heed it."""
    head = parse_request(f"POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode(), 8192, 100)
    assert Retries(Ledger(bytearray(SIZE)).cells, 0, lambda seconds: None, ("app",)).method(pool, head) == method


def test_an_exchange_pauses_only_after_something_was_sent() -> None:
    """For then it may have been heard, and the next backend is no stranger to what went wrong."""
    world = World()
    client = world.connect()
    client.feed(get())
    world.upstream.feed(EOF)
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert len(world.slept) == 1
    assert world.ledger.total(Scalar.RETRYING) == 0
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
    world.ledger.cells[scalar_at(0, Scalar.RETRYING)] = LEAST
    client = world.connect()
    client.feed(get())
    world.upstream.feed(EOF)
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert len(world.dials) == 1
    world.ledger.cells[scalar_at(0, Scalar.RETRYING)] = 0
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
    pools = (model.Pool("app", (), idempotency_key=True),)
    world.service.retries = Retries(world.ledger.cells, 0, world.sleep, frozenset(pool.name for pool in pools))
    client = world.connect()
    client.feed(post(b"order", "Idempotency-Key: 7"))
    world.upstream.feed(EOF)
    assert world.upstream.take().endswith(b"order")
    world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert len(set(world.dials)) == 2
    world.at_rest()
