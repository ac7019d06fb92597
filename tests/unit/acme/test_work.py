"""Which name is seen to, and what becomes of it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("acme", reason="acme is not installed (pip install -e '.[test]')")

from lbproxy.config.model import AuthorityConfig
from tests.unit.acme.conftest import Desk


def test_from_nothing_to_a_certificate(desk: Desk) -> None:
    """What is told on the way; nothing is ordered again."""
    work = desk.work("a.test")
    work.look(time.time())
    work.look(time.time())
    assert [one.state for one in desk.told] == ["waiting", "ordering", "good"]
    assert desk.told[-1].authority == desk.stub.directory
    left = desk.told[-1].next - time.time()
    assert 0.6 * 90 * 86400 < left < 90 * 86400 * 2 / 3 + 60
    assert len(desk.stub.orders) == 1
    assert not (desk.path / "lock").exists()


def test_a_failure_waits_and_tells_why(desk: Desk) -> None:
    """As long as the authority asks; other names go on."""
    desk.stub.retry_after = "3600"
    why = b'{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}'

    def bent(path: str, payload: dict[str, object]) -> tuple[int, bytes] | None:
        listed = payload.get("identifiers")
        return (429, why) if isinstance(listed, list) and listed[0]["value"] == "a.test" else None

    desk.stub.bent = bent
    work = desk.work("a.test", "b.test")
    work.look(time.time())
    work.look(time.time())
    last = {one.name: one for one in desk.told}
    assert (last["a.test"].state, last["a.test"].failures) == ("waiting", 1)
    assert "rateLimited: too many" in last["a.test"].why
    assert 3500 < last["a.test"].next - time.time() <= 3600
    assert last["b.test"].state == "good"


def test_a_second_authority_is_asked_where_the_first_does_not_answer(desk: Desk) -> None:
    """And its certificate is kept."""
    nobody = "https://localhost:1/dir"
    work = desk.work("a.test", fallback=AuthorityConfig(desk.stub.directory))
    work._acme = replace(work._acme, authority=AuthorityConfig(nobody))
    work._files = {**work._files, nobody: work._files[desk.stub.directory]}
    work.look(time.time())
    assert desk.told[-1].state == "good"
    assert desk.told[-1].authority == desk.stub.directory


def test_the_authority_says_when(desk: Desk) -> None:
    """RFC 9773: within its window, and the order says what it replaces."""
    now = datetime.now(UTC)
    desk.stub.window = (now + timedelta(days=10), now + timedelta(days=11))
    work = desk.work("a.test")
    work.look(time.time())
    work.look(time.time())
    assert 10 * 86400 - 60 < desk.told[-1].next - time.time() < 11 * 86400
    desk.stub.window = (now - timedelta(days=2), now - timedelta(days=1))  # something is wrong with them: at once
    for _ in range(2):
        desk.folder.keep("a.test", replace(desk.folder.record("a.test"), ari_at=0.0))
        work._read_at = 0.0
        work.look(time.time())
        work.look(time.time())
    assert len(desk.stub.orders) >= 2
    assert "." in desk.stub.orders[1]["replaces"]


@pytest.mark.parametrize("window", [b"{}", b'{"suggestedWindow": {"start": "x", "end": 7}}', b'{"suggestedWindow": []}'])
def test_a_window_that_is_none(desk: Desk, window: bytes) -> None:
    """Then it is a third of the lifetime, as ever."""
    now = datetime.now(UTC)
    desk.stub.window = (now, now)
    desk.stub.bent = lambda path, payload: (200, window) if path.startswith("/ari") else None
    work = desk.work("a.test")
    work.look(time.time())
    work.look(time.time())
    assert desk.told[-1].next - time.time() > 50 * 86400
    assert len(desk.stub.orders) == 1


def test_two_machines_order_once(desk: Desk) -> None:
    """Who comes second finds what the first one wrote."""
    one, other = desk.work("a.test"), desk.work("a.test")
    one.look(time.time())
    other.look(time.time())
    assert len(desk.stub.orders) == 1


def test_a_stop_leaves_the_order_to_the_next(desk: Desk) -> None:
    """Nothing is counted as a failure, and the lock is given back."""
    work = desk.work("a.test")
    work.stop()
    work.run()
    assert desk.told == []
    assert desk.folder.record("a.test").failures == 0
