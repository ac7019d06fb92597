"""The side by side, small: one proxy, one round, a second a case, with everything real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.macro import cases, command
from bench.macro.errors import BenchError
from bench.macro.machine import require


def missing() -> str:
    """What the run needs and is not here."""
    try:
        require("nginx", "it is the backends, and the proxy")
        require("wrk", "the load")
        require("h2load", "the load of HTTP/2")
    except BenchError as error:
        return str(error)
    has_openssl = shutil.which("cc") and Path("/usr/include/openssl/ssl.h").exists()
    return "" if has_openssl else "needs a C compiler and OpenSSL's headers"


@pytest.mark.skipif(missing() != "", reason=missing())
def test_a_run_measures_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    asked = ["tiny", "websocket", "tls-backends", "h2", "h2-16m", "h2-upload100k", "h2-backends", "idle", "h2-idle", "latency"]
    options = ["--peers", "nginx", "--rounds", "1", "--seconds", "1", "--quick", "--no-pin", "--json", str(out)]
    assert command.main([*asked, *options]) == 0, capsys.readouterr().err
    told = json.loads(out.read_text())
    samples = {sample["case"]: sample for sample in told["samples"]}
    assert set(samples) == set(asked) - {"latency"}
    for name, sample in samples.items():
        assert sample["figure"] > 0, name
        assert sample["errors"] == 0, name
        assert (0 < sample["p50_ms"] <= sample["p99_ms"]) == (name not in cases.MEMORY), name
    assert [wait["share"] for wait in told["latency_samples"]] == [0.5, 0.8]
    for wait in told["latency_samples"]:
        assert wait["rate"] == pytest.approx(wait["share"] * samples["tiny"]["per_second"])
        assert 0 < wait["p50_ms"] <= wait["p99_ms"] <= wait["max_ms"]
    assert told["versions"]["nginx"].startswith("nginx/")
    assert told["facts"]["tls"].startswith("nginx: TLSv1.3")
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("us CPU/request", "websocket", "sent late p99"))


def test_every_setup_has_a_case_and_names_are_told_apart() -> None:
    assert {case.setup for case in cases.LOADS} == set(cases.SETUPS)
    assert len(set(cases.NAMES)) == len(cases.NAMES)
