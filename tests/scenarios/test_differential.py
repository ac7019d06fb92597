"""What lbproxy passes on to a real nginx, nginx frames as lbproxy does: request for request, over shared connections."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from tests.conftest import Stage
from tests.corpus.http1.vectors import vectors
from tests.support.backends import Server
from tests.support.ports import free_port
from tests.support.tools import need
from tests.support.waiting import eventually
from tests.support.wire import Client

NEXT = b"GET /next HTTP/1.1\r\nHost: next.example\r\n\r\n"
CASES = [vector for vector in vectors("accept") if vector.name != "cl-fifteen-digits" and vector.expected.get("target") != "*"]
"""The one's body is not there; nginx knows no "*"."""
REFUSED = {"cl-white-space-around", "host-white-space"}
"""nginx does: tabs around a value are none of its white space (RFC 9110 5.6.3). A refusal frames nothing."""


def nginx(directory: Path) -> Server:
    """Answers 200 to everything and writes down what it saw; keeps connections, so that a leftover would be the next request."""
    port = free_port()
    temporary = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = directory / "nginx.conf"
    config.write_text(
        f"""
        {"user root;" if os.getuid() == 0 else ""}
        daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;
        events {{ worker_connections 512; }}
        http {{
            {temporary}
            log_format seen escape=none '$request_method $request_uri $status';
            access_log {directory}/seen.log seen;
            large_client_header_buffers 4 64k; ignore_invalid_headers off; underscores_in_headers on; keepalive_requests 100000;
            server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }}
        }}
        """
    )
    return Server([need("nginx"), "-c", str(config), "-e", f"{directory}/nginx-error.log"], port, directory)


def test_nginx(stage: Stage, tmp_path: Path) -> None:
    """Every accepted message of the corpus with a plain request behind it: both sides count the same requests."""
    seen = tmp_path / "seen.log"
    with nginx(tmp_path) as backend:
        config = stage.config(backend.address, app={"health": {"type": "off"}})
        proxy = stage.run({**config, "listen": [{"address": f"127.0.0.1:{free_port()}"}]})
        answers = 0
        for vector in CASES:
            rest = vector.expected.get("rest", "").encode("latin-1")
            raw = vector.raw.removesuffix(rest) if rest else vector.raw
            with Client(proxy.port()) as client:
                client.send(raw + NEXT)
                status = client.response(vector.expected.get("method", "GET")).status
                assert status == (400 if vector.name in REFUSED else 200), vector.name
                answers += 1
                if not client.told_to_close:
                    assert client.response().status == 200, vector.name
                    answers += 1
        eventually(lambda: len(proxy.access()) >= answers, "lbproxy's log")
        eventually(lambda: len(seen.read_text().splitlines()) >= answers, "nginx's log")
        ours = Counter(f"{line['method']} {line['path']} {line['status']}" for line in proxy.access())
        assert Counter(seen.read_text().splitlines()) == ours
        assert sum(ours.values()) == answers
