"""top: look after look, as text or as JSON lines, until it has looked often enough, is told to end, or nobody answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbproxy import cli
from lbproxy.cli import top
from tests.support.controlled import Controlled
from tests.unit.cli.fake import Capture
from tests.unit.cli.test_table import ANSWER

QUICK = ["--interval", "100ms", "--count", "2"]


def test_each_look_stands_below_the_last_where_there_is_no_terminal(tmp_path: Path, capsys: Capture) -> None:
    with Controlled(tmp_path / "c", lambda _: ANSWER) as master:
        assert cli.main(["top", "--control", str(tmp_path / "c"), *QUICK]) == 0
    out, err = capsys.readouterr()
    assert len(master.asked) == 2
    assert out.count("lbproxy 0.1.0, pid 4242") == 2
    assert "\x1b" not in out
    assert err == ""


def test_on_a_terminal_each_replaces_the_last(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    with Controlled(tmp_path / "c", lambda _: ANSWER):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        assert cli.main(["top", "--control", str(tmp_path / "c"), *QUICK]) == 0
    out = capsys.readouterr().out
    assert out.count(top.HOME) == out.count(top.REST_OF_SCREEN) == 2


def test_json_lines(tmp_path: Path, capsys: Capture) -> None:
    with Controlled(tmp_path / "c", lambda _: ANSWER):
        assert cli.main(["top", "--control", str(tmp_path / "c"), "--json", *QUICK]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [ANSWER, ANSWER]


def test_ctrl_c_is_the_way_to_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    with Controlled(tmp_path / "c", lambda _: ANSWER):
        assert cli.main(["top", "--control", str(tmp_path / "c")]) == 0


def test_nobody_there(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["top", "--control", str(tmp_path / "c"), *QUICK]) == 1
    assert capsys.readouterr().err == f"lbproxy: no lbproxy is running with {tmp_path}/c\n"


def test_a_no_is_told(tmp_path: Path, capsys: Capture) -> None:
    with Controlled(tmp_path / "c", lambda _: {"ok": False, "error": "not now"}):
        assert cli.main(["top", "--control", str(tmp_path / "c"), *QUICK]) == 1
    assert capsys.readouterr() == ("", "lbproxy: not now\n")
