"""Idle connections to backends: the last in is the first out, and whatever moves is closed."""

from __future__ import annotations

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.config.model import ConnectionsConfig
from lbproxy.proxy.upstream import SETTLED, Upstream
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.streams import NEVER, Buffer, Stream

IDLE_LIMIT, IDLE_SECONDS = ConnectionsConfig().idle, ConnectionsConfig().idle_timeout


class QuietStream(Stream):
    """A stream on which nothing happens but its end."""

    def __init__(self) -> None:
        self.deadline = NEVER
        self.owner = None
        self.closed = 0
        self.unread = False
        self.wired = 0

    def read(self, limit: int) -> bytes:
        raise AssertionError("nobody reads an idle connection")

    def write(self, data: Buffer) -> None:
        raise AssertionError("nobody writes to an idle connection")

    def read_early(self) -> bool:
        raise AssertionError("what comes on an idle connection is not looked at")

    def end_output(self) -> None:
        raise AssertionError("nothing is said on an idle connection")

    def close(self) -> None:
        self.closed += 1

    def finish(self, busy: bool = False) -> None:
        raise AssertionError("there is nothing to finish")

    def abort(self) -> None:
        raise AssertionError("an idle connection is not aborted")


def upstream(slot: int = 0) -> tuple[Upstream, QuietStream]:
    """A connection to the backend of that slot."""
    stream = QuietStream()
    return Upstream(stream, Backend("app", f"app{slot}", "app", "127.0.0.1", 9000, 1, 0, slot)), stream


@pytest.fixture
def idle() -> UpstreamPool:
    """Nothing idle yet."""
    return UpstreamPool(lambda: 0.0)


def test_last_in_first_out(idle: UpstreamPool) -> None:
    """Per backend; and then there is none."""
    first, second, other = upstream()[0], upstream()[0], upstream(1)[0]
    for connection in (first, second, other):
        idle.put(connection, 0.0)
    assert len(idle) == 3
    assert [idle.take(slot) for slot in (0, 1, 0, 0, 1, 2)] == [second, other, first, None, None, None]
    assert len(idle) == 0


def test_used_and_its_deadline(idle: UpstreamPool) -> None:
    """A fresh one is not used; an idle one has a deadline, a busy one has none of ours."""
    connection, stream = upstream()
    assert connection.served == 0
    assert stream.owner is connection
    idle.put(connection, 100.0)
    assert (connection.served, stream.deadline) == (1, 100.0 + IDLE_SECONDS)
    assert idle.take(0) is connection
    assert (connection.served, stream.deadline) == (1, NEVER)


@pytest.mark.parametrize("event", ["on_readable", "on_expired"])
def test_whatever_moves_is_closed(idle: UpstreamPool, event: str) -> None:
    """Data nobody asked for, its end, or too long a rest: closed, and never handed out."""
    kept, (condemned, stream) = upstream()[0], upstream()
    idle.put(kept, 0.0)
    idle.put(condemned, 0.0)
    getattr(condemned, event)()
    assert stream.closed == 1
    assert [idle.take(0), idle.take(0)] == [kept, None]
    getattr(condemned, event)()
    assert stream.closed == 1


@pytest.mark.parametrize("event", ["on_readable", "on_expired"])
def test_a_busy_one_is_its_readers_business(idle: UpstreamPool, event: str) -> None:
    """Before it was idle, and after it was taken."""
    connection, stream = upstream()
    getattr(connection, event)()
    idle.put(connection, 0.0)
    assert idle.take(0) is connection
    getattr(connection, event)()
    assert stream.closed == 0


def test_no_more_than_the_limit(idle: UpstreamPool) -> None:
    """Per backend; the one too many is closed."""
    for _ in range(IDLE_LIMIT):
        idle.put(upstream()[0], 0.0)
    late, stream = upstream()
    idle.put(late, 0.0)
    assert (stream.closed, len(idle)) == (1, IDLE_LIMIT)
    other, other_stream = upstream(1)
    idle.put(other, 0.0)
    assert (other_stream.closed, len(idle)) == (0, IDLE_LIMIT + 1)


