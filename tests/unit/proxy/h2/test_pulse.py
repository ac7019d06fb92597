"""When a silent backend is asked whether it lives, and when it is taken for dead."""

from __future__ import annotations

from lbproxy.proxy.h2.pulse import PATIENCE, RARELY, SILENCE, Pulse


def test_it_is_asked_after_a_while_and_dead_when_it_says_nothing() -> None:
    """Anything it says is enough."""
    pulse = Pulse(100.0)
    assert not pulse.asks(100.0 + SILENCE - 0.1)
    assert pulse.asks(100.0 + SILENCE)
    assert not pulse.gone(100.0 + SILENCE + PATIENCE - 0.1)
    assert pulse.gone(100.0 + SILENCE + PATIENCE)
    pulse.heard(100.0 + SILENCE + 1)
    assert not pulse.gone(100.0 + SILENCE + PATIENCE)


def test_it_is_not_asked_again_before_it_has_answered_a_request() -> None:
    """Or a long time has passed: twice in five minutes of silence."""
    pulse = Pulse(0.0)
    assert pulse.asks(SILENCE)
    pulse.heard(SILENCE + 1)
    assert not pulse.asks(3 * SILENCE)
    pulse.answered()
    assert pulse.asks(3 * SILENCE)
    pulse.heard(3 * SILENCE + 1)
    assert not pulse.asks(2 * SILENCE + RARELY)
    assert pulse.asks(3 * SILENCE + RARELY)
