"""[route.cache]: what holds between it and the rest."""

from __future__ import annotations

import pytest

from lbproxy.config.model import CacheConfig, MatchConfig
from tests.unit.config.text import LEAST, complaint, read

PLACE = '\n[cache]\nmemory = "8MiB"\n'


def with_(table: str, more: str = PLACE) -> str:
    return LEAST.replace('pool = "app"', f'pool = "app"\n{table}', 1) + more


def test_by_default_nothing_is_stored() -> None:
    """And a table needs nothing but a place."""
    [route] = read(LEAST).routes
    assert route.cache is None
    [route] = read(with_("cache = {}")).routes
    assert route.cache == CacheConfig()
    [route] = read(with_('cache = { bypass = { headers = { Cookie = "*s=*" } }, default_ttl = "1m" }')).routes
    assert route.cache == CacheConfig(60.0, bypass=MatchConfig(headers=(("Cookie", ("*s=*",)),)))


@pytest.mark.parametrize(
    ("table", "more", "key", "message", "hint"),
    [
        ("cache = {}", "", "route.cache", "there is no [cache]", 'add [cache] with memory = "64MiB"'),
        ('cache = { methods = ["POST"] }', PLACE, "route[0].cache.methods[0]", "POST", ""),
        ('cache = { collapse_wait = "2m" }', PLACE, "route[0].cache.collapse_wait", "at most", ""),
        ("cache = { ttl = 1 }", PLACE, "route[0].cache.ttl", "unknown key", ""),
    ],
)
def test_refused(table: str, more: str, key: str, message: str, hint: str) -> None:
    """With what to do instead."""
    found = complaint(with_(table, more))
    assert found.key == key
    assert message in found.message
    assert hint in found.hint
