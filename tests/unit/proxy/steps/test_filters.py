"""What a route refuses: status, reason, fields and counters; and that nothing of it reaches a backend."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from lbproxy.balance.ledger import Scalar
from lbproxy.config.model import (
    AddressListConfig,
    ClientLimitConfig,
    LimitsConfig,
    Rate,
    RefuseConfig,
    RouteConfig,
    RouteFiltersConfig,
)
from lbproxy.filter.limiter import CLIENTS_KEPT
from lbproxy.proxy.steps.filters import SIZE, Filters
from tests.unit.http.heads import asking
from tests.unit.proxy.world import World, get, ok, post

TRUSTED = (ip_network("10.0.0.0/8"),)


def world(
    filters: RouteFiltersConfig, *, client_limits: tuple[ClientLimitConfig, ...] = (), limits: LimitsConfig | None = None
) -> World:
    return World(backends=1, route=RouteConfig("app", filters=filters), client_limits=client_limits, limits=limits)


def status(answer: bytes) -> int:
    return int(answer[9:12])


UNKNOWN = ["X-Forwarded-For: nonsense", "X-Forwarded-For: unknown", "Forwarded: for=_hidden", "X-Real-IP: 192.0.2.7.8",
           "X-Forwarded-For: 192.0.3.7, unknown"]  # fmt: skip


def ask(there: World, *fields: str, peer: str = "192.0.2.1", method: str = "GET", path: str = "/", trusted: bool = False) -> bytes:
    """One request on a connection of its own; a backend that is asked says 200."""
    client = there.connect(peer=peer, trusted=TRUSTED if trusted else ())
    dialled = len(there.upstreams)
    reused = len(there.service.idle)
    client.feed(get(path, *fields, method=method))
    if not client.sent:
        assert len(there.upstreams) > dialled or reused
        there.upstream.feed(ok())
    return client.take()


def test_what_is_not_configured_is_not_there() -> None:
    destination = world(RouteFiltersConfig()).service.router.match(asking(b"h", b"/"))
    assert destination is not None
    assert destination.steps is None


@pytest.mark.parametrize(("peer", "forwarded", "admitted"), [
    ("192.0.2.7", None, False),
    ("192.0.3.7", None, True),
    ("192.0.3.7", "192.0.2.7", True),  # whoever says so is not believed
    ("10.0.0.1", None, True),
    ("10.0.0.1", "192.0.2.7", False),
    ("10.0.0.1", "192.0.3.7, 192.0.2.7, 10.0.0.2", False),
    ("10.0.0.1", "192.0.2.7, 192.0.3.7", True),
    ("10.0.0.1", "::ffff:192.0.2.7", False),
    ("10.0.0.1", "::ffff:c000:207", False),
    ("10.0.0.1", "192.0.2.7:50001", False),
    ("10.0.0.1", "[::ffff:192.0.2.7]:50001", False),
    ("10.0.0.1", "192.0.3.7:50001", True),
    ("10.0.0.1", '"192.0.3.7", , ', True),
    ("::ffff:192.0.2.7", None, False),
])  # fmt: skip
def test_the_address_that_counts(peer: str, forwarded: str | None, admitted: bool) -> None:
    there = world(RouteFiltersConfig(AddressListConfig(deny=(ip_network("192.0.2.0/24"),))))
    fields = [] if forwarded is None else [f"X-Forwarded-For: {forwarded}"]
    for _ in range(2):  # the second time from memory
        assert status(ask(there, *fields, peer=peer, trusted=True)) == (200 if admitted else 403)
    reason = "" if admitted else "address_denied"
    assert {line["reason"] for line in there.lines()} == {reason}
    assert there.ledger.total(Scalar.REFUSED_ADDRESS) == (0 if admitted else 2)
    there.at_rest()


def test_methods_are_answered_with_those_there_are() -> None:
    there = world(RouteFiltersConfig(methods=("GET", "POST")))
    assert status(ask(there)) == status(ask(there, method="HEAD")) == status(ask(there, method="POST")) == 200
    answer = ask(there, method="DELETE")
    assert status(answer) == 405
    assert answer.count(b"\r\nAllow: ") == 1
    assert b"\r\nAllow: GET, POST, HEAD\r\n" in answer
    assert b'error=http_request_denied; details="method_not_allowed"' in answer
    assert there.ledger.total(Scalar.REFUSED_METHOD) == 1
    there.at_rest()


def test_rules_are_named_in_the_log_alone() -> None:
    there = world(
        RouteFiltersConfig(refuse=(RefuseConfig("1", path="/x*"), RefuseConfig("bots", header="User-Agent", value="*bot*")))
    )
    assert status(ask(there)) == 200
    first, second = ask(there, path="/xyz"), ask(there, "User-Agent: a robot")
    assert status(first) == status(second) == 403
    assert b"bots" not in second
    assert [line["reason"] for line in there.lines()] == ["", "denied:1", "denied:bots"]
    assert there.ledger.total(Scalar.REFUSED_RULE) == 2
    there.at_rest()


def test_a_rate_says_when_to_come_back() -> None:
    there = world(RouteFiltersConfig(limit=ClientLimitConfig(Rate(6, 60), 2)))
    answers = [ask(there) for _ in range(3)]
    assert [status(answer) for answer in answers] == [200, 200, 429]
    assert b"\r\nRetry-After: 10\r\n" in answers[2]
    assert b"Connection: close" not in answers[2]
    assert status(ask(there, peer="192.0.2.2")) == 200
    there.now += 9.5
    assert b"\r\nRetry-After: 1\r\n" in ask(there)
    there.now += 0.5
    assert status(ask(there)) == 200
    assert [line["reason"] for line in there.lines()].count("client_rate") == 2
    assert there.ledger.total(Scalar.REFUSED_RATE) == 2
    there.at_rest()


def test_a_refused_request_with_a_body_ends_the_connection() -> None:
    """The rest of its body is on its way, and nobody will read it."""
    there = world(RouteFiltersConfig(methods=("GET",)))
    client = there.connect()
    client.feed(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123")
    assert b"\r\nConnection: close\r\n" in client.take()
    assert client.end == "finish"
    client = there.connect()
    client.feed(post(b"all of it"))
    assert b"Connection: close" not in client.take()
    there.at_rest()


def test_concurrency_is_held_to_the_last_byte() -> None:
    there = world(RouteFiltersConfig(limit=ClientLimitConfig(concurrency=1)))
    first, second = there.connect(), there.connect()
    first.feed(get())
    second.feed(get())
    assert status(answer := second.take()) == 429
    assert b"\r\nRetry-After: 1\r\n" in answer
    there.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
    second.feed(get())
    assert status(second.take()) == 429
    there.upstream.feed(b"k")
    second.feed(get())
    there.upstream.feed(ok())
    assert status(second.take()) == 200
    assert there.ledger.total(Scalar.REFUSED_CONCURRENCY) == 2
    there.at_rest()


def test_concurrency_is_given_back_when_it_goes_wrong() -> None:
    there = world(RouteFiltersConfig(limit=ClientLimitConfig(concurrency=1)))
    there.refuse(0)
    for _ in range(3):
        assert status(ask(there)) == 502
    there.refusing.clear()
    client = there.connect()
    client.feed(get())
    client.feed(b"")  # gone
    assert status(ask(there)) == 200
    there.at_rest()


def test_limits_that_routes_share() -> None:
    """The route's own limit comes last; what a shared one counted as under way is given back when it refuses."""
    site = ClientLimitConfig(Rate(100, 1), 3, 2, name="site")
    there = world(RouteFiltersConfig(limit=ClientLimitConfig(Rate(1, 60)), client_limits=("site",)), client_limits=(site,))
    assert [status(ask(there)) for _ in range(5)] == [200, 429, 429, 429, 429]
    assert [line["reason"] for line in there.lines()] == ["", *["client_rate"] * 4]
    there.now += 60
    assert status(ask(there)) == 200
    there.at_rest()


