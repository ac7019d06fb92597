"""Words of the command line: configuration values, with the same complaints."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import pytest

from lbproxy.cli.options import BACKEND, DURATION, LISTEN, add_reach, print_json, say
from lbproxy.config.model import Address
from tests.unit.cli.fake import Capture


@pytest.mark.parametrize(("parse", "text", "value"), [
    (BACKEND, ":9000", Address("127.0.0.1", 9000)),
    (LISTEN, ":8443", Address("0.0.0.0", 8443)),
    (DURATION, "1m30s", 90.0),
])  # fmt: skip
def test_values(parse: Callable[[str], object], text: str, value: object) -> None:
    """They mean what they mean in the file."""
    assert parse(text) == value


def test_a_hint_comes_along() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r'got "30" \(write the unit, e.g. "30s"\)'):
        DURATION("30")


@pytest.mark.parametrize(("words", "ok"), [
    (["-c", "a.toml"], True),
    (["--control", "c.sock", "--json"], True),
    ([], False),
    (["-c", "a.toml", "--control", "c.sock"], False),
])  # fmt: skip
def test_one_lbproxy_is_meant(words: list[str], ok: bool, capsys: Capture) -> None:
    """By its file or by its socket, and never by none or both."""
    parser = argparse.ArgumentParser()
    add_reach(parser)
    if ok:
        assert bool(parser.parse_args(words).config) is (words[0] == "-c")
        return
    with pytest.raises(SystemExit):
        parser.parse_args(words)
    assert "--control" in capsys.readouterr().err


def test_to_people_and_to_programs(capsys: Capture) -> None:
    """stderr for the one, stdout for the other."""
    say("one", "two")
    print_json({"ok": True})
    out, err = capsys.readouterr()
    assert err == "lbproxy: one\nlbproxy: two\n"
    assert json.loads(out) == {"ok": True}
