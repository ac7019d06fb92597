"""The digest goes by what a configuration says, not by how."""

from __future__ import annotations

from pathlib import Path

from lbproxy.config.digest import digest
from lbproxy.config.load import load_text
from tests.unit.config.text import LEAST


def test_what_says_the_same_has_the_same() -> None:
    """Comments, lines, defaults written out and the file's name are nothing."""
    base = Path("/etc")
    first = digest(load_text(LEAST, "a.toml", base))
    assert first == digest(load_text("# one\n\n" + LEAST + "\n[limits]\nfields = 100\n", "b.toml", base))
    assert first != digest(load_text(LEAST + "\n[limits]\nfields = 99\n", "a.toml", base))
