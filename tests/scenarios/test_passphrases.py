"""Keys that a passphrase keeps shut, as a real lbproxy opens them: at start, at renewals, over reloads and SIGUSR2."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Stage
from tests.support.memory import found_in
from tests.support.ports import free_port
from tests.support.process import LbProxy, run_cli
from tests.support.waiting import eventually
from tests.support.wire import Client
from tests.unit.tls.files import certificate, container, ec_key, key_pem, write

WORD = b"correct-horse-battery-staple-91c2"
OTHER = b"another-passphrase-altogether-77"


def leaf_of(proxy: LbProxy, name: str) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Client(proxy.port(), context=context, name=name) as client:
        assert client.request("GET", "/", [("Host", name)]).status == 200
        return client.tls.getpeercert(binary_form=True) or b""


def of_file(cert: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(cert.read_text())


def encrypted(folder: Path, word: bytes, name: str = "first.test") -> dict[str, Any]:
    key = ec_key()
    cert = write(folder / "first.crt.new", certificate(key, name), 0o644)
    write(folder / "first.key.new", key_pem(key, word))
    os.rename(folder / "first.key.new", folder / "first.key")
    os.rename(cert, folder / "first.crt")
    return {"cert": str(folder / "first.crt"), "key": str(folder / "first.key")}


def test_from_start_to_upgrade(stage: Stage) -> None:
    """An encrypted key whose passphrase comes on a descriptor, which can be read once, and a PKCS #12 file in a folder, whose
    passphrase a command prints: both are renewed on disk, both live on over a reload and SIGUSR2, and neither passphrase is in a
    log, in `--effective`, or in the memory of any process that lasts."""
    if shutil.which("sh") is None:
        pytest.skip("there is no sh")
    folder, word = stage.directory / "p12", write(stage.directory / "other.word", OTHER)
    folder.mkdir()
    container(folder / "second.p12", "second.test", OTHER)
    config = stage.config(stage.app().address)
    config["listen"][0]["certificates"] = [{**encrypted(stage.directory, WORD), "passphrase": {"fd": 9}}]
    of_folder = {**config["listen"][0], "certificates": str(folder), "passphrase": {"command": ["/bin/cat", str(word)]}}
    config["listen"].append({**of_folder, "address": f"127.0.0.1:{free_port()}"})
    write(stage.directory / "word", WORD + b"\n")
    proxy = stage.run(config, under=("sh", "-c", f'exec 9<"{stage.directory}/word"; exec "$@"', "sh"))
    (stage.directory / "word").unlink()
    first, second = stage.directory / "first.crt", folder / "second.p12"
    port = int(config["listen"][1]["address"].rpartition(":")[2])

    def of_second() -> bytes:
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))

    assert leaf_of(proxy, "first.test") == of_file(first)
    before = of_second()
    encrypted(stage.directory, WORD)
    container(second.with_suffix(".new"), "second.test", OTHER)
    os.rename(second.with_suffix(".new"), second)
    eventually(lambda: leaf_of(proxy, "first.test") == of_file(first), "the encrypted one is renewed")
    eventually(lambda: of_second() != before, "the PKCS #12 file is renewed")
    encrypted(stage.directory, b"of nobody here")
    refused = proxy.wait_event("certificate.refused")
    assert "does not open with its passphrase" in refused["why"]
    encrypted(stage.directory, WORD)
    for number, sent in enumerate((signal.SIGHUP, signal.SIGUSR2)):
        proxy.signal(sent)
        proxy.wait_event("reloaded", skip=number, within=60)
        assert leaf_of(proxy, "first.test") == of_file(first)
    effective = run_cli("check", "--effective", "-c", str(proxy.file))
    said = "\n".join(proxy.stderr()) + effective.stdout + effective.stderr
    assert "descriptor 9 is not open" in said  # `check` was not started with it
    needles = {"first": WORD, "second": OTHER}
    assert not any(each.decode() in said for each in needles.values())
    if os.getuid() == 0:
        for one in proxy.members():
            assert found_in(one.pid, needles) == set(), one.cmdline()


def test_a_wrong_one_is_told_with_its_place(stage: Stage) -> None:
    """Start, with the line and a hint; the passphrase is in neither."""
    config = stage.config(stage.app().address)
    word = write(stage.directory / "word", OTHER)
    config["listen"][0]["certificates"] = [{**encrypted(stage.directory, WORD), "passphrase": {"file": str(word)}}]
    file = stage.directory / "wrong.toml"
    file.write_text(LbProxy(stage.directory, config).file.read_text())
    done = run_cli("start", "-c", str(file))
    assert done.returncode == 1
    assert f"{file}:" in done.stderr
    assert "does not open with its passphrase" in done.stderr
    assert OTHER.decode() not in done.stderr
