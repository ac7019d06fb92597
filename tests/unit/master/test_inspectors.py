"""Rules that cannot be used are told before anything of a generation begins."""

from __future__ import annotations

from lbproxy.config import model
from lbproxy.master.inspectors import Inspectors, complaints


def config(*wafs: model.Waf) -> model.Config:
    routes = tuple(model.Route("app", path=f"/{number}", line=number + 5, waf=waf) for number, waf in enumerate(wafs))
    return model.Config("a.toml", (), routes, (model.Pool("app", ()),))


def test_nobody_asks() -> None:
    """Then there is no process."""
    assert Inspectors.begin(config(), None) is None
    assert complaints(config()) == []


def test_what_is_missing_is_told_with_the_line() -> None:
    """The library, with the package that has it."""
    [complaint] = complaints(config(model.Waf(engine="libnone.so.9")))
    assert (complaint.line, complaint.key) == (5, "route.waf")
    assert "libmodsecurity3" in complaint.message
