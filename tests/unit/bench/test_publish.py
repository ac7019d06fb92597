"""What came out is told and kept also when something failed, and then the failure is the outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.macro.errors import BenchError
from bench.reload.publish import publish


def test_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.json"
    publish({"cpu": "two cores"}, "a table", [], file, lambda: "{}")
    assert capsys.readouterr().out == "cpu:          two cores\n\na table\n"
    assert file.read_text() == "{}"


def test_failures_come_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.json"
    with pytest.raises(BenchError, match="one; two"):
        publish({}, "a table", ["one", "two"], file, lambda: "{}")
    assert "a table" in capsys.readouterr().out
    assert file.exists()
