"""A listener as `init` writes it, looked at by the scanners that people point at theirs: nothing of medium or above."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as Xml
from typing import Any

import pytest
import trustme

from tests.conftest import Stage
from tests.support.process import LbProxy
from tests.support.tools import need

WITHIN = 500.0
PATIENT = {**os.environ, "MAX_WAITSOCK": "90", "CCS_MAX_WAITSOCK": "90", "HEARTBLEED_MAX_WAITSOCK": "90"}
TESTS = ("--server-preference", "--renegotiation", "--crime", "--tls-fallback", "--heartbleed", "--ccs-injection", "--ticketbleed")
"""What sslscan does not look at, or not as closely, in five seconds of CPU; all that testssl knows takes fifty."""
LOOKED_AT = {
    "cipher_order", "heartbleed", "CCS", "ticketbleed", "secure_renego", "secure_client_renego", "CRIME_TLS", "fallback_SCSV",
}  # fmt: skip


@pytest.fixture(scope="module")
def site(standing: Stage) -> LbProxy:
    """With an ECDSA and an RSA certificate, and nothing said of TLS."""
    config = standing.config(standing.app().address, timeouts={"handshake": "60s", "request_head": "60s"})
    leaf = standing.authority.fresh("localhost", trustme.KeyType.RSA)
    pair = {"cert": standing.directory / "rsa.crt", "key": standing.directory / "rsa.key"}
    pair["cert"].write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    pair["key"].touch(mode=0o600)
    leaf.private_key_pem.write_to_path(str(pair["key"]), append=True)
    config["listen"][0]["certificates"].append({what: str(path) for what, path in pair.items()})
    return standing.run(config)


def test_testssl(site: LbProxy, standing: Stage) -> None:
    """It finds nothing, and what it is asked for was looked at."""
    found = standing.directory / "testssl.json"
    command = [
        need("testssl", "testssl.sh"), "--quiet", "--warnings", "off", "--color", "0", "--nodns", "none", "--ip", "127.0.0.1",
        "--add-ca", str(standing.authority.file), "--jsonfile", str(found), *TESTS, f"https://localhost:{site.port()}",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, check=False, env=PATIENT)
    assert found.exists(), ended.stdout + ended.stderr
    said: list[dict[str, Any]] = json.loads(found.read_text())
    severe = [(each["id"], each["finding"]) for each in said if each["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")]
    assert not severe
    good = {each["id"] for each in said if each["severity"] == "OK"}
    assert good >= LOOKED_AT


def test_sslscan(site: LbProxy) -> None:
    """TLS 1.2 and 1.3 with suites that it calls strong or acceptable, groups of 128 bits and more, none of the old faults."""
    command = [need("sslscan"), "--xml=-", "--no-colour", "--connect-timeout=90", "--timeout=90", f"localhost:{site.port()}"]
    ended = subprocess.run(command, capture_output=True, timeout=WITHIN, check=True)
    test = Xml.fromstring(ended.stdout).find("ssltest")  # what our own tool says about our own server
    assert test is not None
    spoken = [f"{each.get('type')} {each.get('version')}" for each in test.iter("protocol") if each.get("enabled") == "1"]
    assert spoken == ["tls 1.2", "tls 1.3"]
    suites = [(each.get("cipher"), each.get("strength")) for each in test.iter("cipher")]
    assert len(suites) == 9
    assert {strength for _, strength in suites} <= {"strong", "acceptable"}
    assert all(int(each.get("bits", 0)) >= 128 for each in test.iter("group"))
    assert not [each for each in test.iter("heartbleed") if each.get("vulnerable") != "0"]
    assert [each.get("supported") for each in test.iter("renegotiation")] == ["0"]
    assert all(each.get("supported") == "0" for each in test.iter("compression"))
