"""The backend with moods, through its front and its door."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.faults import faults
from bench.faults.crew import App
from bench.macro.errors import BenchError
from bench.macro.machine import Cores


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    made = App("moody", tmp_path_factory.mktemp("app"), Cores())
    try:
        yield made
    finally:
        made.stop()


def ask(app: App, path: str = "/tiny", body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    try:
        connection.request("POST" if body else "GET", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_well(app: App) -> None:
    app.mood("well")
    assert ask(app) == (200, b"ok\n")
    assert ask(app, "/upload", b"x" * 70_000) == (204, b"")


def test_errors(app: App) -> None:
    """One kind is seen by checks, the other is not."""
    app.mood("500")
    assert (ask(app)[0], ask(app, "/upload", b"x")[0], ask(app, "/health")[0]) == (500, 500, 500)
    app.mood("500-hidden")
    assert (ask(app)[0], ask(app, "/health")[0]) == (500, 200)


def test_slow(app: App) -> None:
    app.mood("slow")
    begun = time.monotonic()
    assert ask(app)[0] == 200
    assert time.monotonic() - begun >= 0.2


def test_resets(app: App) -> None:
    """Before an answer, and in the middle of one."""
    app.mood("reset")
    with pytest.raises(ConnectionResetError):
        ask(app)
    app.mood("cut")
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.length) == (200, 3)
    assert answer.read(1) == b"o"
    with pytest.raises(ConnectionResetError):
        answer.read()
    connection.close()


def test_mute_until_it_passes(app: App) -> None:
    app.mood("mute")
    got: list[tuple[int, bytes]] = []
    asking = threading.Thread(target=lambda: got.append(ask(app)))
    asking.start()
    asking.join(0.1)
    assert not got
    app.mood("well")
    asking.join(10)
    assert got == [(200, b"ok\n")]


def test_every_fault_that_is_a_mood_is_known(app: App) -> None:
    class Crew:
        """As far as moods go."""

    crew = Crew()
    crew.app = app  # type: ignore[attr-defined]
    for fault in faults.FAULTS:
        if fault.victim == faults.APP:
            fault.begin(crew)  # type: ignore[arg-type]
            fault.end(crew)  # type: ignore[arg-type]
    with pytest.raises(BenchError, match=r"sulky.*well"):
        app.mood("sulky")


def test_killed_and_back(tmp_path: Path) -> None:
    """On the same port."""
    app = App("mortal", tmp_path, Cores())
    try:
        app.kill()
        with pytest.raises(ConnectionRefusedError):
            ask(app)
        app.start()
        assert ask(app) == (200, b"ok\n")
    finally:
        app.stop()
