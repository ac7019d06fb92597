"""status: a table for people, the answer itself for programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lbproxy import cli
from lbproxy.master.operator.requests import StatusRequest
from tests.support.controlled import Controlled
from tests.unit.cli.fake import Capture
from tests.unit.cli.test_table import ANSWER


def test_for_people_and_for_programs(tmp_path: Path, capsys: Capture) -> None:
    """The configuration names the socket."""
    file = tmp_path / "a.toml"
    file.write_text('[proxy]\ncontrol = "c"\n')
    with Controlled(tmp_path / "c", lambda _: ANSWER) as master:
        assert cli.main(["status", "-c", str(file)]) == 0
        out, err = capsys.readouterr()
        assert out.startswith("lbproxy 0.1.0, pid 4242, up 2 h")
        assert "127.0.0.1:9001" in out
        assert err == ""
        assert cli.main(["status", "-c", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ANSWER
    assert master.asked == [StatusRequest(), StatusRequest()]


def test_the_pid_is_known_to_the_socket(tmp_path: Path, capsys: Capture) -> None:
    """Also when the answer does not tell it."""
    with Controlled(tmp_path / "c", lambda _: {"ok": True}):
        assert cli.main(["status", "--control", str(tmp_path / "c"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pid"] == os.getpid()


def test_nothing_of_it_steers_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    """A hostile backend's words are among the reasons, a worker's own among what it is."""
    escape = "\x1b]0;mine\x07\x9b2J\u202e"
    backend = {"name": "b" + escape, "health": "down", "why": escape, "health_since": 1.0}
    pools = [{"name": escape, "usable": 1, "backends": [backend]}]
    generations = [{"number": 1, "stage": "serving", "workers": [{"form": escape, "walls": [escape], "phase": "serving"}]}]
    answers = iter([{**ANSWER, "pools": pools, "generations": generations}, {"ok": False, "error": f"one{escape}\ntwo"}])
    with Controlled(tmp_path / "c", lambda _: next(answers)):
        assert cli.main(["status", "--control", str(tmp_path / "c")]) == 0
        assert cli.main(["status", "--control", str(tmp_path / "c")]) == 1
    out, err = capsys.readouterr()
    for said in (out, err):
        assert all(line.isprintable() for line in said.splitlines()), said
        assert "\\x1b]0;mine" in said


def test_a_no_is_told(tmp_path: Path, capsys: Capture) -> None:
    with Controlled(tmp_path / "c", lambda _: {"ok": False, "error": "one\ntwo"}):
        assert cli.main(["status", "--control", str(tmp_path / "c")]) == 1
    assert capsys.readouterr() == ("", "lbproxy: one\nlbproxy: two\n")


def test_nobody_there(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["status", "--control", str(tmp_path / "c")]) == 1
    assert capsys.readouterr() == ("", f"lbproxy: no lbproxy is running with {tmp_path}/c\n")


def test_verify(tmp_path: Path, capsys: Capture) -> None:
    """What a look in between two counts sees passes; what stays is told, and the exit code is 1."""
    looks = [["child 0: 1 requests in flight on backends, 0 live"], []]
    with Controlled(tmp_path / "c", lambda _: {**ANSWER, "faults": looks.pop(0)}) as master:
        assert cli.main(["status", "--control", str(tmp_path / "c"), "--verify"]) == 0
    assert len(master.asked) == 2
    assert "the counts of all processes agree" in capsys.readouterr().out
    with Controlled(tmp_path / "c", lambda _: {**ANSWER, "faults": ["child 0: a negative gauge"]}):
        assert cli.main(["status", "--control", str(tmp_path / "c"), "--verify"]) == 1
    assert capsys.readouterr().err == "lbproxy: child 0: a negative gauge\n"
