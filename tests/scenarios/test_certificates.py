"""Certificates as they lie in a folder: both kinds of key, layouts of several tools, what cannot be used left out."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.conftest import Stage
from tests.support.certificates import Authority
from tests.support.process import LbProxy
from tests.support.wire import Client


def put(authority: Authority, cert: Path, key: Path, name: str, kind: trustme.KeyType = trustme.KeyType.ECDSA) -> bytes:
    """A fresh leaf for a name; its certificate as DER."""
    leaf = authority.fresh(name, kind)
    cert.parent.mkdir(parents=True, exist_ok=True)
    key.touch(mode=0o600)
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def shown(proxy: LbProxy, context: ssl.SSLContext, name: str) -> bytes:
    with Client(proxy.port(), context=context, name=name) as client:
        assert client.request("GET", "/", [("Host", name)]).status == 200
        return client.tls.getpeercert(binary_form=True) or b""


def verifying(stage: Stage, signatures: str = "") -> ssl.SSLContext:
    """`signatures`: the only kind that it can check."""
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    if signatures:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"ECDHE+a{signatures}")
    return context


def test_a_folder(stage: Stage) -> None:
    """A client that knows RSA alone and one that knows it not are both served; a broken pair is told of, and in nobody's way; a
    name that nobody has is refused; by workers behind their walls, for which there are no files any more."""
    folder = stage.directory / "certs"
    rsa = put(stage.authority, folder / "a/fullchain.cer", folder / "a/a.key", "a.test", trustme.KeyType.RSA)
    ecdsa = put(stage.authority, folder / "a_ecc/fullchain.cer", folder / "a_ecc/a.key", "a.test")
    other = put(stage.authority, folder / "b.crt", folder / "b.key", "b.test")
    put(stage.authority, folder / "c.crt", folder / "c.key", "c.test")
    (folder / "c.key").write_bytes((folder / "b.key").read_bytes())
    config: dict[str, Any] = stage.config(stage.app().address, workers=2)
    config["listen"][0] |= {"certificates": str(folder), "tls": {"unknown_name": "refuse"}}
    proxy = stage.run(config)
    told = [event["why"] for event in proxy.events("config.warning")]
    assert any("c.crt is left out" in why and "does not match" in why for why in told)
    shutil.rmtree(folder)
    for _ in range(4):  # both workers
        assert shown(proxy, verifying(stage, "RSA"), "a.test") == rsa
        assert shown(proxy, verifying(stage, "ECDSA"), "a.test") == ecdsa
        assert shown(proxy, verifying(stage), "b.test") == other
    lenient = verifying(stage)
    lenient.check_hostname = False
    for name in ("c.test", None):
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            Client(proxy.port(), context=lenient, name=name)
    assert {event["reason"] for event in proxy.events("tls.handshake_failed")} == {"unrecognized_name"}
