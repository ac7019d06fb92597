"""Requests shared out over pools, and clients that keep the pool that they were given."""

from __future__ import annotations

from collections import Counter

import pytest

from lbproxy.balance.sticky import Words
from lbproxy.config.model import RouteConfig, SplitStickyConfig, TimeoutsConfig
from lbproxy.http.forwarding import Forwarder
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.split import Share, Split
from tests.unit.http.heads import asking, values
from tests.unit.proxy.world import World, get, ok

PLAIN, SECURE = Forwarder("192.0.2.1", "http", 80, ()), Forwarder("192.0.2.1", "https", 443, ())


def destination(lines: bytes = b"") -> Destination:
    return Destination(None, TimeoutsConfig(), lines=lines)


def shares(*weights: int) -> list[Share]:
    made = [(f"p{index}", weight) for index, weight in enumerate(weights)]
    return [Share(name, weight, destination(), (destination(b"clear"), destination(b"secure"))) for name, weight in made]


WORDS = Words(bytes(32), ["a", "b"])


def test_by_turns() -> None:
    """Exact."""
    found = shares(95, 5)
    split = Split(found, 0)
    counts = Counter(id(split.choose(asking(b"h", b"/"), PLAIN, None)) for _ in range(1000))
    assert counts == {id(found[0].destination): 950, id(found[1].destination): 50}


def test_a_cookie() -> None:
    """Who has a word is where it says, however light; who has none, or one that means nothing, is given one,
     over TLS a safe one."""
    found = shares(1000, 1)
    split = Split(found, 0, "c", WORDS)
    green = asking(b"h", b"/", b"Cookie: a=b; c=" + WORDS.of(1))
    assert all(split.choose(green, PLAIN, None) is found[1].destination for _ in range(5))
    for lines in ((), (b"Cookie: c=",), (b"Cookie: c=p1",), (b"Cookie: c=" + Words(b"x" * 32, ["a", "b"]).of(1),)):
        assert split.choose(asking(b"h", b"/", *lines), PLAIN, None) is found[0].told[0]
        assert split.choose(asking(b"h", b"/", *lines), SECURE, None) is found[0].told[1]


def test_a_pool_that_gets_nothing_any_more() -> None:
    """Its clients are given another one."""
    found = shares(1, 0)
    split = Split(found, 0, "c", WORDS)
    assert split.choose(asking(b"h", b"/", b"Cookie: c=" + WORDS.of(1)), PLAIN, None) is found[0].told[0]


def test_a_header() -> None:
    """The same value to the same pool; without it, by turns."""
    found = shares(50, 50)
    split = Split(found, 0, header="X-User")
    given = {}
    for number in range(50):
        head = asking(b"h", b"/", b"X-USER: u%d" % number)
        given[number] = split.choose(head, PLAIN, None)
        assert split.choose(head, SECURE, None) is given[number]
    assert len({id(each) for each in given.values()}) == 2
    turns = [split.choose(asking(b"h", b"/"), PLAIN, None) for _ in range(4)]
    assert Counter(map(id, turns)) == {id(share.destination): 2 for share in found}


@pytest.mark.parametrize("index", [0, 1])
def test_a_connection_that_belongs_to_a_backend(index: int) -> None:
    """Stays with its pool, and is given no cookie again."""
    found = shares(1000, 1)
    split = Split(found, 0, "c", WORDS)
    for before in (found[index].destination, *found[index].told):
        assert split.choose(asking(b"h", b"/"), PLAIN, before) is found[index].destination
    assert split.choose(asking(b"h", b"/"), PLAIN, destination()) is found[0].told[0]


def test_a_client_is_given_its_cookie_once() -> None:
    """And what it sends back brings it to the same pool, on this connection and on others; each request is asked anew."""
    world = World(1, route=RouteConfig(split=(("blue", 1), ("green", 1)), sticky=SplitStickyConfig("site")))
    client = world.connect()
    words = []
    for _ in range(4):
        client.feed(get())
        world.upstream.take()
        world.upstream.feed(ok(b""))
        [cookie] = values(client.take(), "set-cookie")
        assert cookie.endswith(b"; Path=/; HttpOnly; SameSite=Lax; Secure")
        words.append(cookie.partition(b";")[0])
    assert [words.count(word) for word in sorted(set(words))] == [2, 2]
    assert b"blue" not in words[0]
    client.feed(get("/", f"Cookie: {words[0].decode()}"))
    world.upstream.take()
    world.upstream.feed(ok(b""))
    assert b"Set-Cookie" not in client.take()
