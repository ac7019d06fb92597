"""[route.compress]: what is compressed unless others are named, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lbproxy import coders
from lbproxy.config.load import load_text
from lbproxy.config.model.compress import TELLING, TYPES, CompressConfig
from lbproxy.errors import ConfigError

TEXT = """
[[listen]]
address = "127.0.0.1:80"
[[route]]
pool = "app"
[route.compress]
{line}
[pool.app]
backends = ["127.0.0.1:9000"]
"""


def complaint(line: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(TEXT.format(line=line), "lb.toml", Path("/"))
    return str(caught.value)


def test_types_that_tell_are_named_or_not_meant() -> None:
    """Pages and JSON are among the default nowhere: their compressed length may tell of a secret (BREACH)."""
    assert not set(TYPES) & set(TELLING)
    assert CompressConfig().all_types == TYPES
    [route] = load_text(TEXT.format(line='types = ["Text/HTML", "text/*"]'), "lb.toml", Path("/")).routes
    assert route.compress is not None
    assert route.compress.all_types == ("text/html", "text/*")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('codings = ["deflate"]', 'wanted "gzip" or "zstd" or "br"'),
        ('codings = ["gzip", "br"]', "br is made for answers that are stored"),
        ("codings = []", "wanted at least one coding"),
        ('codings = ["gzip", "gzip"]', "gzip is there twice"),
        ('types = ["text"]', "wanted a type such as"),
        ('types = ["text/css; charset=utf-8"]', "parameters such as charset do not count"),
        ('types = ["*/*"]', "wanted a type such as"),
        ('min_length = "2MiB"', "wanted a size from"),
    ],
)
def test_what_is_refused(line: str, said: str) -> None:
    """With what was wanted, and where."""
    told = complaint(line)
    assert said in told
    assert ":7" in told or ":6" in told, "the line"


def test_a_coding_whose_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, with the way to get it."""

    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(coders, "import_module", absent)
    told = complaint('codings = ["zstd"]')
    assert "zstd needs zstandard" in told
    assert "pip install 'lbproxy[compress]'" in told
