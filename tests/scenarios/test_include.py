"""A site a file: they come and go with reloads, each mistake is told with its own line, secrets come from the environment."""

from __future__ import annotations

import json
from typing import Any

import pytest
import toml

from tests.conftest import Stage
from tests.support.process import run_cli
from tests.support.reloads import Reloads


def test_sites_come_and_go(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under one running lbproxy; what is wrong with one of them changes nothing. A variable is read anew by no reload: it is the
    master's, from its start."""
    first, second = stage.app("first"), stage.app("second")
    monkeypatch.setenv("LBPROXY_TEST_SECRET", "t0p-s3cret")
    monkeypatch.setenv("LBPROXY_TEST_BACKEND", first.address)
    sites = stage.directory / "sites"
    sites.mkdir()

    def site(name: str, backend: str) -> None:
        rules = {"set": {"X-Secret": "${LBPROXY_TEST_SECRET}"}}
        pool: dict[str, Any] = {"backends": [backend], "request_headers": rules}
        route = {"host": f"{name}.test", "pool": name}
        (sites / f"{name}.toml").write_text(toml.dumps({"route": [route], "pool": {name: pool}}))

    site("one", "${LBPROXY_TEST_BACKEND}")
    config = {"include": [f"{sites}/*.toml"], **stage.config(first.address, proxy={"control": "c.sock"})}
    proxy = stage.run(config)
    reloads = Reloads(proxy)

    def served(name: str) -> tuple[int, str, str]:
        with stage.client(proxy) as client:
            answer = client.request("GET", "/echo", [("Host", f"{name}.test")])
            told = json.loads(answer.body)
            return answer.status, told["name"], dict(map(tuple, told["fields"])).get("X-Secret", "")

    assert served("one") == (200, "first", "t0p-s3cret")
    assert served("two")[2] == ""  # the main file's route for everything else
    site("two", second.address)
    (sites / "one.toml").unlink()
    reloads.reload()
    assert served("two") == (200, "second", "t0p-s3cret")
    assert served("one")[2] == ""

    site("three", "no port")
    refused = run_cli("reload", "-c", str(proxy.file))
    assert refused.returncode == 1
    assert f"{sites}/three.toml:6: pool.three.backends[0]: wanted an address" in refused.stderr
    assert served("two") == (200, "second", "t0p-s3cret")
    effective = run_cli("check", "-c", str(proxy.file), "--effective")
    assert "t0p-s3cret" not in effective.stdout + effective.stderr + refused.stderr
    (sites / "three.toml").unlink()
    effective = run_cli("check", "-c", str(proxy.file), "--effective")
    assert "${LBPROXY_TEST_SECRET}" in effective.stdout, (effective.returncode, effective.stderr)
    assert "t0p-s3cret" not in effective.stdout
