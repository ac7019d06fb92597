"""New code is tried beside the master."""

from __future__ import annotations

import os
import sys

import pytest

from lbproxy.master.succession.trial import TRIAL_TIME, Trial
from tests.support.descriptors import held_open


def _reaped(trial: Trial) -> None:
    pid, status = os.waitpid(trial.pid, 0)
    trial.ended(pid, status)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("pass", ""),
        ("import sys; sys.exit('a.toml:3: wanted a number')", "a.toml:3: wanted a number"),
        ("import sys; sys.exit(4)", "exit 4"),
        ("import sys; sys.exit('x' * 100_000 + '\\n' + 'last\\n' * 9)", "\n".join(["last"] * 5)),
        ("import os; os.kill(os.getpid(), 9)", "exit -9"),
    ],
)
def test_the_new_code_is_tried(program: str, why: str) -> None:
    """Its last lines tell what it thinks of the configuration; before its end nothing is known."""
    trial = Trial([sys.executable, "-c", program], 100.0)
    assert trial.verdict(100.0) is None
    trial.ended(trial.pid + 1, 0)  # somebody else
    assert trial.verdict(100.0) is None
    _reaped(trial)
    said = trial.verdict(100.0)
    trial.close()
    assert said is not None
    assert said.endswith(why)
    assert bool(said) is bool(why)


def test_new_code_that_is_not_there() -> None:
    """Nothing is left open."""
    before = held_open()
    with pytest.raises(FileNotFoundError):
        Trial(["/no/such/program"], 0.0)
    assert held_open() <= before


def test_new_code_that_does_not_end() -> None:
    """It is told, and killed."""
    trial = Trial([sys.executable, "-c", "import time; time.sleep(600)"], 100.0)
    assert "no end after 120 s" in str(trial.verdict(100.0 + TRIAL_TIME))
    trial.close()
    assert os.waitpid(trial.pid, 0)[1] == 9
