"""Certificates as they lie in a folder: both kinds of key, layouts of several tools, what cannot be used left out."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.conftest import Stage
from tests.support.certificates import Authority
from tests.support.load import Load, faults_in
from tests.support.ports import free_port
from tests.support.process import LbProxy, run_cli
from tests.support.waiting import eventually
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
    proxy.wait_event("tls.handshake_failed")
    assert {event["reason"] for event in proxy.events("tls.handshake_failed")} == {"unrecognized_name"}


# ---------------------------------------------------------------- renewals


def archive(stage: Stage, folder: Path, number: int) -> bytes:
    """A renewal as certbot makes it: the next number in its archive, nothing live yet."""
    return put(stage.authority, folder / f"archive/fullchain{number}.pem", folder / f"archive/privkey{number}.pem", "localhost")


def swap(folder: Path, number: int, *names: str) -> None:
    """Symlinks of the live folder, each replaced in one step."""
    live = folder / "live/localhost"
    live.mkdir(parents=True, exist_ok=True)
    for name in names or ("privkey", "fullchain"):
        fresh = live / f"{name}.new"
        fresh.symlink_to(f"../../archive/{name}{number}.pem")
        fresh.replace(live / f"{name}.pem")


def test_renewals_by_symlink_under_load(stage: Stage) -> None:
    """As certbot does them, half of one among them: no request is lost, no worker is replaced, what is whole is shown within
    seconds, and old tickets resume. The half one is told of once, and the old pair stays."""
    folder = stage.directory / "letsencrypt"
    first = archive(stage, folder, 1)
    swap(folder, 1)
    config: dict[str, Any] = stage.config(stage.app().address, workers=2)
    config["listen"][0]["certificates"] = str(folder / "live")
    proxy = stage.run(config)
    context = verifying(stage)
    assert shown(proxy, context, "localhost") == first
    pids = proxy.wait_workers(2)
    before = Client(proxy.port(), context=context)
    assert before.request("GET", "/").status == 200
    with Load(proxy.port(), stage.authority.file, connections=8) as load:
        for number in (2, 3, 4):
            fresh = archive(stage, folder, number)
            if number == 3:
                swap(folder, number, "fullchain")
                refused = proxy.wait_event("certificate.refused")
                assert "does not match" in refused["why"]
                assert refused["then"] == "the old one stays"
                assert shown(proxy, context, "localhost") != fresh
            swap(folder, number)
            live = partial(all_show, proxy, context, fresh)
            eventually(live, "the new one is shown")
        assert faults_in(load.stop()) == {}
    assert proxy.wait_workers(2) == pids
    assert len(proxy.events("certificate.renewed")) == 3
    assert len(proxy.events("certificate.refused")) == 1
    again = context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port())), server_hostname="localhost",
                                session=before.tls.session)  # fmt: skip
    with again:
        assert again.session_reused
    before.close()


def all_show(proxy: LbProxy, context: ssl.SSLContext, fresh: bytes) -> bool:
    """Either worker, as far as six visits tell."""
    return all(shown(proxy, context, "localhost") == fresh for _ in range(6))


def test_pairs_that_come_and_go(stage: Stage) -> None:
    """In a folder, without a reload; and the next generation knows of them."""
    folder = stage.directory / "certs"
    put(stage.authority, folder / "a.crt", folder / "a.key", "localhost")
    control, port = stage.directory / "c.sock", free_port()
    proxy_keys = {"control": str(control)}
    config: dict[str, Any] = stage.config(stage.app().address, proxy=proxy_keys, metrics={"address": f"127.0.0.1:{port}"})
    config["listen"][0]["certificates"] = str(folder)
    proxy = stage.run(config)
    fresh = put(stage.authority, folder / "b.crt", folder / "b.key", "b.test")
    proxy.wait_event("certificate.added")
    eventually(lambda: lenient(proxy, stage, "b.test") == fresh, "it is shown")
    told = json.loads(run_cli("cert", "list", "--control", str(control), "--json").stdout)["certificates"]
    assert sorted(one["names"][0] for one in told) == ["b.test", "localhost"]
    said = run_cli("cert", "show", "b.test", "--control", str(control)).stdout
    assert f"shows {folder / 'b.crt'}" in said
    assert f"SHA-256    {hashlib.sha256(fresh).hexdigest()[:2]}" in said
    wanted = b'lbproxy_certificate_not_after_seconds{listener="'
    eventually(lambda: wanted in scraped(port), "certificates in the metrics", every=0.1)  # control hears of them from time to time
    for name in ("b.crt", "b.key"):
        (folder / name).unlink()
    proxy.wait_event("certificate.removed")
    eventually(lambda: lenient(proxy, stage, "b.test") != fresh, "it is shown no more")


def scraped(port: int) -> bytes:
    """The metrics."""
    with Client(port) as scraper:
        return scraper.request("GET", "/metrics").body


def lenient(proxy: LbProxy, stage: Stage, name: str) -> bytes:
    """What is shown to one who asks for a name, whoever it is for."""
    context = verifying(stage)
    context.check_hostname = False
    return shown(proxy, context, name)
