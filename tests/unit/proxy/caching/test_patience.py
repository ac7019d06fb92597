"""What is stored while others have the lock: a busy machine loses no answer, and makes no leader look broken."""

from __future__ import annotations

import pytest

from lbproxy.cache.interface import Put
from lbproxy.proxy.caching.patience import MOST_WAITING, PAUSES, PendingStores
from tests.unit.proxy.caching.stores import FRESH, Caching, answered, fill, gone, herd, status, taken
from tests.unit.proxy.fake_stream import EOF
from tests.unit.proxy.world import get, ok


def busy(caching: Caching, held: bool = True) -> None:
    """Whether somebody has the lock."""
    caching.storage.place.lock.held = held


def hit(caching: Caching, path: str = "/a") -> bool:
    """Whether the next one is answered from what is stored; a backend answers else."""
    client = caching.world.connect()
    client.feed(get(path))
    caching.world.settle()
    if not (data := client.take()):
        caching.world.upstream.feed(ok(b"asked", "Cache-Control: private"))
        data = client.take()
    client.feed(EOF)
    caching.world.settle()
    return b"lbproxy; hit" in data


@pytest.mark.parametrize("size", [4, 100_000])
@pytest.mark.parametrize("vary", [(), ("Vary: A",)])
def test_a_writer_that_is_set_aside_costs_no_answer(size: int, vary: tuple[str, ...]) -> None:
    """Its client has it at once, and it is stored a moment later, with its file."""
    caching = Caching()
    fill(caching, ok(b"other", FRESH), get("/other"))  # numbers of files are at hand
    client = caching.world.connect()
    client.feed(get("/a"))
    caching.world.settle()
    busy(caching)
    caching.world.upstream.feed(ok(b"x" * size, FRESH, *vary))
    assert taken(client)[1] == b"x" * size
    caching.world.pass_time(0.05)
    assert len(caching.storage.entries) == 1
    busy(caching, False)
    caching.world.pass_time(0.5)
    assert hit(caching)
    client.feed(EOF)
    caching.world.at_rest()


def test_who_waits_for_it_has_it() -> None:
    """Nobody else asks the backend, and the next herd is collapsed as the first one was."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    busy(caching)
    world.upstream.feed(ok(b"abcd", FRESH))
    world.settle()
    assert [taken(client)[1] for client in clients] == [b"abcd"] * 5
    more = herd(caching, 3)  # before it is stored
    assert [taken(client)[1] for client in more] == [b"abcd"] * 3
    assert len(world.upstreams) == 1
    busy(caching, False)
    world.pass_time(0.5)
    gone(caching, [*clients, *more])
    world.pass_time(61)
    again = herd(caching)
    assert answered(caching, ok(b"new", FRESH), None) == 1
    assert [taken(client)[1] for client in again] == [b"new"] * 5
    gone(caching, again)


def test_a_writer_that_is_stopped() -> None:
    """It is waited for for a while, and no longer; the answer is not stored, its file is gone, and the key is collapsed still."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    world.upstream.feed(ok(b"x" * 100_000, FRESH)[:-10])
    world.settle()
    busy(caching)
    world.upstream.feed(b"x" * 10)
    world.pass_time(4 * sum(PAUSES))
    busy(caching, False)
    assert not caching.storage.entries
    assert not caching.bodies.files
    gone(caching, clients)
    again = herd(caching)
    assert answered(caching, ok(b"new", FRESH), None) == 1
    gone(caching, again)


def test_many_wait_for_it_and_no_more() -> None:
    """What a worker holds for that is bounded."""
    world, number = Caching().world, MOST_WAITING + 10
    waiting, became = PendingStores(), [0] * number
    for each in range(number):

        def over(_: Put, each: int = each) -> None:
            became[each] += 1

        assert waiting.store(world, lambda _: Put.BUSY, over) is Put.BUSY
    assert became == [0] * MOST_WAITING + [1] * 10
    world.pass_time(15)
    assert became == [1] * number
    assert not world.alarms


def test_a_turn_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes while somebody has the lock waits a moment, and is one of the herd; where it is held for long everybody asks."""
    caching = Caching()
    busy(caching)
    clients = herd(caching)
    asked = [each for each in caching.world.upstreams if b"GET /a" in each.take()]
    assert len(asked) == 5
    for each in asked:
        each.feed(ok(b"own", "Cache-Control: private"))
    caching.world.settle()
    gone(caching, clients)
    sleep = caching.world.sleep

    def slept(seconds: float) -> None:
        sleep(seconds)
        busy(caching, False)

    monkeypatch.setattr(caching.world, "sleep", slept)
    busy(caching)
    clients = herd(caching, 3, "/b")
    asked = [each for each in caching.world.upstreams if b"GET /b" in each.take()]
    assert len(asked) == 1
    asked[0].feed(ok(b"x", FRESH))
    caching.world.settle()
    assert [taken(client)[1] for client in clients] == [b"x"] * 3
    gone(caching, clients)


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    "answer", [ok(b"new", FRESH), b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nCache-Control: max-age=60\r\n\r\n']
)
def test_a_stale_answer_is_fresh_a_moment_later(background: bool, answer: bytes) -> None:
    """Asked for anew in the background, or by a client who waits."""
    caching = Caching()
    world = caching.world
    how = ", stale-while-revalidate=60" if background else ""
    fill(caching, ok(b"old", f"Cache-Control: max-age=60{how}", 'ETag: "1"'))
    world.pass_time(70)
    client = world.connect()
    client.feed(get("/a"))
    world.settle()
    busy(caching)
    world.upstream.feed(answer)
    world.settle()
    assert status(taken(client)[0]).startswith("lbproxy; hit; ttl=-10" if background else "lbproxy; fwd=stale")
    busy(caching, False)
    world.pass_time(0.1)
    assert hit(caching)
    client.feed(EOF)
    world.at_rest()


def test_purged_on_its_way() -> None:
    """Nothing is stored, and the next ones are one herd again: the leader did nothing wrong."""
    caching = Caching()
    world = caching.world
    clients = herd(caching)
    [key] = caching.shelf.fills
    caching.storage.forget(key)
    world.upstream.feed(ok(b"old", FRESH))
    world.settle()
    gone(caching, clients)
    assert not caching.storage.entries
    again = herd(caching)
    assert answered(caching, ok(b"new", FRESH), None) == 1
    gone(caching, again)


def test_words() -> None:
    """Only what is stored is true."""
    assert [bool(each) for each in Put] == [True, False, False, False]
