"""What can be asked of the harness."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench import __main__ as bench
from bench.macro import cases, command, peers, scale_command
from bench.macro.errors import BenchError


def test_everything_is_measured_when_nothing_is_asked() -> None:
    chosen = command.arguments([])
    assert chosen.cases == list(cases.NAMES)
    assert (chosen.rounds, chosen.seconds) == (command.ROUNDS, command.SECONDS)
    assert {"tls-backends", "100backends", "websocket", "2workers", "latency", "reload", "idle"} < set(chosen.cases)


def test_quick_is_one_round_unless_more_are_asked_for() -> None:
    assert (command.arguments(["--quick"]).rounds, command.arguments(["--quick"]).seconds) == (1, 1)
    assert command.arguments(["--quick", "--rounds", "3"]).rounds == 3


@pytest.mark.parametrize("words", [["no-such-case"], ["--rounds", "0"], ["--seconds", "-1"]])
def test_nonsense_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command.arguments(words)
    assert refused.value.code == 2
    assert capsys.readouterr().err


def test_the_peers_are_those_asked_for_and_each_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(name: str) -> None:
        if name in ("caddy", "haproxy"):
            raise BenchError("not installed")

    monkeypatch.setattr(peers, "require_peer", missing)
    assert command.wanted_peers(command.arguments([])) == ["nginx", "lbproxy", "proxy.py"]
    assert command.wanted_peers(command.arguments(["--quick"])) == ["nginx", "lbproxy"]
    assert "caddy" not in (told := capsys.readouterr().err), "nobody asked for it"
    assert "without haproxy: not installed" in told
    assert command.wanted_peers(command.arguments(["--peers", "lbproxy,caddy,lbproxy"])) == ["lbproxy"]
    assert "without caddy" in capsys.readouterr().err
    assert command.wanted_peers(command.arguments(["--against", "v1"])) == ["lbproxy@v1", "lbproxy"]
    with pytest.raises(BenchError, match="none of the peers"):
        command.wanted_peers(command.arguments(["--peers", "haproxy"]))


def test_what_is_waived_is_told_with_its_reason() -> None:
    told = command.waivers(["nginx", "caddy", "proxy.py"])
    assert list(told) == ["caddy", "proxy.py"]
    assert "least connections (chooses at random)" in told["proxy.py"]


def test_a_verb_with_options_is_a_verb_and_among_cases_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, Sequence[str]]] = []

    def note(name: str) -> object:
        return lambda words: called.append((name, words))

    monkeypatch.setattr("signal.signal", lambda number, action: None)
    monkeypatch.setattr(bench, "VERBS", {name: note(name) for name in ("reload", "scale", "faults")})
    monkeypatch.setattr("bench.macro.command.main", note("macro"))
    for words in ("reload", "reload --reloads 2", "scale", "reload tiny", "tiny reload", "faults slow", ""):
        bench.main(words.split())
    assert called == [
        ("reload", []),
        ("reload", ["--reloads", "2"]),
        ("scale", []),
        ("macro", ["reload", "tiny"]),
        ("macro", ["tiny", "reload"]),
        ("faults", ["slow"]),
        ("macro", []),
    ]


def test_scale_takes_numbers_above_nothing() -> None:
    chosen = scale_command.arguments(["--workers", "2", "3", "--rounds", "1"])
    assert (chosen.workers, chosen.rounds, chosen.held) == ([2, 3], 1, 2000)
    with pytest.raises(SystemExit):
        scale_command.arguments(["--workers", "0"])
