"""Simulated sites: the same for the same seed, and right where the right answer is known."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import pytest

from bench.simulate import command, plot, table, world
from bench.simulate.world import EACH, EXACT, LEAST_EACH, ROUND, TOGETHER, TWO, Waits

ALL = (*TOGETHER, *EACH)


def test_requests_are_what_they_are_said_to_be() -> None:
    """A mean of one for service, the asked-for rate, every worker alike; and the same again."""
    made = list(world.requests(20_000, 4.0, 7))
    assert fmean(request.service for request in made) == pytest.approx(1.0, rel=0.05)
    assert made[-1].arrives == pytest.approx(20_000 / 4.0, rel=0.05)
    assert fmean(request.worker for request in made) == pytest.approx(0.5, rel=0.05)
    assert made == list(world.requests(20_000, 4.0, 7))
    assert made[:9] != list(world.requests(9, 4.0, 8))


def test_one_backend_leaves_no_choice() -> None:
    """All wait alike."""
    assert len({world.simulate(policy, 1, 3, 5, 1000)[3:] for policy in ALL}) == 1


def test_one_worker_knows_all() -> None:
    """Exact is what a single worker's counts are."""
    together, alone = world.simulate(EXACT, 8, 5, 3, 3000), world.simulate(LEAST_EACH, 8, 1, 3, 3000)
    assert together[3:] == alone[3:]


def test_what_exactness_buys() -> None:
    """The order at twenty backends."""
    exact, two, each, turns = (world.simulate(policy, 20, 32, 1, 6000) for policy in (EXACT, TWO, LEAST_EACH, ROUND))
    assert exact.p99 < two.p99 < min(each.p99, turns.p99)
    assert exact.p50 == 0.0 < two.p50 < min(each.p50, turns.p50)


def test_each_backend_serves_one_at_a_time() -> None:
    """In a round of three, a request waits for what its own backend has got before it, and for nothing else."""
    made = list(world.requests(300, world.LOAD * 3, 11))
    free, waits = [0.0] * 3, []
    first = world.pools(ROUND, 3, 1, 11)[0].pick()
    for number, request in enumerate(made):
        at = (first.slot + number) % 3  # type: ignore[union-attr]
        waits.append(max(0.0, free[at] - request.arrives))
        free[at] = max(free[at], request.arrives) + request.service
    told = world.simulate(ROUND, 3, 1, 11, 300)
    assert told.longest == max(waits[150:])
    assert told.p50 == sorted(waits[150:])[75]


ROWS = [Waits("least_conn exact", 10, 0, 99, 0.0, 1.234, 5.0), Waits("least_conn per worker", 10, 4, 99, 0.5, 2.0, 7.0)]


def test_table() -> None:
    lines = [line.split() for line in table.table([*ROWS, ROWS[0]._replace(backends=100)]).splitlines()]
    assert lines[2] == ["10", "least_conn", "exact", "any", "0.00", "1.23", "5.0"]
    assert lines[3] == ["least_conn", "per", "worker", "4", "0.50", "2.00", "7.0"]
    assert lines[5][0] == "100"


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot.draw(tmp_path / "x.png", ROWS, "a title")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A small run, whole; what came out can be drawn again from its JSON."""
    file = tmp_path / "out.json"
    words = ["--backends", "2", "3", "--workers", "2", "--requests", "60", "--json", str(file)]
    assert command.main(words) == 0
    rows = [Waits(**row) for row in json.loads(file.read_text())["rows"]]
    assert [row.backends for row in rows] == [2] * 5 + [3] * 5
    assert table.table(rows) in capsys.readouterr().out
    assert command.main([*words, "--plot", str(tmp_path / "nowhere" / "x.png")]) == 1
    with pytest.raises(SystemExit):
        command.arguments(["--backends", "2000"])
