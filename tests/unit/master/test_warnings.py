"""Warnings in the log."""

from __future__ import annotations

import json

import pytest

from lbproxy.config.model import Log
from lbproxy.errors import Complaint
from lbproxy.master.warnings import warn
from lbproxy.observe import log


def test_each_is_an_event(capfd: pytest.CaptureFixture[str]) -> None:
    """With the file's line, where it has one."""
    log.configure(Log(format="json"), role="master")
    warn(("user.ignored", "not root"), Complaint("lb.toml", 7, "listen[0]", "it expired", "renew it"))
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(each["event"], each["why"]) for each in events] == [
        ("user.ignored", "not root"),
        ("config.warning", "lb.toml:7: listen[0]: it expired (renew it)"),
    ]
