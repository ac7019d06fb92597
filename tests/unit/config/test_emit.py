"""The effective configuration as text."""

from __future__ import annotations

import tomllib
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from lbproxy.config.emit import emit
from lbproxy.config.load import load_file, load_text
from lbproxy.config.model import Config
from tests.unit.config.anything import configs
from tests.unit.config.text import BASE, LEAST, read, without_lines

CONF = Path(__file__).resolve().parents[3] / "conf"


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])  # a tenth of a second each
@given(configs())
def test_reading_what_was_written_gives_the_same(config: Config) -> None:
    """load(emit(c)) == c."""
    assert without_lines(load_text(emit(config), "", BASE)) == config


def test_the_example_survives() -> None:
    """With every key in it."""
    config = load_file(CONF / "example.toml")
    assert without_lines(load_text(emit(config), "", BASE)) == without_lines(config)


def test_defaults_are_written_out() -> None:
    """A person sees what is in effect without knowing the defaults."""
    written = tomllib.loads(emit(read(LEAST)))
    assert written["timeouts"]["keepalive"] == "1m"
    assert written["limits"]["head"] == "32KiB"
    assert written["proxy"]["workers"] == "auto"
    assert written["pool"]["app"]["backends"] == [{"address": "10.0.0.1:80", "weight": 1, "max_connections": 0, "tier": 0}]
    assert written["pool"]["app"]["health"] == {
        "type": "tcp", "interval": "2s", "timeout": "1s500ms", "rise": 2, "fall": 3, "fast_interval": "1s", "down_interval": "5s"
    }  # fmt: skip
