"""workers and log-level."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbproxy import cli
from lbproxy.master.operator.requests import Answer, LogLevelRequest, Request, WorkersRequest
from tests.support.controlled import Controlled
from tests.unit.cli.fake import Capture


@pytest.mark.parametrize(("words", "request_", "told"), [
    (["workers", "+1"], WorkersRequest(1), "one worker more: 3 (until the next reload)\n"),
    (["workers", "-1"], WorkersRequest(-1), "one worker less: 3 (until the next reload)\n"),
    (["log-level", "debug"], LogLevelRequest("debug"), "the log level is debug (until the next reload)\n"),
])  # fmt: skip
def test_orders(tmp_path: Path, capsys: Capture, words: list[str], request_: Request, told: str) -> None:
    """Before or behind the option that says whom."""
    answer: Answer = {"ok": True, "workers": 3, "note": "until the next reload"}
    control = ["--control", str(tmp_path / "c")]
    with Controlled(tmp_path / "c", lambda _: answer) as master:
        assert cli.main([*words, *control]) == 0
        assert capsys.readouterr() == (told, "")
        assert cli.main([words[0], *control, "--json", words[1]]) == 0
        assert json.loads(capsys.readouterr().out) == answer
    assert master.asked == [request_, request_]


def test_a_no_is_told(tmp_path: Path, capsys: Capture) -> None:
    with Controlled(tmp_path / "c", lambda _: {"ok": False, "error": "0 workers: wanted 1 to 62"}):
        assert cli.main(["workers", "-1", "--control", str(tmp_path / "c")]) == 1
    assert capsys.readouterr() == ("", "lbproxy: 0 workers: wanted 1 to 62\n")


@pytest.mark.parametrize("words", [["workers"], ["workers", "2"], ["workers", "-2"], ["log-level", "loud"], ["log-level"]])
def test_wrong_usage(capsys: Capture, words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([*words, "--control", "c"])
    assert left.value.code == 2
    assert "usage: lbproxy" in capsys.readouterr().err
