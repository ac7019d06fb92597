"""What went over TLS is in a tap's files, as tcpdump reads it: right checksums, both sides, no secrets."""

from __future__ import annotations

import ssl
import subprocess

import httpx

from tests.conftest import Stage
from tests.support.tools import need
from tests.support.waiting import eventually


def test_tcpdump_reads_what_was_decrypted(stage: Stage) -> None:
    """Both requests as connections of their own, the second by HTTP/2."""
    tcpdump, folder = need("tcpdump"), stage.directory / "taps"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    config = stage.config(stage.app().address)
    config["tap"] = {"ids": {"folder": str(folder)}}
    config["route"] = [{"pool": "app", "tap": "ids"}]
    proxy = stage.run(config)
    for newer in (False, True):
        context = ssl.create_default_context(cafile=stage.authority.file)
        with httpx.Client(verify=context, http2=newer, timeout=300) as client:
            answer = client.post(f"https://localhost:{proxy.port()}/mirror", content=b"x" * 5000, headers={"Cookie": "secret=1"})
            assert answer.content == b"x" * 5000

    def read() -> str:
        found = [file for file in folder.iterdir() if file.stat().st_size]
        return "".join(
            subprocess.run([tcpdump, "-nvvAr", str(file)], capture_output=True, text=True, errors="replace", timeout=300).stdout
            for file in found
        )

    eventually(lambda: read().count("Flags [F.]") == 4, "both conversations have ended")
    said = read()
    assert "incorrect" not in said
    assert said.count("Flags [S]") == 2
    assert said.count("POST /mirror HTTP/1.1") == 2
    assert "secret=1" not in said
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
