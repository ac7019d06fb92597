"""The whole look, at a master with a script."""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

from lbproxy import __version__
from lbproxy.cli import reach
from lbproxy.cli.live.look import look
from lbproxy.config.digest import digest
from tests.support.controlled import Controlled
from tests.unit.audit.site import site

MADE = replace(site(), listen=())


def test_a_master_that_answers(tmp_path: Path) -> None:
    """This test's own process is its worker, which is root, or has other faults of a test."""
    walls = ["memory", "ledger", "privileges", "calls", "files", "ports"]
    worker = {"worker": 1, "pid": os.getpid(), "phase": "serving", "walls": walls}
    answer = {"ok": True, "version": __version__, "digest": digest(MADE), "generations": [{"workers": [worker]}]}
    with Controlled(tmp_path / "c", lambda _: answer):
        looked = look(MADE, Namespace(config=None, control=tmp_path / "c"))
    found = {evidence.value for check, evidence in looked.found if check.id == "live-walls"}
    assert (looked.fault, looked.pid, found) == ("", os.getpid(), {"worker 1 is without processes"})
    about = {"live-root", "live-privileges", "live-memory", "live-unseen"}
    assert about & {check.id for check, _ in looked.found}, "something was said of the process"


def test_nobody_there_or_one_who_refuses(tmp_path: Path) -> None:
    where = Namespace(config=None, control=tmp_path / "c")
    assert "no lbproxy is running" in look(MADE, where).fault
    with Controlled(tmp_path / "c", lambda _: {"ok": False, "error": "no"}):
        assert look(MADE, where).fault == "no"


def test_one_who_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach.ask, "__defaults__", (0.2,))
    with Controlled(tmp_path / "c", lambda _: None):
        assert "has not answered within 0.2 s" in look(MADE, Namespace(config=None, control=tmp_path / "c")).fault
