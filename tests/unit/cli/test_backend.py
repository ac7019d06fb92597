"""backend drain, enable, weight: the order that is given, and waiting until a drained backend is empty."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy import cli
from lbproxy.cli import backend
from lbproxy.master.operator.requests import Answer, BackendRequest, Request, StatusRequest
from tests.support.controlled import Controlled
from tests.unit.cli.fake import Capture

NAME = "api/127.0.0.1:9001"


@pytest.mark.parametrize(("words", "request_", "told"), [
    (["drain", NAME], BackendRequest(NAME, "drain", 0), f"{NAME} is drained: it gets no new requests"),
    (["enable", NAME], BackendRequest(NAME, "enable", 0), f"{NAME} is enabled"),
    (["weight", NAME, "7"], BackendRequest(NAME, "weight", 7), f"{NAME} has weight 7"),
    (["weight", NAME, "0"], BackendRequest(NAME, "weight", 0), f"{NAME} has weight 0"),
])  # fmt: skip
def test_orders(tmp_path: Path, capsys: Capture, words: list[str], request_: Request, told: str) -> None:
    """Each is sent as it was meant, and how long it lasts is told."""
    control = ["--control", str(tmp_path / "c")]
    answer: Answer = {"ok": True, "backend": NAME, "note": "until the next reload"}
    with Controlled(tmp_path / "c", lambda _: answer) as master:
        assert cli.main(["backend", *words, *control]) == 0
        assert capsys.readouterr() == (f"{told} (until the next reload)\n", "")
        assert cli.main(["backend", *words, *control, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == answer
    assert [asked for asked in master.asked if asked != StatusRequest()] == [request_, request_]


@pytest.mark.parametrize(("words", "warned"), [
    (["drain", "127.0.0.1:9001"], True),
    (["drain", "127.0.0.1:9001", "--json"], False),
    (["weight", NAME, "0"], True),
    (["weight", NAME, "1"], False),
])  # fmt: skip
def test_the_last_usable_one(tmp_path: Path, capsys: Capture, words: list[str], warned: bool) -> None:
    """Taking it out is allowed, and a warning."""
    pool = {"name": "api", "usable": 0, "backends": [{"name": "127.0.0.1:9001"}]}
    with Controlled(tmp_path / "c", lambda request: {"ok": True, "pools": [pool]} if request == StatusRequest() else {"ok": True}):
        assert cli.main(["backend", *words, "--control", str(tmp_path / "c")]) == 0
    assert ("no usable backend is left in pool api" in capsys.readouterr().err) is warned


@pytest.mark.parametrize("words", [["drain", "x"], ["drain", "x", "--wait"], ["enable", "x"], ["weight", "x", "1"]])
def test_a_no_is_told(tmp_path: Path, capsys: Capture, words: list[str]) -> None:
    """Once, whether or not it should have waited."""
    with Controlled(tmp_path / "c", lambda _: {"ok": False, "error": "no backend x"}) as master:
        assert cli.main(["backend", *words, "--control", str(tmp_path / "c")]) == 1
    assert capsys.readouterr() == ("", "lbproxy: no backend x\n")
    assert len(master.asked) == 1


@pytest.mark.parametrize(("words", "told"), [
    (["weight", NAME, "1001"], 'wanted a number from 0 to 1000, got "1001"'),
    (["weight", NAME, "-1"], "got \"-1\""),
    (["weight", NAME, "²"], "got \"²\""),
    (["weight", NAME], "WEIGHT"),
    (["kill", NAME], "invalid choice: 'kill'"),
    ([], "drain|enable|weight"),
    (["drain"], "NAME"),
    (["drain", NAME, "--timeout", "30"], 'write the unit, e.g. "30s"'),
])  # fmt: skip
def test_wrong_usage(capsys: Capture, words: list[str], told: str) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["backend", *words, "--control", "c"])
    assert left.value.code == 2
    assert told in capsys.readouterr().err


def emptying(*left: tuple[int, int]) -> Callable[[Request], Answer]:
    """A master whose backend has that many requests in flight and queued, look after look; the last ones stay."""
    looks = list(left)

    def answer(request: Request) -> Answer:
        if not isinstance(request, StatusRequest):
            return {"ok": True, "note": "kept over reloads"}
        in_flight, queued = looks.pop(0) if len(looks) > 1 else looks[0]
        others = {"name": "127.0.0.1:9001", "in_flight": 99, "queued": 99}
        mine = {"name": "127.0.0.1:9001", "in_flight": in_flight, "queued": queued}
        return {"ok": True, "pools": [{"name": "web", "backends": [others]}, {"name": "api", "backends": [mine]}]}

    return answer


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "LOOK_EVERY", 0.0)


@pytest.mark.usefixtures("quick_looks")
def test_a_drain_that_waits(tmp_path: Path, capsys: Capture) -> None:
    """Each new number is printed, down to none."""
    with Controlled(tmp_path / "c", emptying((3, 1), (3, 1), (3, 1), (1, 0), (0, 0))):
        assert cli.main(["backend", "drain", NAME, "--wait", "--control", str(tmp_path / "c")]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{NAME} is drained: it gets no new requests (kept over reloads)",
        "4 requests left",
        "1 request left",
        f"no request is left at {NAME}",
    ]
    assert err == ""


@pytest.mark.usefixtures("quick_looks")
def test_a_drain_that_takes_too_long(tmp_path: Path, capsys: Capture) -> None:
    """Exit 1, with the number; the backend stays drained."""
    words = ["backend", "drain", NAME, "--wait", "--timeout", "50ms", "--control", str(tmp_path / "c")]
    with Controlled(tmp_path / "c", emptying((2, 0))):
        assert cli.main(words) == 1
        out, err = capsys.readouterr()
        assert out.splitlines()[1:] == ["2 requests left"]
        assert err == "lbproxy: 2 requests left after 50ms; it stays drained\n"
        assert cli.main([*words, "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"ok": False, "note": "kept over reloads", "in_flight": 2}
