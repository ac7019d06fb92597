"""A configuration, and a master that only notes what it was started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.fake import FakeMaster
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
