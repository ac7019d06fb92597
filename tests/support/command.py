"""Any command in a session of its own: its lines as they come, and its whole family gone afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.support.process import ROOT, session_members
from tests.support.waiting import PATIENCE, Lines, eventually


class Command:
    """As a context: started inside; after it, asked to end by SIGTERM, then killed. stdout and stderr are read as one."""

    def __init__(self, arguments: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.lines = Lines(self._process.stdout)

    @property
    def pid(self) -> int:
        """The command's own."""
        return self._process.pid

    def wait_line(self, pattern: str, within: float = PATIENCE) -> re.Match[str]:
        """The first line in which the pattern is found."""
        regex = re.compile(pattern)
        match = self.lines.wait(lambda lines: next(filter(None, map(regex.search, lines)), None), within)
        assert match is not None, f"no line like {pattern!r} within {within:g} s:\n" + "\n".join(self.lines.all())
        return match

    def wait(self, within: float = PATIENCE) -> int:
        """Wait for the command's end; its exit code (negative: the signal that killed it)."""
        return self._process.wait(within)

    def stop(self, within: float = PATIENCE) -> int:
        """SIGTERM; the exit code. The family has to be gone then."""
        os.kill(self.pid, signal.SIGTERM)
        code = self._process.wait(within)
        eventually(lambda: not session_members(self.pid), "the whole family gone")
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in session_members(self.pid):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass  # it went with one that was killed before
        self._process.kill()
        self._process.wait()
        self.lines.finish()
