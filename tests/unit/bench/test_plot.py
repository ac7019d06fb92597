"""The picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.macro.errors import BenchError
from bench.macro.figures import Sample, rows
from bench.macro.latency_table import LatencySample, latency_rows
from bench.macro.plot import draw

PNG = b"\x89PNG\r\n\x1a\n"
PEERS = ["nginx", "lbproxy"]
SAMPLES = [Sample(case, peer, number, 20.0 + number) for case in ("tiny", "idle") for peer in PEERS for number in (0, 1)]
WAITS = [LatencySample(peer, 0, share, 1000.0, 20.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.1, 0) for peer in PEERS for share in (0.5, 0.8)]


def test_a_png_is_drawn_of_what_there_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot is of the bench extra")
    found, waits = rows(SAMPLES, PEERS, "lbproxy"), latency_rows(WAITS, PEERS)
    sizes = []
    for number, given in enumerate(((found, waits), (found, []), ([], waits), (found[1:2], []))):
        path = tmp_path / f"{number}.png"
        draw(path, *given, "lbproxy", "a test")
        content = path.read_bytes()
        assert content.startswith(PNG)
        sizes.append(int.from_bytes(content[20:24], "big"))  # the height, in IHDR
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3], "three panels, two, one, one"


def test_nothing_is_not_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot is of the bench extra")
    with pytest.raises(BenchError, match="no figures"):
        draw(tmp_path / "empty.png", [], [], "lbproxy", "a test")
