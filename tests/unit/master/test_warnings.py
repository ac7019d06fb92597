"""Warnings in the log."""

from __future__ import annotations

import json

import pytest

from lbproxy.compiled import Form
from lbproxy.config.model import LogConfig
from lbproxy.errors import Complaint
from lbproxy.master.warnings import plain_by_an_edit, warn
from lbproxy.observe import log


def test_each_is_an_event(capfd: pytest.CaptureFixture[str]) -> None:
    """With the file's line, where it has one."""
    log.configure(LogConfig(format="json"), role="master")
    warn(("user.ignored", "not root"), Complaint("lb.toml", 7, "listen[0]", "it expired", "renew it"))
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(each["event"], each["why"]) for each in events] == [
        ("user.ignored", "not root"),
        ("config.warning", "lb.toml:7: listen[0]: it expired (renew it)"),
    ]


def test_an_edit_that_makes_everything_plain_is_told() -> None:
    """With the file and the way out; who wanted plain Python, or could not build, hears nothing."""
    [(event, why)] = plain_by_an_edit(Form({}, "sources changed", ("proxy/exchange.py",)))
    assert event == "compiled.stale"
    assert "proxy/exchange.py; scripts/compile builds anew" in why
    assert plain_by_an_edit(Form({}, "LBPROXY_PURE")) == plain_by_an_edit(Form({"a": "b"}, "")) == []
