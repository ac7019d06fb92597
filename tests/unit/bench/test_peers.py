"""Which proxies there are, and an older lbproxy beside this one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.macro import certificate, peers
from bench.macro.errors import BenchError
from bench.macro.proxies.lbproxy import REPOSITORY
from bench.macro.site import Site
from lbproxy import compiled


def site(folder: Path) -> Site:
    return Site(folder, 8443, 8080, (9000, 9001), certificate.make(folder), folder / "access.log", workers=3)


def test_an_unknown_peer_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    for name in ("traefik", "nginx@HEAD", "lbproxy@"):
        with pytest.raises(BenchError, match=f"unknown peer '{name}': wanted nginx, haproxy, lbproxy"):
            peers.maker(name, tmp_path)


def test_a_revision_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no lbproxy at revision 'no-such-revision'"):
        peers.maker("lbproxy@no-such-revision", tmp_path)


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="needs the history")
def test_a_revision_runs_from_a_tree_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.SWITCH, "1")  # the build is what takes minutes
    recipe = peers.maker("lbproxy@HEAD", tmp_path)(site(tmp_path))
    tree = Path(recipe.env["PYTHONPATH"])
    assert tree.is_relative_to(tmp_path)
    assert (tree / "lbproxy" / "__init__.py").exists()
    assert recipe.cwd == tree, "or the checkout would be imported"
    assert "not compiled, as the checkout" in peers.about("lbproxy@HEAD")


def test_what_takes_part_in_what() -> None:
    assert peers.takes("proxy.py", "tiny")
    assert not peers.takes("proxy.py", "plain")
    assert all(peers.takes(name, "websocket") for name in ("nginx", "caddy", "lbproxy", "lbproxy@HEAD~1"))


def test_the_pure_form_and_the_one_that_is_greedy_differ_from_lbproxy_in_that_alone(tmp_path: Path) -> None:
    place = site(tmp_path)
    usual, pure, greedy = (peers.maker(name, tmp_path)(place) for name in (peers.SUBJECT, peers.PURE, peers.GREEDY))
    assert pure == usual._replace(env={**usual.env, compiled.SWITCH: "1"})
    assert greedy._replace(command=[]) == usual._replace(command=[])
    assert greedy.command[-3:] == usual.command[-3:]


WORKERS = r"worker_processes 3;|nbthread 3\n|workers = 3\n|GOMAXPROCS=3|--num-workers 3 "


@pytest.mark.parametrize("name", ["nginx", "haproxy", "lbproxy", "caddy", "proxy.py"])
def test_every_proxy_is_told_the_number_of_workers_and_both_backends(tmp_path: Path, name: str) -> None:
    try:
        peers.require_peer(name)
    except BenchError as error:
        pytest.skip(str(error))
    place = site(tmp_path)
    certificates = set(tmp_path.iterdir())
    recipe = peers.maker(name, tmp_path)(place)
    written = [path.read_text() for path in tmp_path.iterdir() if path not in certificates]
    told = "\n".join([" ".join(recipe.command), *(f"{key}={value}" for key, value in recipe.env.items()), *written])
    assert re.search(WORKERS, told)
    assert all(str(port) in told for port in place.backends)


def test_hashes_are_told_of_lbproxy_only() -> None:
    assert peers.commit("nginx") is None
    if (REPOSITORY / ".git").exists():
        assert re.fullmatch("[0-9a-f]{40}", peers.commit("lbproxy@HEAD") or "")
