"""SECURITY.md names a test for each attack: they are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOLD = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_files_that_it_names_are_there() -> None:
    named = set(re.findall(r"(?:tests|lbproxy|scripts)/[\w/.-]*\w", TOLD))
    assert len(named) > 20
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_tests_that_it_names_are_there() -> None:
    written = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())}
    named = set(re.findall(r"`(test_\w+)`", TOLD))
    assert len(named) > 20
    assert sorted(named - written) == []
