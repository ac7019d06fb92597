"""The crowd is led as it is told, and the table says what it cost."""

from __future__ import annotations

import pytest

from bench.slow import command
from bench.slow.attacks import ATTACKS
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


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_goes_to_this_machine(attack: str) -> None:
    words = leading(attack, 4433)
    assert words[words.index("-u") + 1].startswith("https://127.0.0.1:4433/")


@pytest.mark.parametrize("argv", [["no-such"], ["--rounds", "0"]])
def test_bad_arguments(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.arguments(argv)
    assert ended.value.code == 2
