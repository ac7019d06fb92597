"""Certificates by ACME, from Debian's pebble: from nothing to a trusted page, and what happens when it does not go so well."""

from __future__ import annotations

import json
import os
import signal
import ssl
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import toml

from lbproxy.sandbox import kernel
from lbproxy.sandbox.names import CALLS, FILES, LEDGER, MEMORY, PORTS, PRIVILEGES
from tests.conftest import Stage
from tests.support.memory import found_in
from tests.support.pebble import Pebble
from tests.support.ports import free_port
from tests.support.process import LbProxy, run_cli
from tests.support.tools import need
from tests.support.waiting import eventually
from tests.support.wire import Client


def configured(
    stage: Stage, pebble: Pebble, tls: int, plain: int, names: tuple[str, ...] = ("a.test",), **acme: Any
) -> dict[str, Any]:
    """With a listener that has its certificates by ACME, and one without TLS that sends everybody there."""
    config: dict[str, Any] = stage.config(stage.app().address, workers=2)
    state, control = stage.directory / "state", stage.directory / "control.sock"
    config["proxy"] = {**config["proxy"], "state_dir": str(state), "control": str(control)}
    config["listen"] = [
        {"address": f"127.0.0.1:{tls}", "acme": True},
        {"address": f"127.0.0.1:{plain}", "redirect_to_https": True},
    ]
    config["route"] = [{"host": name, "pool": config["route"][0]["pool"]} for name in names]
    config["metrics"] = {"address": f"127.0.0.1:{free_port()}"}
    config["acme"] = {
        "directory": pebble.directory, "ca": str(stage.authority.file), "terms_agreed": True, "challenge_wait": "100ms", **acme
    }  # fmt: skip
    return config


def trusted(stage: Stage, pebble: Pebble) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=pebble.root())


def serial(proxy: LbProxy, context: ssl.SSLContext, name: str = "a.test") -> str:
    """Of the certificate of a page that is served, or "" while the client does not trust it."""
    try:
        with Client(proxy.port(), context=context, name=name) as client:
            assert client.request("GET", "/", [("Host", name)]).status == 200
            return str((client.tls.getpeercert() or {}).get("serialNumber"))
    except ssl.SSLCertVerificationError:
        return ""


def record_of(stage: Stage, name: str) -> Path:
    return stage.directory / "state" / "acme" / f"{name}.pem.json"


def due_now(stage: Stage, name: str = "a.test") -> None:
    """As if the time had come that stands in the record."""
    record = record_of(stage, name)
    told = json.loads(record.read_text())
    record.write_text(json.dumps({**told, "renew_at": 1.0, "retry_at": 0.0}))


def in_the_end(stage: Stage, proxy: LbProxy, condition: Callable[[], str], what: str, name: str = "a.test") -> str:
    """Where workers stand still for longer than `challenge_wait` the authority finds no answer and refuses: what would then be
    tried again in some minutes is tried at once."""
    failed = len(proxy.events("acme.failed"))

    def there() -> str:
        nonlocal failed
        if not (answer := condition()) and (count := len(proxy.events("acme.failed"))) > failed:
            failed = count
            due_now(stage, name)
        return answer

    return eventually(there, what)


def asked(config: dict[str, Any], path: str) -> str:
    with urllib.request.urlopen(f"http://{config['metrics']['address']}{path}", timeout=120) as response:
        return str(response.read().decode())


