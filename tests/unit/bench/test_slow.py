"""The crowd is led as it is told, and the table says what it cost."""

from __future__ import annotations

import socket
import threading

import pytest

from bench.attacks.shapes import hellos
from bench.slow import command, half_open
from bench.slow.attacks import HALF_OPEN, SLOWHTTPTEST
from bench.slow.attacks import command as leading
from bench.slow.table import Sample, table


def test_the_table_sets_here_beside_elsewhere() -> None:
    samples = [
        Sample("reads", "nginx", here, 1.0 + here, p99 * (4 if here else 1), errors=here)
        for here in (False, True)
        for p99 in (2.0, 3.0, 50.0)
    ]
    row = table(samples).splitlines()[2].split()
    assert row == ["reads", "nginx", "1.00", "3.0", "2.00", "12.0", "4.0", "x", "3"]


@pytest.mark.parametrize("attack", SLOWHTTPTEST)
def test_an_attack_goes_to_this_machine(attack: str) -> None:
    words = leading(attack, 4433)
    assert words[words.index("-u") + 1].startswith("https://127.0.0.1:4433/")


@pytest.mark.parametrize("argv", [["no-such"], ["--rounds", "0"]])
def test_bad_arguments(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.arguments(argv)
    assert ended.value.code == 2


def test_half_hellos_stay_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them come, say a part of their hello, trickle, and never come to its end; who is cut comes again."""
    monkeypatch.setattr(half_open, "CROWD", 3)
    assert leading(HALF_OPEN, 4433)[-2:] == ["bench.slow.half_open", "4433"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        cut, seen = [], threading.Event()

        def cut_one() -> None:
            accepted = [server.accept()[0] for _ in range(3)]
            cut.append(accepted[0].recv(4096))
            accepted[0].close()
            accepted.append(server.accept()[0])
            for each in accepted:
                each.close()
            seen.set()

        cutting = threading.Thread(target=cut_one)
        cutting.start()
        came = half_open.crowd(server.getsockname()[1], lambda: not seen.is_set(), every=0.0)
        cutting.join()
    assert came >= 4
    assert 0 < len(cut[0]) < len(hellos())
