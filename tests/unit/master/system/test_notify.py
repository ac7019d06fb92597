"""sd_notify: what systemd hears, and that nothing about it can hurt."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.master.system.notify import LONGEST_STATUS, NEVER, TRY_AGAIN, Notifier, _status


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """systemd's end, bound to a path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(60)
        yield sock


def notifier_for(manager: socket.socket, **more: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": manager.getsockname(), **more}, pid=1234)


def test_ready(manager: socket.socket) -> None:
    notifier = notifier_for(manager)
    assert notifier.wanted
    assert notifier.ready()
    assert manager.recv(4096) == b"READY=1"
    assert notifier.ready("4 workers, generation 1")
    assert manager.recv(4096) == b"READY=1\nSTATUS=4 workers, generation 1"


def test_a_reload_carries_the_time_of_the_monotonic_clock(manager: socket.socket) -> None:
    usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert notifier_for(manager).reloading(usec, "loading generation 2")
    assert manager.recv(4096).decode() == f"RELOADING=1\nMONOTONIC_USEC={usec}\nSTATUS=loading generation 2"


def test_a_stop_asks_for_the_time_that_it_takes(manager: socket.socket) -> None:
    notifier = notifier_for(manager)
    notifier.stopping()
    assert manager.recv(4096) == b"STOPPING=1"
    notifier.stopping("draining", within=31.5)
    assert manager.recv(4096) == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=31500000\nSTATUS=draining"


def test_status_alone(manager: socket.socket) -> None:
    assert notifier_for(manager).status("reload refused: lbproxy.toml:3: pool: wanted a name")
    assert manager.recv(4096) == b"STATUS=reload refused: lbproxy.toml:3: pool: wanted a name"


def test_a_status_cannot_smuggle_in_another_assignment(manager: socket.socket) -> None:
    assert notifier_for(manager).status("bad\nREADY=1\r\nMAINPID=1\0")
    assert b"\n" not in manager.recv(4096)


def test_no_status_is_no_message(manager: socket.socket) -> None:
    assert not notifier_for(manager).status(" \n ")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)


@given(st.text(st.characters(), max_size=2 * LONGEST_STATUS))
def test_any_text_makes_one_line_of_valid_utf_8_within_the_limit(text: str) -> None:
    for line in _status(text):
        payload = line.removeprefix("STATUS=").encode("utf-8")  # strict
        assert payload
        assert len(payload) <= LONGEST_STATUS
        assert len(line.splitlines()) == 1


def test_an_abstract_socket() -> None:
    name = f"lbproxy-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        sock.settimeout(60)
        assert Notifier({"NOTIFY_SOCKET": "@" + name}).ready()
        assert sock.recv(4096) == b"READY=1"


def test_the_environment_is_taken_away_and_kept_for_a_next_life(manager: socket.socket) -> None:
    given_ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1234"}
    environ = {"PATH": "/bin", **given_}
    assert Notifier(environ, pid=1234).environment == given_
    assert environ == {"PATH": "/bin"}


def test_the_process_environment_by_default(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = Notifier()
    assert "NOTIFY_SOCKET" not in os.environ
    assert notifier.watchdog(1.0)
    assert notifier.next_deadline() == 2.0


def test_the_watchdog_is_told_at_once_and_then_twice_as_often_as_asked(manager: socket.socket) -> None:
    notifier = notifier_for(manager, WATCHDOG_USEC="10000000", WATCHDOG_PID="1234")
    assert notifier.next_deadline() <= 100.0
    assert notifier.watchdog(100.0)
    assert manager.recv(4096) == b"WATCHDOG=1"
    assert notifier.next_deadline() == 105.0
    assert not notifier.watchdog(104.9)
    assert notifier.watchdog(105.0)
    assert notifier.next_deadline() == 110.0


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},  # meant for somebody else
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "²"},  # a digit for str.isdigit, no number for int
    ],
)
def test_no_watchdog_for_us(manager: socket.socket, more: dict[str, str]) -> None:
    notifier = notifier_for(manager, **more)
    assert notifier.next_deadline() == NEVER
    assert not notifier.watchdog(1e9)


def test_a_watchdog_without_an_addressee_is_for_us(manager: socket.socket) -> None:
    assert notifier_for(manager, WATCHDOG_USEC="1000000").watchdog(5.0)


def test_a_manager_that_does_not_read_is_not_waited_for_and_the_watchdog_tries_again_soon(manager: socket.socket) -> None:
    notifier = notifier_for(manager, WATCHDOG_USEC="60000000")
    for _ in range(100_000):  # a datagram socket's queue: net.unix.max_dgram_qlen, at most its buffer
        if not notifier.status("x" * LONGEST_STATUS):
            break
    assert not notifier.ready()
    assert not notifier.watchdog(1000.0)
    assert notifier.next_deadline() == 1000.0 + TRY_AGAIN
    everything(manager)
    assert notifier.watchdog(1000.5)
    assert notifier.next_deadline() == 1030.5
    assert everything(manager)[-2:] == [b"READY=1", b"WATCHDOG=1"], "what was not taken is not lost"


def test_a_manager_who_is_busy_hears_of_a_start_and_a_reload_in_order(manager: socket.socket) -> None:
    """Also without a watchdog."""
    notifier = notifier_for(manager)
    while notifier.status("x"):
        pass
    assert not notifier.ready("first")
    assert not notifier.reloading(7)
    assert not notifier.ready("second")
    assert notifier.next_deadline() <= 1000.0
    notifier.watchdog(1000.0)
    assert notifier.next_deadline() == 1000.0 + TRY_AGAIN
    everything(manager)
    notifier.watchdog(1000.0 + TRY_AGAIN)
    assert everything(manager)[-3:] == [b"READY=1\nSTATUS=first", b"RELOADING=1\nMONOTONIC_USEC=7", b"READY=1\nSTATUS=second"]
    assert notifier.next_deadline() == NEVER


def everything(manager: socket.socket) -> list[bytes]:
    """What it was told and has not read."""
    manager.settimeout(0)
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096))
        except BlockingIOError:
            return messages


@pytest.mark.parametrize("where", ["/nowhere/at/all", "/" + "long" * 100, "@" + "long" * 100, "vsock:2:1234", "relative", ""])
def test_a_socket_that_is_not_there_is_no_error(where: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": where, "WATCHDOG_USEC": "1000000"})
    assert not notifier.ready()
    assert not notifier.watchdog(10.0)


def test_a_manager_that_went_away_is_no_error(manager: socket.socket) -> None:
    notifier = notifier_for(manager)
    manager.close()
    assert not notifier.ready()
    assert notifier.next_deadline() == NEVER, "nobody is there to try again with"


def test_without_a_manager_nothing_happens() -> None:
    notifier = Notifier({})
    assert not notifier.wanted
    assert not notifier.ready("x")
    assert not notifier.reloading(1)
    assert not notifier.stopping()
    assert notifier.next_deadline() == NEVER
