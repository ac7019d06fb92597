"""[pool.NAME.health]: which keys go together, and the intervals that follow one another."""

from __future__ import annotations

import pytest

from lbproxy.config.model import HealthConfig
from lbproxy.config.rules.health import down_interval, fast_interval
from tests.unit.config.text import LEAST, complaint, read


def health(text: str) -> HealthConfig:
    return read(f"{LEAST}{text}").pools[0].health


def test_all_keys() -> None:
    """Each lands where it belongs."""
    text = 'health = { type = "http", interval = "3s", fast_interval = "500ms", down_interval = "9s", body = "up and running" }'
    found = health(text)
    assert (found.interval, found.fast_interval, found.down_interval, found.body) == (3.0, 0.5, 9.0, "up and running")


def test_where_and_with_what_else_to_ask() -> None:
    """A port beside that of traffic, for every type; fields of the request for http."""
    assert health("health = { port = 8081 }").port == 8081
    found = health('health = { type = "http", headers = { Authorization = "Bearer {x}", User-Agent = "me" } }')
    assert found.headers == (("Authorization", "Bearer {x}"), ("User-Agent", "me"))


def test_a_tls_check_needs_tls() -> None:
    """It shakes hands as traffic does: by the pool's own settings."""
    assert health('tls = {}\nhealth = { type = "tls" }').type == "tls"
    told = complaint(f'{LEAST}health = {{ type = "tls" }}')
    assert told.key == "pool.app.health.type"
    assert "add tls = {}" in told.hint


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('health = { body = "x" }', "body"),
        ('health = { type = "http", method = "HEAD", body = "x" }', "body"),
        ('health = { type = "http", body = "" }', "body"),
        ('health = { type = "http", body = "%s" }' % ("x" * 1025), "body"),
        ('health = { fast_interval = "0" }', "fast_interval"),
        ("health = { port = 0 }", "port"),
        ('health = { headers = { "X-A" = "b" } }', "headers"),
        ('health = { type = "http", headers = { Host = "app" } }', "headers.Host"),
        ('health = { type = "http", headers = { Connection = "keep-alive" } }', "headers.Connection"),
        ('health = { type = "http", headers = { Content-Length = "3" } }', "headers.Content-Length"),
        ('health = { type = "http", headers = { "X A" = "b" } }', 'headers."X A"'),
        ('health = { type = "http", headers = { X-A = "b\\r\\nc" } }', "headers.X-A"),
        ('health = { type = "http", headers = { X-A = ["b"] } }', "headers.X-A"),
    ],
)
def test_refused(text: str, key: str) -> None:
    """What means nothing, or cannot be."""
    assert complaint(f"{LEAST}{text}").key == f"pool.app.health.{key}"


@pytest.mark.parametrize(
    ("interval", "fast", "down"), [(2.0, 1.0, 5.0), (0.1, 0.05, 0.25), (4.0, 1.0, 5.0), (30.0, 1.0, 30.0), (0.001, 0.001, 0.003)]
)
def test_intervals_that_are_not_given(interval: float, fast: float, down: float) -> None:
    """They keep the proportion of the defaults, within the defaults."""
    assert (fast_interval(interval), down_interval(interval)) == (fast, down)
