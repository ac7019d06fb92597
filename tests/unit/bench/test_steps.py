"""Routes with one step each: who takes part in which case, and that what proxies are told is what they understand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.macro import cases, certificate, peers, step_duties, steps, wrk
from bench.macro.site import Site
from lbproxy.config.load import load_file


def site(folder: Path) -> Site:
    made = certificate.make(folder)
    return Site(folder, 8443, 8080, (9000, 9001), made, folder / "access.log", steps=True, icap=1344)


def test_each_step_has_a_case_a_proof_and_those_who_take_it() -> None:
    assert {case.name for case in cases.LOADS if case.setup.steps} == {steps.name_of(step) for step in steps.STEPS}
    assert set(step_duties.PROOFS) == set(steps.STEPS)
    for step in steps.STEPS:
        name = steps.name_of(step)
        assert cases.BY_NAME[name].path == steps.PREFIX + step
        assert ("nginx" in cases.BY_NAME[name].only) != steps.without_nginx(step)
        assert peers.takes("lbproxy@HEAD~1", name)
        assert not peers.takes("haproxy", name)


def test_lbproxy_understands_its_routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, where all is there that they need; without what is missing otherwise."""
    place = site(tmp_path)
    recipe = peers.maker("lbproxy", tmp_path)(place)
    config = load_file(Path(recipe.command[-1]))
    able = {step for step in steps.STEPS if not steps.missing(steps.name_of(step))}
    assert {route.path for route in config.routes if route.path != "/"} == {steps.PREFIX + step for step in able}
    monkeypatch.setattr(steps, "installed", lambda tool: False)
    peers.maker("lbproxy", tmp_path)(place._replace(icap=0))
    assert steps.PREFIX + "icap" not in {route.path for route in load_file(Path(recipe.command[-1])).routes}


def test_nginx_gets_the_same_words_in_front_of_its_rules(tmp_path: Path) -> None:
    recipe = peers.maker("nginx", tmp_path)(site(tmp_path))
    told = Path(recipe.command[-1]).read_text()
    assert ("modsecurity on;" in told) == bool(steps.nginx_module())
    assert "auth_request /auth;" in told
    rules = (tmp_path / "waf.conf").read_text()
    assert "SecRuleEngine On" in rules
    assert "Include /etc/modsecurity/crs/crs-setup.conf" in rules


def test_the_load_says_what_the_proof_says() -> None:
    lua = wrk.SCRIPT.read_text()
    assert step_duties.password() in lua
    assert f'"token={steps.TOKEN}"' in lua
    assert all(f'["{name}"] = "{value}"' in lua for name, value in steps.HEADERS.items())