def walled_in(proxy: LbProxy, secret: bytes) -> int:
    """The process that hears authorities has no privileges, no way back to them, and of what the master was started with nothing;
    nobody looks into it. Its pid."""
    status = json.loads(run_cli("status", "--json", "-c", str(proxy.file)).stdout)
    [serving] = [one for one in status["generations"] if one["stage"] == "serving"]
    told, pid = set(serving["acme"]["walls"]), int(serving["acme"]["pid"])
    version = kernel.landlock_version()
    assert told == {MEMORY, LEDGER, PRIVILEGES, CALLS} | ({FILES} if version else set()) | ({PORTS} if version >= 4 else set())
    facts = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert (facts["Seccomp"].strip(), facts["NoNewPrivs"].strip(), int(facts["CapEff"], 16)) == ("2", "1", 0)
    [core] = [line.split()[4:6] for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core")]
    assert core == ["0", "0"]
    if os.getuid() == 0:
        assert "0" not in facts["Uid"].split() + facts["Gid"].split() + facts["Groups"].split()
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0
        assert secret not in Path(f"/proc/{pid}/environ").read_bytes()
        assert not found_in(pid, {"the variable": secret})
    return pid


def test_from_nothing_to_a_trusted_page(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A self-signed certificate serves until the first one is here, which is told; then the page is trusted, without a reload; what
    is kept is for its owner alone, and the process that got it behind its walls. A new program (SIGUSR2) goes on with it: the page
    is trusted throughout, nothing is ordered anew, and there is one such process, as walled in."""
    secret = "5d2e9b70-not-for-children-c3a1f8"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    tls, plain = free_port(), free_port()
    with Pebble(stage.authority, tmp_path, plain, tls) as pebble:
        config = configured(stage, pebble, tls, plain)
        proxy = stage.run(config)
        context = trusted(stage, pebble)
        first = in_the_end(stage, proxy, lambda: serial(proxy, context), "a trusted page")
        assert proxy.wait_event("acme.obtained")["name"] == "a.test"
        listed = json.loads(run_cli("cert", "list", "--json", "-c", str(proxy.file)).stdout)["certificates"]
        assert listed[0]["acme"]["authority"] == pebble.directory
        assert asked(config, "/readyz") == "ready\n"
        folder = stage.directory / "state" / "acme"
        assert all(path.stat().st_mode & 0o077 == 0 for path in [folder, folder.parent, *folder.iterdir()])
        before = walled_in(proxy, secret.encode())
        proxy.signal(signal.SIGUSR2)
        proxy.wait_event("upgrade.begun")
        assert serial(proxy, context) == first
        proxy.wait_event("acme.ready", skip=1)
        assert serial(proxy, context) == first
        assert walled_in(proxy, secret.encode()) != before
        eventually(lambda: not psutil.pid_exists(before), "the first process is gone")
        assert len(proxy.events("acme.obtained")) == 1


def test_a_renewal_by_handshakes(stage: Stage, tmp_path: Path) -> None:
    """tls-alpn-01 is answered beside clients' handshakes; what is due is renewed, and shown in all workers without a reload."""
    tls, plain = free_port(), free_port()
    with Pebble(stage.authority, tmp_path, plain, tls) as pebble:
        config = configured(stage, pebble, tls, plain, challenge="tls-alpn-01", key_type="rsa2048")
        proxy = stage.run(config)
        context = trusted(stage, pebble)
        first = in_the_end(stage, proxy, lambda: serial(proxy, context), "a trusted page")
        proxy.wait_event("acme.obtained")
        # Once it has asked when the authority would like to renew, nobody writes the record but we.
        eventually(lambda: json.loads(record_of(stage, "a.test").read_text())["ari_at"], "it has asked for the window")
        due_now(stage)

        def renewed() -> str:
            seen = {serial(proxy, context) for _ in range(6)}
            return seen.pop() if len(seen) == 1 and not seen & {"", first} else ""

        in_the_end(stage, proxy, renewed, "a renewed one in all workers")
        proxy.wait_event("acme.renewed")


def test_a_refused_order_and_a_second_authority(stage: Stage, tmp_path: Path) -> None:
    """A first authority that cannot see the answer refuses: status, page and list tell why, and when it is tried again. The second
    one, which a reload brings, gives the certificate."""
    tls, plain = free_port(), free_port()
    (tmp_path / "blind").mkdir()
    with (
        Pebble(stage.authority, tmp_path / "blind", free_port(), free_port()) as blind,
        Pebble(stage.authority, tmp_path, plain, tls) as pebble,
    ):
        config = configured(stage, blind, tls, plain)
        proxy = stage.run(config)
        why = proxy.wait_event("acme.failed")["why"]
        assert "refused" in why

        def told() -> bool:
            [status] = json.loads(run_cli("status", "--json", "-c", str(proxy.file)).stdout)["acme"]
            return bool(status["self_signed"]) and status["failures"] >= 1

        eventually(told, "status tells of the failure")
        assert "not renewed because" in run_cli("cert", "list", "-c", str(proxy.file)).stdout
        assert "a.test has a self-signed certificate" in eventually(
            lambda: text if "a.test" in (text := asked(config, "/readyz")) else "", "readyz tells"
        )
        eventually(lambda: json.loads(asked(config, "/status.json"))["acme"][0]["why"] == why, "the page tells it, too")
        assert "self-signed" in asked(config, "/")
        config["acme"]["fallback"] = {"directory": pebble.directory, "ca": str(stage.authority.file)}
        proxy.file.write_text(toml.dumps(config))
        assert run_cli("reload", "-c", str(proxy.file)).returncode == 0
        due_now(stage)
        assert in_the_end(stage, proxy, lambda: serial(proxy, trusted(stage, pebble)), "a page that the second one is trusted for")


HOOK = """#!/bin/sh
set -e
echo "$1 $2 $3" >> "$(dirname "$0")/log"
case $1 in
present) curl -sf -d "{\\"host\\":\\"$2.\\", \\"value\\":\\"$3\\"}" MOCK/set-txt ;;
cleanup) curl -sf -d "{\\"host\\":\\"$2.\\"}" MOCK/clear-txt ;;
esac
"""


@pytest.fixture
def tools() -> Iterator[Path]:
    """A folder that is open to the account that the operator's command is run as."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def command(tools: Path, pebble: Pebble, first: str = "") -> tuple[Path, Path]:
    """The operator's, which sets records and removes them; and the log of how it was called. `first`: what it does before."""
    need("curl")
    hook = tools / "hook"
    hook.write_text(HOOK.replace("MOCK", pebble.mock).replace("present) ", f"present) {first}"))
    hook.chmod(0o755)
    return hook, tools / "log"


def test_a_lost_network(stage: Stage, tmp_path: Path, tools: Path) -> None:
    """The authority dies in the middle of an order, and comes back with no memory of it: everything serves on, and then it goes
    through. (The order waits for the operator's command, and that one for us, however long we stand still.)"""
    tls, plain = free_port(), free_port()
    with Pebble(stage.authority, tmp_path, plain, tls) as pebble:
        hook, log = command(tools, pebble, f"until [ -e {tools}/go ]; do sleep 0.05; done; ")
        by_dns: dict[str, Any] = {"challenge": "dns-01", "dns_command": [str(hook)], "dns_timeout": "30m"}
        proxy = stage.run(configured(stage, pebble, tls, plain, **by_dns))
        eventually(lambda: log.exists() and log.read_text().startswith("present "), "an order is under way")
        pebble.kill()
        (tools / "go").touch()
        assert "cannot be reached" in proxy.wait_event("acme.failed")["why"]
        eventually(lambda: "cleanup _acme-challenge.a.test " in log.read_text(), "the record is taken away")
        pebble.start()
        due_now(stage)
        context = trusted(stage, pebble)
        assert in_the_end(stage, proxy, lambda: serial(proxy, context), "a trusted page")


def test_a_wildcard_by_dns_with_an_account_of_ours(stage: Stage, tmp_path: Path, tools: Path) -> None:
    """The operator's command sets the record and removes it; the account is bound to one that was there."""
    tls, plain = free_port(), free_port()
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    with Pebble(stage.authority, tmp_path, plain, tls, eab={"kid-1": key}) as pebble:
        hook, log = command(tools, pebble)
        kept = tmp_path / "eab.key"
        kept.write_text(key)
        kept.chmod(0o600)
        more = {"challenge": "dns-01", "dns_command": [str(hook)], "eab_key_id": "kid-1", "eab_key": str(kept)}
        proxy = stage.run(configured(stage, pebble, tls, plain, ("*.a.test",), **more))
        context = trusted(stage, pebble)
        assert eventually(lambda: serial(proxy, context, "x.a.test"), "a trusted page")
        eventually(lambda: len(log.read_text().splitlines()) > 1, "cleaned up")
        lines = log.read_text().splitlines()
        assert [line.split()[:2] for line in lines] == [[what, "_acme-challenge.a.test"] for what in ("present", "cleanup")]
