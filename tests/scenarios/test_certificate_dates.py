"""A date is not a mistake in a file: what worked yesterday starts today, and tells what somebody has to see to."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from tests.conftest import Stage
from tests.support.wire import Client
from tests.unit.tls.files import pair

PAST, SOON = timedelta(seconds=-5), timedelta(days=1)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A verb."""
    return subprocess.run([sys.executable, "-m", "lbproxy", *arguments], capture_output=True, text=True, timeout=60, check=False)


def _shown(port: int, name: str, file: str | Path) -> bool:
    """Whether who asks for that name gets that certificate."""
    lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lenient.check_hostname = False
    lenient.verify_mode = ssl.CERT_NONE
    with Client(port, context=lenient, name=name) as client:
        assert client.request("GET", "/echo", [("Host", name)]).status == 200
        return client.tls.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(Path(file).read_text())


def test_certificates_that_are_out_of_date_keep_nobody_from_being_served(stage: Stage) -> None:
    """Expired and not yet valid ones, those of authorities included: start, reload, check and status warn, the others serve,
    and the renewal of one is taken in while another is still out of date."""
    old = pair(stage.directory, "old.test", end=PAST)
    early = pair(stage.directory, "early.test", start=SOON)
    other = pair(stage.directory, "other.test", end=PAST)
    config = stage.config(stage.app().address, proxy={"control": str(stage.directory / "control")})
    listen = config["listen"][0]
    listen["certificates"] += [{"cert": str(each.cert), "key": str(each.key)} for each in (old, early, other)]
    listen["tls"] = {"client_ca": str(old.cert), "client_auth": "optional"}
    proxy = stage.run(config)
    warned = [event["why"] for event in proxy.events() if event["event"] == "config.warning"]
    assert len(warned) == 4
    assert all("expired on" in why or "is not valid before" in why for why in warned)
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo").status == 200
    assert _shown(proxy.port(), "old.test", old.cert)
    assert _shown(proxy.port(), "early.test", early.cert)

    renewed = pair(stage.directory, "old.test")
    done = run("reload", "-c", str(proxy.file), "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], len(answer["warnings"])) == (0, True, 2)
    assert _shown(proxy.port(), "old.test", renewed.cert)
    assert len(json.loads(run("status", "-c", str(proxy.file), "--json").stdout)["warnings"]) == 2
    assert run("status", "-c", str(proxy.file)).stdout.count("\nwarning: ") == 2
    assert run("check", "-c", str(proxy.file)).returncode == 0
    assert run("check", "-c", str(proxy.file), "--strict").returncode == 1


def test_who_asks_for_an_address_gets_the_certificate_of_that_address(stage: Stage) -> None:
    """Among others, and without a name in the handshake, as clients do that connect to a literal address."""
    config = stage.config(stage.app().address)
    issue = stage.authority.issue
    config["listen"][0]["certificates"] = [issue("first.test"), issue("127.0.0.1"), issue("localhost")]
    proxy = stage.run(config)
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    for name in ("127.0.0.1", "localhost", "first.test"):
        with Client(proxy.port(), context=context, name=name) as client:
            assert client.request("GET", "/echo").status == 200
