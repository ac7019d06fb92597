"""Keys outside the workers: who has them, who has them not, and what becomes of handshakes when those who have them end."""

from __future__ import annotations

import os
import signal
import ssl
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme

from tests.conftest import Stage
from tests.scenarios.test_certificates import put, shown, verifying
from tests.support.memory import found_in, traces
from tests.support.ports import free_port
from tests.support.process import LbProxy, title_of
from tests.support.waiting import eventually
from tests.support.wire import Client
from tests.unit.tls.handshakes import Issuer


def holders(proxy: LbProxy) -> list[psutil.Process]:
    """The processes that hold keys."""
    return [one for one in proxy.members() if title_of(one).startswith("lbproxy: keys")]


def isolated(stage: Stage, **more: Any) -> tuple[dict[str, Any], Path]:
    """With an RSA and an EC pair for one name, and another name."""
    folder = stage.directory / "certs"
    put(stage.authority, folder / "a.crt", folder / "a.key", "a.test")
    put(stage.authority, folder / "b.crt", folder / "b.key", "a.test", trustme.KeyType.RSA)
    put(stage.authority, folder / "c.crt", folder / "c.key", "c.test")
    config: dict[str, Any] = stage.config(stage.app().address, **more)
    config["proxy"]["key_isolation"] = True
    config["listen"][0]["certificates"] = str(folder)
    return config, folder


def test_workers_have_no_key(stage: Stage) -> None:
    """Both kinds of key sign in TLS 1.2 and 1.3, for names that ask clients for certificates too, before and after a renewal, a
    reload and SIGUSR2; the numbers of no key are in any process but those that hold them, and these have no files, no sockets of
    the network and no other descriptors."""
    config, folder = isolated(stage, workers=2)
    clients = Issuer(stage.directory, "clients")
    asked = {"names": ["c.test"], "client_ca": str(clients.file), "client_auth": "required"}
    config["listen"][0]["tls"] = {"name": [asked]}
    member = verifying(stage)
    member.load_cert_chain(*clients.issue("me.test"))
    proxy = stage.run(config)
    contexts = [verifying(stage, kind) for kind in ("RSA", "ECDSA")] + [verifying(stage)]
    for _ in range(3):
        for context in contexts:
            shown(proxy, context, "a.test")
        shown(proxy, member, "c.test")
    with pytest.raises(ssl.SSLError):
        shown(proxy, contexts[1], "c.test")  # who shows none
    new = put(stage.authority, folder / "c.crt", folder / "c.key", "c.test")
    eventually(lambda: shown(proxy, member, "c.test") == new, "the renewed pair is shown")
    for number, sent in enumerate((signal.SIGHUP, signal.SIGUSR2)):
        proxy.signal(sent)
        proxy.wait_event("reloaded", skip=number)
        for context in contexts:
            shown(proxy, context, "a.test")
        eventually(lambda: len(holders(proxy)) == 2, "those of the generation before have gone")
    if os.getuid() != 0:
        return
    for _ in range(12):
        shown(proxy, member, "c.test")
    needles = {f"{name} {each}": value for name in "abc" for each, value in traces(folder / f"{name}.key").items()}
    found = {one.pid: found_in(one.pid, needles) for one in proxy.members()}
    keepers = {one.pid for one in holders(proxy)}
    assert any(found[pid] for pid in keepers)
    assert not any(found[pid] for pid in found.keys() - keepers)
    for pid in keepers:
        kinds = sorted(os.readlink(each).partition(":")[0] for each in Path(f"/proc/{pid}/fd").iterdir())
        assert kinds == ["/memfd", "socket"]
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Seccomp:\t2" in status
        assert "NoNewPrivs:\t1" in status
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_ends_is_replaced(stage: Stage, sent: signal.Signals) -> None:
    """And one that does not answer; meanwhile handshakes fail cleanly, requests on open connections go on, and it is told."""
    config, _ = isolated(stage)
    metrics = free_port()
    config["metrics"] = {"address": f"127.0.0.1:{metrics}"}
    proxy = stage.run(config)
    with Client(proxy.port(), context=verifying(stage), name="a.test") as client:
        assert client.request("GET", "/", [("Host", "a.test")]).status == 200
        [holder] = holders(proxy)
        os.kill(holder.pid, sent)

        def again() -> bool:
            try:
                shown(proxy, verifying(stage), "a.test")
            except (ssl.SSLError, OSError):
                return False
            return holders(proxy) != [holder]

        eventually(again, "another one signs", within=8)
        assert client.request("GET", "/", [("Host", "a.test")]).status == 200
    proxy.wait_event("keys.restarted")
    assert not proxy.events("crashed")

    def told() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        counts = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith("lbproxy_key_")}
        done, refused = counts.get("lbproxy_key_signatures_total", 0), counts.get("lbproxy_key_refusals_total", 1)
        return done >= 2 and refused == 0 and counts["lbproxy_key_process_restarts_total"] == 1

    eventually(told, "metrics tell of it")
