from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bench.faults import command, faults, report
from bench.faults.effect import Effect
from bench.faults.names import Zone
from bench.faults.proxies import AWAY, maker
from bench.faults.run import Plan, Result
from bench.macro.certificate import make
from bench.macro.site import Site
from bench.reload.outcome import Lost, Tally
from lbproxy.config.load import load_file
from tests.support.tools import need


def _result(fault: str, peer: str, left: float | None, back: float | None) -> Result:
    tally = Tally(waits=[0.002, 1.25])
    tally.done["idle"] = 90
    for client in ("idle", "fresh", "upload"):
        tally.lose(0.0, client, Lost("status", "502 instead of 200"))
    return Result(fault, peer, tally, Effect(300, 20, left, back, 1.04))


RESULTS = [_result("slow", "nginx", None, None), _result("slow", "lbproxy", 0.5, 1.25), _result("mute", "nginx", 0.0, 0.0)]


def test_table() -> None:
    """Faults named once, losses apart by what may be sent twice."""
    lines = report.table(RESULTS).splitlines()
    assert " ".join(lines[2].split()) == "slow nginx 93 2 1 stays not 20 of 300 1.04 1250 1250"
    assert " ".join(lines[3].split()) == "lbproxy 93 2 1 0.5 1.2 20 of 300 1.04 1250 1250"
    assert lines[4] == lines[1]
    assert lines[5].split()[0] == "mute"


def test_json() -> None:
    told = json.loads(report.as_json({"cpu": "x"}, RESULTS, Plan()))
    assert told["plan"]["fault"] == Plan.fault
    one = told["results"][1]
    assert (one["fault"], one["peer"], one["left"], one["met"], one["lost_by"]["upload"]) == ("slow", "lbproxy", 0.5, 20, 1)
    assert "waits" not in one


def test_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.arguments(["slow", "mute", "--quick"]).faults == ["slow", "mute"]
    with pytest.raises(SystemExit):
        command.arguments(["slwo"])
    assert "no such fault: slwo" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.arguments(["--help"])
    told = capsys.readouterr().out
    assert all(fault.what in told for fault in faults.FAULTS)


def test_lbproxy_takes_its_configuration(tmp_path: Path) -> None:
    site = Site(tmp_path, 18443, 18080, (9000, 9001, 9002), make(tmp_path), tmp_path / "access.log", 4)
    recipe = maker("lbproxy", tmp_path)(site)
    [pool] = load_file(Path(recipe.command[-1])).pools
    assert (pool.health.type, pool.outlier.ejection, len(pool.backends)) == ("http", AWAY, 3)


def test_without_dnsmasq_its_fault_is_skipped_with_a_word() -> None:
    assert command.possible(faults.FAULTS, True) == (list(faults.FAULTS), "")
    possible, word = command.possible(faults.FAULTS, False)
    assert [fault.name for fault in possible] == [name for name in faults.NAMES if name != "dns"]
    assert word.startswith("skipped: dns (dnsmasq is not installed")


ZONE = Zone("app.test", 9000, "127.0.0.1:5353", 3)


def test_lbproxy_takes_a_name(tmp_path: Path) -> None:
    site = Site(tmp_path, 18443, 18080, (9000, 9000, 9000), make(tmp_path), tmp_path / "access.log", 4)
    config = load_file(Path(maker("lbproxy", tmp_path)(site, ZONE).command[-1]))
    assert [str(server) for server in config.proxy.resolvers] == [ZONE.server]
    assert [str(backend.address) for backend in config.pools[0].backends] == ["app.test:9000"]


@pytest.mark.parametrize("zone", [None, ZONE])
@pytest.mark.parametrize(("peer", "test"), [("nginx", ["-t"]), ("haproxy", ["-c"])])
def test_the_others_take_their_configuration(tmp_path: Path, peer: str, test: list[str], zone: Zone | None) -> None:
    """And do not warn."""
    need(peer)
    site = Site(tmp_path, 18443, 18080, (9000, 9001, 9002), make(tmp_path), tmp_path / "access.log", 4)
    recipe = maker(peer, tmp_path)(site, zone)
    ended = subprocess.run([*recipe.command, *test], capture_output=True, text=True, timeout=120, check=False, cwd=recipe.cwd)
    assert ended.returncode == 0, ended.stderr
    assert "warn" not in ended.stderr.lower(), ended.stderr
