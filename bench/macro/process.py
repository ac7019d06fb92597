"""Starts the programs of a run, waits until they answer, and ends exactly them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.macro.errors import BenchError
from bench.macro.procfs import all_processes, family

START_SECONDS = 15.0
STOP_SECONDS = 5.0


def free_ports(count: int) -> list[int]:
    """Different ones: all are held until the last is known."""
    with ExitStack() as held:
        return [held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]


def free_port() -> int:
    return free_ports(1)[0]


class Program:
    """A started program and everything it forks. Whoever starts it calls `stop`, also after an error."""

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        stdout: Path,
        stderr: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self._stderr = stderr
        with stdout.open("ab") as out, stderr.open("ab") as err:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,  # so that procfs.family finds all of it, and a Ctrl-C is ours alone
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait_until(self, answers: Callable[[], bool], patience: float = START_SECONDS) -> None:
        """Asks every 50 ms; BenchError with the end of its stderr when it exits or takes longer than `patience` seconds."""
        deadline = time.monotonic() + patience
        while True:
            status = self._popen.poll()
            if status is not None:
                raise BenchError(f"{self.name} exited with {status} instead of serving: {self._last_words()}")
            try:
                if answers():
                    return
                said = "answered wrongly"
            except OSError as error:
                said = str(error)
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} did not serve within {patience:.0f} s ({said}): {self._last_words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM twice (the second means: at once), then SIGKILL to whatever is left of its family."""
        for each in (signal.SIGTERM, signal.SIGTERM):
            if self._popen.poll() is None:
                self._popen.send_signal(each)
                try:
                    self._popen.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    pass  # asked again, then forced
        for process in family(self.pid, all_processes()):
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # ended by itself
        self._popen.wait()

    def _last_words(self) -> str:
        return self._stderr.read_text(errors="replace").strip()[-800:] or "(nothing on stderr)"