def test_close(idle: UpstreamPool) -> None:
    """All of them, once."""
    pairs = [upstream(slot) for slot in (0, 0, 1)]
    for connection, _ in pairs:
        idle.put(connection, 0.0)
    idle.close()
    for connection, stream in pairs:
        connection.on_readable()
        assert stream.closed == 1
    assert (len(idle), idle.take(0)) == (0, None)


def test_who_left_takes_everything_along(idle: UpstreamPool) -> None:
    """What is idle is closed, and so is what comes back later, whether it was kept here before or not; the others do not notice."""
    (kept, quiet), (waiting, closed), (busy, late) = upstream(1), upstream(), upstream()
    for connection in (kept, waiting, busy):
        idle.put(connection, 0.0)
    assert idle.take(0) is busy
    fresh, never_kept = upstream()
    idle.backends_moved({0}, {1})
    assert (closed.closed, late.closed, quiet.closed) == (1, 0, 0)
    idle.put(busy, 1.0)
    idle.put(fresh, 1.0)
    assert (late.closed, never_kept.closed) == (1, 1)
    assert idle.take(0) is None
    assert idle.take(1) is kept


def test_a_column_with_a_new_owner_is_as_any_other(idle: UpstreamPool) -> None:
    idle.backends_moved({0}, {1})
    idle.backends_moved({1}, {0})
    newcomer, _ = upstream()
    idle.put(newcomer, 0.0)
    assert idle.take(0) is newcomer
    gone, closed = upstream(1)
    idle.put(gone, 0.0)
    assert closed.closed == 1


def test_what_was_begun_before_a_renewal_is_kept_no_more(idle: UpstreamPool) -> None:
    """Nor what is busy then, whether it was kept before or is at its first request; what is begun from then on is, and so are
    other backends'."""
    (kept, quiet), (waiting, closed), (busy, late), (first, at_first) = upstream(1), upstream(), upstream(), upstream()
    for connection in (kept, waiting, busy):
        idle.put(connection, 0.0)
    assert idle.take(0) is busy
    old = {waiting, busy, first}
    idle.renewed("app", [0], lambda upstream: upstream in old)
    assert (closed.closed, late.closed, quiet.closed) == (1, 0, 0)
    idle.put(busy, 1.0)
    idle.put(first, 1.0)
    assert (late.closed, at_first.closed) == (1, 1)
    fresh, stream = upstream()
    idle.put(fresh, 1.0)
    assert idle.take(0) is fresh
    assert idle.take(1) is kept
    assert stream.closed == 0


def kept(**settings: float) -> UpstreamPool:
    """For the pool "app", kept like this."""
    return UpstreamPool(lambda: 0.0, {"app": ConnectionsConfig(**settings)})  # type: ignore[arg-type]  # floats and whole numbers


def test_a_pool_that_keeps_none() -> None:
    """Each carries one request; other pools keep theirs."""
    idle = kept(idle=0)
    connection, stream = upstream()
    idle.put(connection, 0.0)
    assert (stream.closed, idle.take(0)) == (1, None)
    other = Upstream(QuietStream(), Backend("other", "app1", "app", "127.0.0.1", 9001, 1, 0, 1))
    idle.put(other, 0.0)
    assert idle.take(1) is other


def test_no_more_requests_than_allowed() -> None:
    idle = kept(max_requests=3)
    connection, stream = upstream()
    for served in (1, 2):
        idle.put(connection, 0.0)
        assert idle.take(0) is connection
        assert connection.served == served
    idle.put(connection, 0.0)
    assert (stream.closed, idle.take(0)) == (1, None)


