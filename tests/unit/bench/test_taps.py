"""Readers of taps in every state: what lbproxy is told, and the table of what requests wait beside them."""

from __future__ import annotations

from pathlib import Path

from bench.macro import certificate, peers
from bench.macro.openloop import Waits
from bench.macro.site import Site
from bench.macro.steps import PREFIX
from bench.taps import states
from bench.taps.states import LARGE, NONE, STATES
from bench.taps.table import TapSample, rows, table
from lbproxy.config.load import load_text


def test_lbproxy_understands_its_taps(tmp_path: Path) -> None:
    """Each state but one has a tap of its own, on routes for small answers and for large ones."""
    made = certificate.make(tmp_path)
    site = Site(tmp_path, 8443, 8080, (9000, 9001), made, tmp_path / "access.log")
    recipe = peers.maker("lbproxy", tmp_path)(site)
    ports = {name: 9100 + number for number, name in enumerate(STATES)}
    text = states.config(Path(recipe.command[-1]).read_text(), tmp_path, ports, 9000)
    config = load_text(text, "x.toml", tmp_path)
    taps = {route.path: route.tap for route in config.routes if route.path != "/"}
    assert taps == {PREFIX + more + name: name if name != NONE else "" for name in STATES for more in ("", LARGE)}
    assert [tap.name for tap in config.taps] == [name for name in STATES if name != NONE]
    assert {tap.name for tap in config.taps if tap.folder} == {"files", "full"}


def waits(p99: float) -> Waits:
    return Waits(3000, 1, 0, 2.0, 0.2, 0.3, p99, 5.0, 6.0, 0.1)


def test_compared_within_a_round() -> None:
    """With the route that has no tap, so that a machine that others use says something all the same."""
    taken = [
        TapSample(state, number, waits(p99), 20.0, 5.0)
        for number, quiet in enumerate((1.0, 4.0, 2.0))
        for state, p99 in ((NONE, quiet), ("live", quiet * 1.5))
    ]
    plain, live = rows(taken)
    assert plain.by_none is None
    assert live.by_none is not None
    assert live.by_none.mid == live.by_none.low == live.by_none.high == 1.5
    assert (live.p99_ms.low, live.p99_ms.mid, live.p99_ms.high) == (1.5, 3.0, 6.0)
    assert live.errors == 3
    assert "1.50 x" in table(taken)
