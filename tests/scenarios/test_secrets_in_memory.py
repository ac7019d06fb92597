"""A promise about secrets is one about memory: every process is searched for them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.support.memory import found_in, traces
from tests.support.process import LbProxy, title_of

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="reading other processes' memory needs root")

NUMBERS = ("big end first", "little end first")


def control_of(proxy: LbProxy) -> int:
    """Its pid, when it is up."""
    return int(proxy.wait_event("control.ready")["pid"])


def _serving(proxy: LbProxy, generation: int) -> list[int]:
    return [event["pid"] for event in proxy.events("worker.ready") if event["generation"] == generation]


def test_private_keys_are_in_the_workers_alone(stage: Stage) -> None:
    """Control, which reads what backends, name servers and scrapers say, has none; nor has the master, whatever it checked and
    tried before; and the text of the file is nowhere. (A worker's context has the key's numbers, so it is no empty search.)"""
    config = stage.config(stage.app().address, workers=2)
    [pair] = config["listen"][0]["certificates"]
    needles = traces(Path(pair["key"]))
    proxy = stage.run(config)
    control = control_of(proxy)
    assert stage.client(proxy).request("GET", "/").status == 200
    for again in (False, True):
        if again:
            proxy.signal(signal.SIGHUP)
            proxy.wait_event("reloaded")
            control = int(proxy.wait_event("control.ready", skip=1)["pid"])
        assert found_in(control, needles) == set()
        assert found_in(proxy.pid, needles) == set()
        for worker in _serving(proxy, 2 if again else 1):
            found = found_in(worker, needles)
            assert found
            assert all(name.endswith(NUMBERS) for name in found), found


def test_a_successor_of_control_has_none_either(stage: Stage) -> None:
    """Forked by the forker, which has none; and when that is killed, executed anew."""
    app = stage.app()
    config = stage.config(app.address)
    [pair] = config["listen"][0]["certificates"]
    needles = traces(Path(pair["key"]))
    proxy = stage.run(config)
    control = control_of(proxy)
    for number, victim in enumerate(["control", "forker"], start=1):
        proxy.settled()
        [forker] = [one for one in proxy.members() if "forker" in title_of(one)]
        assert found_in(forker.pid, needles) == set()
        if victim == "forker":
            forker.kill()
        os.kill(control, signal.SIGKILL)
        control = int(proxy.wait_event("control.ready", skip=number)["pid"])
        assert found_in(control, needles) == set()
    proxy.wait_event("forker.gone")


def test_of_client_keys_control_has_those_it_checks_with(stage: Stage) -> None:
    """Pools whose health is asked by TLS; the key of one that is only connected to is none of its business."""
    asked, connected = stage.authority.issue("asked.test"), stage.authority.issue("connected.test")
    config = stage.config(stage.app().address)
    for name, pair, kind in (("asked", asked, "tls"), ("connected", connected, "tcp")):
        tls = {"verify": False, **pair}
        config["pool"][name] = {"backends": ["127.0.0.1:9"], "tls": tls, "health": {"type": kind}}
        config["route"].insert(0, {"host": f"{name}.test", "pool": name})
    proxy = stage.run(config)
    control = control_of(proxy)
    assert found_in(control, traces(Path(asked["key"])))
    assert not found_in(control, traces(Path(connected["key"])))


def test_several_certificates_of_a_listener(stage: Stage) -> None:
    """The master has none of them, in no form; a worker that of the default, and of any other when somebody has asked for it: its
    numbers, and no text."""
    config = stage.config(stage.app().address)
    pairs = config["listen"][0]["certificates"]
    pairs.append(stage.authority.issue("second.test"))
    proxy = stage.run(config)
    control = control_of(proxy)
    first, second = (traces(Path(pair["key"])) for pair in pairs)
    [worker] = _serving(proxy, 1)
    assert found_in(worker, first)
    assert found_in(worker, second) == set()
    assert stage.client(proxy, name="second.test").request("GET", "/").status == 200
    found = found_in(worker, second)
    assert found
    assert all(name.endswith(NUMBERS) for name in found), found
    for pid in (control, proxy.pid):
        assert found_in(pid, {**first, **{f"second {name}": each for name, each in second.items()}}) == set()


def test_other_programs_credentials_stay_with_the_master(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the environment of whoever started us: control's never has it, a worker's is emptied."""
    secret = "8c1f0e6d-not-for-children-5b7a4e"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    proxy = stage.proxy(stage.app().address)
    control = control_of(proxy)
    assert found_in(control, {"the variable": secret.encode()}) == set()
    for pid in (control, *proxy.wait_workers(1)):
        assert secret.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
