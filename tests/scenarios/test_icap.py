"""ICAP servers for real: ClamAV finds what it knows in uploads and downloads; an echo gives everything back while it is written."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.howto import Page
from tests.support.icap_server import EICAR, c_icap
from tests.support.ports import free_port
from tests.support.tools import curl

PATIENT = 300.0


def test_a_virus_reaches_nobody(stage: Stage, tmp_path: Path) -> None:
    """Neither the backend nor the client, by HTTP/1 and HTTP/2; a page tells why, also to whoever does as the how-to says. What
    is clean passes, over connections that the server closes every few requests."""

    def serve(conversation: Conversation) -> None:
        while head := conversation.read_head():
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
            body = b"".join(conversation.read_exactly(1) for _ in range(length))
            answer = EICAR if b"GET /bad" in head else b"clean " + body
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))

    certificate = stage.authority.issue("example.com", "localhost")
    port, scanner = free_port(), free_port()
    with Scripted(serve) as backend:
        words = {
            "0.0.0.0:443": f"127.0.0.1:{port}",
            '"example.com.crt"': f'"{certificate["cert"]}"',
            '"example.com.key"': f'"{certificate["key"]}"',
            "127.0.0.1:9000": backend.address,
            "127.0.0.1:1344": f"127.0.0.1:{scanner}",
            'respmod = "/avscan"': 'respmod = "/avscan"\ntimeout = "5m"',
            "https://example.com/": f"https://example.com:{port}/",
        }
        page = Page("icap.md", words)
        stage.server(c_icap(tmp_path / "icap", scanner, antivirus=page))
        proxy = stage.run(page.toml(stage.directory / "control.sock"))
        context = ssl.create_default_context(cafile=stage.authority.file)
        for newer in (False, True):
            with httpx.Client(verify=context, timeout=PATIENT, http2=newer) as client:
                url = f"https://localhost:{proxy.port()}"
                for number in range(5):
                    assert client.post(f"{url}/{number}", content=b"%d" % number).text == f"clean {number}"
                found = client.get(f"{url}/bad")
                assert (found.status_code, "VIRUS FOUND" in found.text) == (403, True)
                sent = client.post(f"{url}/upload", content=b"a" * 3000 + EICAR)
                assert (sent.status_code, "Test.EICAR" in sent.text) == (403, True)
        typed = page.command("curl -d")
        shown = curl(stage.authority.file, "--resolve", f"example.com:{port}:127.0.0.1", *typed[1:])
        assert b"VIRUS FOUND" in shown.stdout
        refused = proxy.wait_access(path="/upload", status=403, count=3)
        assert {line["reason"] for line in refused} == {"icap_blocked"}
        assert not [request for request in backend.received() if EICAR in request]


def test_an_echo_of_much(stage: Stage, tmp_path: Path) -> None:
    """Both ways at the same time; the body is the same, whatever the server has made of it."""
    with c_icap(tmp_path / "icap", free_port()) as server:
        config = stage.config(stage.app().address)
        config["pool"]["echo"] = {"backends": [server.address]}
        table = {"pool": "echo", "reqmod": "/echo", "respmod": "/echo", "timeout": "5m"}
        config["route"] = [{"pool": "app", "icap": table}]
        proxy = stage.run(config)
        with httpx.Client(verify=ssl.create_default_context(cafile=stage.authority.file), timeout=PATIENT) as client:
            much = bytes(range(256)) * 40_000
            sent = client.post(f"https://localhost:{proxy.port()}/mirror", content=much)
            assert sent.status_code == 200
            assert sent.content == much
