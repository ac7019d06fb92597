"""Signals are noted, in order, and make a descriptor readable; afterwards everything is as before."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator

import pytest

from lbproxy.master.system import signals
from lbproxy.master.system.signals import HANDLED, IGNORED_BY_CHILDREN, Signals


@pytest.fixture
def noted() -> Iterator[Signals]:
    with Signals() as inside:
        yield inside


def readable(noted: Signals) -> bool:
    return bool(select.select([noted], [], [], 0)[0])


def test_they_wake_a_selector_and_come_in_order(noted: Signals) -> None:
    assert not readable(noted)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        signal.raise_signal(number)
    assert readable(noted)
    assert noted.take() == [signal.SIGTERM, signal.SIGHUP, signal.SIGTERM]
    assert not readable(noted)
    assert noted.take() == []


def test_a_storm_loses_none(noted: Signals) -> None:
    """Even when the wake-up socket is full."""
    for _ in range(5000):
        signal.raise_signal(signal.SIGUSR1)
    assert len(noted.take()) == 5000
    assert not readable(noted)


def test_outside_all_is_as_before() -> None:
    before = [signal.getsignal(number) for number in HANDLED]
    with Signals() as noted:
        assert all(signal.getsignal(number) == noted._note for number in HANDLED)
    assert [signal.getsignal(number) for number in HANDLED] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_child_starts_deaf_to_what_is_said_to_the_group(noted: Signals) -> None:
    """A signal that comes between the fork and the child's own dispositions must not run the master's handlers there."""
    reader, writer = os.pipe()
    signals.block()
    child = os.fork()
    if child == 0:
        for number in IGNORED_BY_CHILDREN:
            signal.raise_signal(number)  # as if the terminal had sent them right now
        signals.reset_in_child()
        signals.unblock()
        alive = all(signal.getsignal(number) is signal.SIG_IGN for number in IGNORED_BY_CHILDREN)
        default = signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
        untouched = not noted._noted
        os.write(writer, b"fine" if alive and default and untouched else b"bad")
        os._exit(0)
    signals.unblock()
    os.close(writer)
    assert os.read(reader, 8) == b"fine"
    os.close(reader)
    os.waitpid(child, 0)
    assert set(noted.take()) <= {signal.SIGCHLD}
