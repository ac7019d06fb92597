"""A configuration, a master that only notes what it was started with, and a control socket that logs nothing among our output."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.fake import FakeMaster, SilentLog
from tests.unit.config.text import LEAST


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration that start would take."""
    written = tmp_path / "lbproxy.toml"
    written.write_text(LEAST)
    return written


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> FakeMaster:
    fake = FakeMaster()
    monkeypatch.setattr("lbproxy.master.main.run", fake.run)
    return fake


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.master.operator.control_socket.log.get_logger", SilentLog)