@pytest.mark.parametrize(("here", "everywhere", "size", "wanted"), [
    (None, 0, 5000, 200),
    (None, 1000, 1001, 413),
    (None, 1000, 1000, 200),
    (2000, 1000, 1500, 200),
    (2000, 1000, 2001, 413),
    (10, 1000, 11, 413),
    (0, 1000, 5000, 200),
])  # fmt: skip
@pytest.mark.parametrize("chunked", [False, True])
def test_a_route_has_its_own_limit_for_bodies(here: int | None, everywhere: int, size: int, wanted: int, chunked: bool) -> None:
    there = world(RouteFiltersConfig(max_body=here), limits=LimitsConfig(body=everywhere))
    body = b"x" * size
    client = there.connect()
    if chunked:
        client.feed(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, body))
    else:
        client.feed(post(body))
    if wanted == 200:
        there.upstream.feed(ok())
    assert status(client.take()) == wanted
    if wanted == 413:
        assert not there.upstreams
        assert [line["reason"] for line in there.lines()] == ["body_too_large"]
    there.at_rest()


def test_a_body_that_grows_too_large_later() -> None:
    there = world(RouteFiltersConfig(max_body=10))
    client = there.connect()
    client.feed(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n")
    client.feed(b"8\r\n12345678\r\n")
    assert status(client.take()) == 413
    there.at_rest()


def test_invented_clients_cannot_fill_the_memory() -> None:
    there = world(RouteFiltersConfig(AddressListConfig(deny=(ip_network("192.0.2.0/24"),))))
    destination = there.service.router.match(asking(b"h", b"/"))
    assert destination is not None
    [filters] = destination.steps or ()
    assert isinstance(filters, Filters)
    for number in range(CLIENTS_KEPT // SIZE + 100):
        filters._site(f"198.51.{number >> 8}.{number & 255}")
    assert len(filters._known) == 100


@pytest.mark.parametrize("said", UNKNOWN)
@pytest.mark.parametrize("rule", [
    AddressListConfig(deny=(ip_network("192.0.2.0/24"),)),
    AddressListConfig(allow=(ip_network("10.0.0.0/8"),)),  # the gateway's own network, which a client must not borrow
])  # fmt: skip
def test_a_client_that_nobody_knows_passes_no_rule_about_addresses(rule: AddressListConfig, said: str) -> None:
    """It may be one who is denied, and is none who is allowed for sure. Who is no trusted proxy is not believed anyway."""
    there = world(RouteFiltersConfig(rule))
    for _ in range(2):
        assert status(ask(there, said, peer="10.0.0.1", trusted=True)) == 403
    assert there.outcomes() == [(403, "address_unknown")] * 2
    assert status(ask(there, peer="10.0.0.1", trusted=True)) == 200, "the gateway speaks for itself"
    there.service.counters.publish()
    assert there.ledger.total(Scalar.REFUSED_ADDRESS) == 2
    assert there.ledger.total(Scalar.UNREAD_CLIENTS) == 2


def test_clients_that_nobody_knows_share_a_rate() -> None:
    """That of whoever is the last one known: writing nonsense gives nobody a rate of his own."""
    there = world(RouteFiltersConfig(limit=ClientLimitConfig(rate=Rate(2, 60))))
    answers = [status(ask(there, said, peer="10.0.0.1", trusted=True)) for said in UNKNOWN[:4]]
    assert answers == [200, 200, 429, 429]


def test_each_request_of_an_unknown_client_is_told() -> None:
    """On one connection, with the same bytes, too."""
    heard: list[tuple[str, bytes]] = []
    there = world(RouteFiltersConfig())
    there.service.on_unread = lambda peer, text: heard.append((peer, text))
    client = there.connect(peer="10.0.0.1", trusted=TRUSTED)
    for _ in range(3):
        client.feed(get("/", "X-Forwarded-For: _x, 10.0.0.2"))
        there.upstream.feed(ok())
        assert client.take().endswith(b"ok")
    client.feed(get("/", "X-Forwarded-For: 192.0.2.1"))
    there.upstream.feed(ok())
    assert heard == [("10.0.0.1", b"_x")] * 3
    there.service.counters.publish()
    assert there.ledger.total(Scalar.UNREAD_CLIENTS) == 3
