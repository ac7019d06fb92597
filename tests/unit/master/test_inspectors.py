"""Rules that cannot be used are told before anything of a generation begins."""

from __future__ import annotations

import socket

from lbproxy.config import model
from lbproxy.master.inspectors import Inspectors, complaints


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
