"""conf/example.toml is what the declarations say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lbproxy.config.example import BLOCKS, example, general, not_shown, toml_value
from lbproxy.config.load import load_text

CONF = Path(__file__).resolve().parents[3] / "conf"


def test_the_file_is_up_to_date() -> None:
    """Who changed a key calls scripts/generate."""
    assert (CONF / "example.toml").read_text(encoding="utf-8") == example(), "call scripts/generate"


def test_every_key_is_shown() -> None:
    """A key that fits into no block of BLOCKS, for what it needs or excludes, wants one of its own."""
    assert not_shown() == []


def test_it_is_a_configuration() -> None:
    """As it stands."""
    assert len(load_text(example(), "example.toml", CONF).pools) == 5


def test_names_of_the_users_choice() -> None:
    """They have one name in the reference."""
    assert general("pool.api.health") == "pool.NAME.health"
    assert {general(block.path) for block in BLOCKS} >= {"listen.tls", "client_limit.NAME"}


@pytest.mark.parametrize("value", [
    "a\n\"\\ \u00e9", 1, 1.5, True, [], ["a", 1], {}, {"X-A": "b", "a b": ["c"]}, [{"a": {"b": False}}],
])  # fmt: skip
def test_values_on_a_line(value: object) -> None:
    """TOML reads back what is written."""
    assert tomllib.loads(f"x = {toml_value(value)}") == {"x": value}
