"""Which names a listener passes through, and where to."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from lbproxy.worker.wiring.passages import make_passages
from tests.unit.proxy.world import World

ONE, ALL = (("db.test", "app"), ("*.db.test", "app")), (("*.db.test", "app"), ("*", "app"))


def listen(*passthrough: tuple[str, str]) -> model.ListenConfig:
    return model.ListenConfig(model.Address("127.0.0.1", 443), passthrough=passthrough)


@pytest.mark.parametrize(("names", "asked", "passed"), [
    (ONE, "db.test", True), (ONE, "a.db.test", True), (ONE, "a.b.db.test", False), (ONE, "test", False), (ONE, "", False),
    (ONE, "other.test", False), (ALL, "db.test", True), (ALL, "", True), (ALL, "*", True), (ONE, "*.db.test", True),
])  # fmt: skip
def test_exactly_one_label(names: tuple[tuple[str, str], ...], asked: str, passed: bool) -> None:
    """A name of no client's invention is more than it says: a star in a hello is refused before (prelude/client_hello.py)."""
    world = World()
    passages = make_passages(listen(*names), world.config, {"app": world.pool})
    assert passages is not None
    assert (passages.find(asked) is not None) == passed


def test_an_exact_name_wins() -> None:
    """Over stars, in whatever order they are written."""
    world, other = World(), World()
    pools = {"app": world.pool, "other": other.pool}
    other.pool.name = "other"
    config = model.Config("", (), (), (model.PoolConfig("app", ()), model.PoolConfig("other", ())))
    names = (("*", "app"), ("*.db.test", "app"), ("a.db.test", "other"))
    passages = make_passages(listen(*names), config, pools)
    assert passages is not None
    exact, other_label = passages.find("a.db.test"), passages.find("b.db.test")
    assert exact is not None
    assert other_label is not None
    assert (exact.pool.name, other_label.pool.name) == ("other", "app")


def test_times_are_the_pools() -> None:
    """The pool's before those of all."""
    world = World()
    timeouts = model.NearTimeoutsConfig(connect=1.0, tunnel=7.0)
    config = model.Config("", (), (), (model.PoolConfig("app", (), timeouts=timeouts, proxy_protocol="v2"),))
    passages = make_passages(listen(("*", "app")), config, {"app": world.pool})
    assert passages is not None
    found = passages.find("")
    assert found is not None
    assert (found.connect, found.tunnel, found.write_stall, found.announces) == (1.0, 7.0, config.timeouts.write_stall, "v2")


def test_nothing_is_passed_through_unless_it_is_said() -> None:
    """Who says nothing pays nothing."""
    world = World()
    assert make_passages(listen(), world.config, {"app": world.pool}) is None
