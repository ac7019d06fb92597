"""Servers that answered nobody for as long as a question waited."""

from __future__ import annotations

from lbproxy.http.icap.silence import Silence, short


def test_a_message_that_takes_long_silences_nobody() -> None:
    """A server that has answered somebody meanwhile is asked as ever: who sends what takes forever stops nobody else."""
    found = Silence()
    found.heard(1, 100.0)
    found.late(1, 105.0, 30.0)
    assert not found.holds(1)
    found.late(1, 131.0, 30.0)
    assert found.holds(1)
    assert not found.holds(2)


def test_until_it_says_something() -> None:
    """Others are preferred for a while; then one message finds out, and the others go on elsewhere."""
    found = Silence()
    found.late(1, 100.0, 30.0)
    assert found.spared(129.9) == (1,)
    assert found.spared(130.1) == ()
    assert found.holds(1), "it has said nothing yet"
    found.late(1, 130.1, 30.0)
    assert found.spared(130.2) == (1,)
    found.heard(1, 131.0)
    assert found.spared(131.1) == ()
    assert not found.holds(1)


def test_nobody_waits_for_one_that_was_asked_just_now() -> None:
    """For as long as it was waited for; then the next one finds out."""
    found = Silence()
    found.late(1, 100.0, 30.0)
    assert not found.is_mute(1, 100.0)
    found.mute(1, 103.0, 3.0)
    assert found.is_mute(1, 105.9)
    assert not found.is_mute(1, 106.1)
    found.mute(1, 110.0, 3.0)
    found.heard(1, 110.1)
    assert not found.is_mute(1, 110.2)


def test_what_is_short() -> None:
    """A tenth, a second at least, never more than others get."""
    assert [short(patience) for patience in (0.5, 1.0, 5.0, 30.0)] == [0.5, 1.0, 1.0, 3.0]
