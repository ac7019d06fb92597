"""The process that reads what changed: what came of it, and what it has in its hands."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from lbproxy.errors import StartError
from lbproxy.master.files.reading import FileReader, Passing
from lbproxy.tls.keystore import KeyStore, Piece
from tests.support.waiting import eventually


def waited(reading: FileReader) -> object:
    found: list[object] = []

    def heard() -> bool:
        if (told := reading.hear()) is not None:
            found.append(told)
        return bool(found)

    eventually(heard, "it has read")
    os.waitpid(reading.pid, 0)
    return found[0]


def test_what_it_read_is_in_a_store() -> None:
    """Which whoever asked gets; and it has no descriptor but that, what it says things by, and its first three."""

    def work(inbox: KeyStore, passing: Passing) -> object:
        open_ones = [number for number in map(int, os.listdir("/proc/self/fd")) if number > 2]
        return [inbox.note(b"a secret"), len(open_ones)]

    kept = os.open("/dev/null", os.O_RDONLY)
    reading = FileReader(work)
    told = waited(reading)
    assert isinstance(told, list)
    assert reading.inbox.text(*Piece(*told[0])) == b"a secret"
    assert told[1] <= 4  # the folder that it lists among them
    assert reading.inbox.note(b"more").offset == len(b"a secret")
    reading.close()
    os.close(kept)


def test_one_that_hangs() -> None:
    """Tells where, and can be killed."""

    def work(inbox: KeyStore, passing: Passing) -> object:
        passing("/far/away")
        os.kill(os.getpid(), signal.SIGSTOP)
        return 1

    reading = FileReader(work)
    eventually(lambda: reading.passing == "/far/away", "it is there")
    assert reading.hear() is None
    reading.kill()
    os.waitpid(reading.pid, 0)
    with pytest.raises(StartError, match="without an answer"):
        reading.hear()
    reading.close()


def test_what_goes_wrong_is_told(tmp_path: Path) -> None:
    """As it was raised there."""

    def work(inbox: KeyStore, passing: Passing) -> object:
        return inbox.take(tmp_path / "nowhere")

    reading = FileReader(work)
    with pytest.raises(FileNotFoundError):
        waited(reading)
    reading.close()
