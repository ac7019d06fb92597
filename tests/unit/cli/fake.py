"""Stand-ins for what the verbs start."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.config.model import Config
from lbproxy.master.files.reading import Passing
from lbproxy.master.processes.anew import Program
from lbproxy.master.succession.upgrade import Commands
from lbproxy.tls.harvest import Harvest

Capture = pytest.CaptureFixture[str]


class FakeMaster:
    """Stands in for lbproxy.master.main.run."""

    def __init__(self) -> None:
        self.config: Config | None = None
        self.reread: Callable[[], Config] | None = None
        self.commands: Commands | None = None
        self.result: int | Exception = 0

    def run(
        self,
        config: Config,
        *,
        worker: object,
        control: object,
        on_ready: Callable[[], None] | None = None,
        reread: Callable[[], Config] | None = None,
        commands: Commands | None = None,
        harvest: Harvest | None = None,
        look: Callable[[Passing], object] | None = None,
    ) -> int:
        self.config = config
        self.reread = reread
        self.commands = commands
        assert callable(worker)
        assert isinstance(control, Program)
        if on_ready is not None:
            on_ready()
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class SilentLog:
    """Stands in for the log of a master, which would be another process."""

    def info(self, event: str, **fields: object) -> None:
        pass

    def warning(self, event: str, **fields: object) -> None:
        raise AssertionError(f"{event} {fields}")