def test_no_older_than_allowed() -> None:
    """Whether it is idle then or at work."""
    idle = kept(max_age=100.0, idle_timeout=30.0)
    connection, stream = upstream()
    for now, deadline in ((0.0, 30.0), (69.0, 99.0), (90.0, 100.0)):
        idle.put(connection, now)
        assert stream.deadline == deadline
        assert idle.take(0) is connection
    idle.put(connection, 100.0)
    assert (stream.closed, idle.take(0)) == (1, None)


def test_one_address_in_two_pools() -> None:
    """Is reached in two ways: with TLS and without, or under two names. They never share a connection."""
    idle = kept()
    plain = Upstream(QuietStream(), Backend("plain", "app:9000", "app", "127.0.0.1", 9000, 1, 0, 0))
    secure = Upstream(QuietStream(), Backend("secure", "app:9000", "app", "127.0.0.1", 9000, 1, 0, 1))
    idle.put(plain, 0.0)
    assert idle.take(1) is None
    idle.put(secure, 0.0)
    assert [idle.take(0), idle.take(1)] == [plain, secure]


# ---------------------------------------------------------------- for what must not be sent twice


class Time:
    """A clock that stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def never(seconds: float) -> None:
    raise AssertionError(f"nobody waits, least of all {seconds} s")


def test_one_that_was_kept_for_a_moment_is_settled() -> None:
    """Until then it is waited for, when the backend is not known."""
    time = Time()
    idle = UpstreamPool(time)
    assert idle.take_settled(0, time.now, never) is None
    kept, _ = upstream()
    idle.put(kept, time.now)
    slept: list[float] = []
    assert idle.take_settled(0, time.now + SETTLED / 2, slept.append) is kept
    assert slept == [pytest.approx(SETTLED / 2)]
    assert len(idle) == 0
    other, _ = upstream(1)
    idle.put(other, time.now)
    assert idle.take_settled(1, time.now + SETTLED, never) is other


def test_one_that_is_closed_while_it_is_waited_for() -> None:
    """There is none, and it is told what kind of backend that is."""
    time = Time()
    idle = UpstreamPool(time)
    going, _ = upstream()
    idle.put(going, time.now)
    assert idle.take_settled(0, time.now, lambda seconds: going.on_readable()) is None
    young, _ = upstream()
    idle.put(young, time.now)
    assert idle.take_settled(0, time.now, never) is None


def test_a_backend_that_keeps_connections_is_trusted() -> None:
    """One that was used twice, or was kept once, speaks for all."""
    for uses in (1, 2):
        time = Time()
        idle = UpstreamPool(time)
        first, _ = upstream()
        idle.put(first, time.now)
        if uses == 2:
            assert idle.take(0) is first
            idle.put(first, time.now)
        else:
            time.now += SETTLED
        assert idle.take_settled(0, time.now, never) is first
        second, _ = upstream()
        idle.put(second, time.now)
        assert idle.take_settled(0, time.now, never) is second


def test_a_backend_that_was_seen_to_close_is_not() -> None:
    """Nor is it waited for; but what it has kept for a moment it has kept."""
    time = Time()
    idle = UpstreamPool(time)
    used, _ = upstream()
    for _ in range(2):
        idle.put(used, time.now)
        assert idle.take(0) is used
    gone, _ = upstream()
    idle.put(gone, time.now)
    time.now += SETTLED / 2
    gone.on_readable()
    idle.put(used, time.now)
    assert idle.take_settled(0, time.now, never) is None
    young, _ = upstream()
    time.now += SETTLED
    idle.put(young, time.now)
    assert idle.take_settled(0, time.now, never) is used, "the older one"
    assert idle.take(0) is young


def test_one_that_ages_is_no_sign_of_haste() -> None:
    """Backends close what is idle for long; that is what everybody does."""
    time = Time()
    idle = UpstreamPool(time)
    old, _ = upstream()
    idle.put(old, time.now)
    time.now += 1.0
    old.on_readable()
    fresh, _ = upstream()
    idle.put(fresh, time.now)
    slept: list[float] = []
    assert idle.take_settled(0, time.now, slept.append) is fresh
    assert slept == [pytest.approx(SETTLED)]
