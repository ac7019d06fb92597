"""Requests of pools that ask first, through whole exchanges."""

from __future__ import annotations

import re

from lbproxy.balance.backend import Backend
from lbproxy.balance.keyed_pool import KeyedPool
from lbproxy.balance.ledger import HealthState, PickLock, SlotState, state_at
from lbproxy.balance.sticky import Words
from lbproxy.config import model
from lbproxy.proxy.admission import Admission
from lbproxy.proxy.affinity import Affinity, StickyCookie
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.router import Router
from tests.unit.http.heads import asking
from tests.unit.proxy.no_crowd import NoLock
from tests.unit.proxy.world import CHUNKED, World, get, ok


def sticky_world() -> tuple[World, Words]:
    """Two backends and a cookie."""
    world = World()
    backends = [Backend("app", f"b{slot}", "backend.test", "10.0.0.1", 9000 + slot, 1, 0, slot) for slot in range(2)]
    pool = KeyedPool("app", backends, world.ledger, PickLock(NoLock(), world.ledger, 0), 0)
    words = Words(b"s" * 32, [backend.identity for backend in backends])
    world.service.router = Router([(model.RouteConfig("app"), Destination(pool, model.TimeoutsConfig()))])
    world.service.admissions = {"app": Admission(pool, Affinity(sticky=StickyCookie("srv", words, "lax", 0)))}
    return world, words


def cookie(answer: bytes) -> bytes:
    found = re.findall(rb"\r\nSet-Cookie: srv=([^;]*); Path=/; HttpOnly; SameSite=Lax; Secure\r\n", answer)
    assert len(found) <= 1
    return found[0] if found else b""


def test_a_client_stays_with_its_backend() -> None:
    """It is told once, in whatever way the answer comes, and then comes back to the same backend each time."""
    world, words = sticky_world()
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok(b"first"))
    answer = client.take()
    assert answer.endswith(b"first")
    word = cookie(answer)
    assert words.index(word) == 0
    for _ in range(3):
        client.feed(get("/", f"Cookie: srv={word.decode()}"))
        world.upstream.feed(ok(b"again"))
        assert b"Set-Cookie" not in client.take()
    client.feed(get("/", "Cookie: srv=strange"))
    world.upstream.feed(CHUNKED + b"0\r\n\r\n")
    assert words.index(cookie(client.take())) >= 0
    world.at_rest()
    assert world.dials in ([9000], [9000, 9001])


def test_an_unfit_backend_is_left_and_the_client_is_told_so() -> None:
    """Whose backend is down gets another one, and its cookie."""
    world, words = sticky_world()
    world.ledger.cells[state_at(SlotState.HEALTH, 1)] = HealthState.DOWN
    client = world.connect()
    client.feed(get("/", f"Cookie: srv={words.of(1).decode()}"))
    world.upstream.feed(ok())
    assert words.index(cookie(client.take())) == 0
    world.at_rest()
    assert world.dials == [9000]


def test_a_retry_elsewhere_tells_of_the_backend_that_answered() -> None:
    """Not of the one that failed first."""
    world, words = sticky_world()
    world.refuse(1)
    client = world.connect()
    client.feed(get("/", f"Cookie: srv={words.of(1).decode()}"))
    world.pass_time(0.5)
    world.upstream.feed(ok())
    assert words.index(cookie(client.take())) == 0
    world.at_rest()
    assert world.dials == [9001, 9000]


def test_no_backend_left() -> None:
    """503, as in any pool."""
    world, _ = sticky_world()
    for slot in range(2):
        world.ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.DOWN
    client = world.connect()
    client.feed(get())
    assert client.take().startswith(b"HTTP/1.1 503 ")
    assert world.outcomes() == [(503, "no_backend")]
    world.at_rest()


def test_http_1_0_clients_get_the_cookie_too() -> None:
    """Their answers leave by the long way anyway."""
    world, words = sticky_world()
    client = world.connect()
    client.feed(get(minor=0))
    world.upstream.feed(ok())
    assert words.index(cookie(client.take())) == 0
    world.at_rest()


def test_clients_stay_with_backends_that_stay() -> None:
    """The list changes around them: indexes move, words do not."""
    world, words = sticky_world()
    destination = world.service.router.match(asking(b"a", b"/"))
    assert destination is not None
    pool = destination.pool
    word = words.of(1)
    backends = [pool.backends[1], Backend("app", "b7", "backend.test", "10.0.0.1", 9007, 1, 0, 7)]
    world.ledger.cells[state_at(SlotState.HEALTH, 7)] = HealthState.UP
    fresh = Words(b"s" * 32, [backend.identity for backend in backends])
    pool.set_backends(backends, None)
    world.service.admissions["app"].backends_moved(Affinity(sticky=StickyCookie("srv", fresh, "lax", 0)))
    client = world.connect()
    client.feed(get("/", f"Cookie: srv={word.decode()}"))
    world.upstream.feed(ok())
    assert b"Set-Cookie" not in client.take()
    assert world.dials == [9001]
    client.feed(get("/", f"Cookie: srv={words.of(0).decode()}"))  # who is gone
    world.upstream.feed(ok())
    assert fresh.index(cookie(client.take())) >= 0
    world.at_rest()
