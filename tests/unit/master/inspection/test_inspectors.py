"""Rules that cannot be used are told before anything of a generation begins."""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path

import psutil
import pytest

from lbproxy.config import model
from lbproxy.master.inspection.inspectors import Inspectors, Loading, complaints


def config(*wafs: model.Waf) -> model.Config:
    routes = tuple(model.Route("app", path=f"/{number}", line=number + 5, waf=waf) for number, waf in enumerate(wafs))
    return model.Config("a.toml", (), routes, (model.Pool("app", ()),))


def test_nobody_asks() -> None:
    """Then there is no process."""
    assert Inspectors.begin(config(), None) is None
    assert complaints(config()) == []


def test_how_they_fare_is_told_once() -> None:
    """What was replaced counts from the last call on; of a process that has ended nobody lives."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    made = Inspectors(ours, 0)
    assert made.heard() == (0, 0, 0)
    theirs.send(b"[2, 0, 0]")
    theirs.send(b"[4, 3, 1]")
    assert made.heard() == (4, 3, 1)
    assert made.heard() == (4, 0, 0)
    theirs.send(b"[4, 5, 1]")
    assert made.heard() == (4, 2, 0)
    assert not made.gone
    theirs.close()
    assert made.heard() == (0, 0, 0)
    assert made.gone
    made.close()


def test_what_is_missing_is_told_with_the_line() -> None:
    """The library, with the package that has it."""
    [complaint] = complaints(config(model.Waf(engine="libnone.so.9")))
    assert (complaint.line, complaint.key) == (5, "route.waf")
    assert "libmodsecurity3" in complaint.message


@pytest.mark.parametrize("there", [True, False])
def test_nothing_stays_of_rules_that_were_loaded_or_refused(there: bool, tmp_path: Path) -> None:
    """Each reload loads them in a process of its own, which ends with them: no descriptor and no process is left behind."""
    if there:
        try:
            ctypes.CDLL(model.Waf().engine)
        except OSError:
            pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)")
    (tmp_path / "a.conf").write_text('SecRule ARGS "@contains evil" "id:1,phase:2,deny,status:403,log"\n')
    asked = config(model.Waf(rules=(str(tmp_path / "a.conf"),), engine=model.Waf().engine if there else "libnone.so.9"))

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(psutil.Process().children())

    before = held()
    for _ in range(3):
        assert bool(complaints(asked)) != there
    assert held() == before


def test_loading_is_given_up() -> None:
    """The process ends, whatever it is about."""
    loading = Loading(config(model.Waf()), None)
    [child] = psutil.Process().children()
    loading.close()
    assert not child.is_running()
