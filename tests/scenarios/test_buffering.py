"""Why people put a proxy before gunicorn: a client that is slow to say something, or to listen, holds no worker of it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from lbproxy.proxy.unmeasured import PAUSE
from tests.conftest import Stage
from tests.support.backends import gunicorn
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.tools import need
from tests.support.waiting import PATIENCE
from tests.support.web import PATTERN
from tests.support.wire import Client

MEGABYTE = 1_000_000
BUFFERING = {"buffer_requests": "64KiB", "buffer_responses": "64KiB"}
both_ways = pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])


def served(stage: Stage, address: str, tls: bool, under: Sequence[str] = (), **others: Any) -> LbProxy:
    """In front of that backend, buffering, its file in a folder that is looked at afterwards."""
    folder = stage.directory / "scratch"
    folder.mkdir(exist_ok=True)
    config = stage.config(address, app={**BUFFERING, "health": {"type": "off"}, **others}, proxy={"temp_dir": str(folder)})
    if not tls:
        config["listen"] = [{"address": f"127.0.0.1:{free_port()}"}]
    return stage.run(config, under=under)


def twenty_others(stage: Stage, proxy: LbProxy, tls: bool) -> None:
    """Each is answered, though the backend serves one at a time."""
    for _ in range(20):
        with stage.client(proxy, tls=tls) as other:
            assert other.request("GET", "/").status == 200


@both_ways
@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_slow_uploads_and_slow_downloads(stage: Stage, tmp_path: Path, kind: str, tls: bool) -> None:
    """Nine uploads of a megabyte stand still in the middle (more than gthread has threads), as many downloads are not read: twenty
    others are served, and then each of them is whole."""
    server = stage.server(gunicorn(tmp_path, kind=kind))
    proxy = served(stage, server.address, tls, timeouts={"response_head": "20s"})
    body = PATTERN * (MEGABYTE // len(PATTERN) + 1)
    size = 8 * MEGABYTE  # more than the kernel takes for a client that does not read
    uploads: list[Client] = []
    for number in range(9):
        client = stage.client(proxy, tls=tls)
        if number % 2:
            client.send_head("POST", "/", length=len(body))
            client.send(body[: len(body) // 2])
        else:
            client.send_head("POST", "/", [("Transfer-Encoding", "chunked"), ("Expect", "100-continue")])
            assert client.head().status == 100
            client.send(b"%x\r\n%b" % (len(body), body[: len(body) // 2]))
        uploads.append(client)
    downloads = [stage.client(proxy, tls=tls) for _ in range(9)]
    for client in downloads:
        client.send_head("GET", f"/bytes/{size}")
    twenty_others(stage, proxy, tls)
    assert os.listdir(stage.directory / "scratch") == [], "the file has no name"
    for number, client in enumerate(uploads):
        client.send(body[len(body) // 2 :] + (b"" if number % 2 else b"\r\n0\r\n\r\n"))
        answer = json.loads(client.response("POST").body)
        assert answer == {"sha256": hashlib.sha256(body).hexdigest(), "length": len(body)}
    wanted = hashlib.sha256((PATTERN * (size // len(PATTERN) + 1))[:size]).hexdigest()
    for client in downloads:
        assert hashlib.sha256(client.response().body).hexdigest() == wanted
    assert not proxy.events("buffer.failed")


@both_ways
@pytest.mark.parametrize("pool", [BUFFERING, {}, {"health": {"type": "http"}}], ids=["buffering", "streaming", "checked"])
def test_servers_of_http_1_0_get_uploads(stage: Stage, pool: dict[str, Any], tls: bool) -> None:
    """wsgiref takes a chunked body for none: curl's upload of unknown length reaches it with its length, as the first request and
    later, and though it comes with a pause. One whose checks have heard it is not asked what it speaks."""
    curl = need("curl")
    methods: set[str] = set()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        methods.add(environ["REQUEST_METHOD"])
        got = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % len(got)]

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            proxy = served(stage, f"127.0.0.1:{server.server_port}", tls, **{**dict.fromkeys(BUFFERING, "0"), **pool})
            url = f"{'https' if tls else 'http'}://localhost:{proxy.port()}/"
            client = stage.client(proxy, tls=tls)
            client.send_head("POST", "/", [("Transfer-Encoding", "chunked")])
            client.send(b"3\r\none\r\n")
            time.sleep(2 * PAUSE)  # the pause is what is tried
            client.send(b"3\r\ntwo\r\n0\r\n\r\n")
            assert client.response("POST").body == b"6"
            for _ in range(2):
                done = subprocess.run(
                    [curl, "--silent", "--cacert", str(stage.authority.file), "--upload-file", "-", url],
                    input=b"z" * 3 * MEGABYTE, capture_output=True, timeout=PATIENCE, check=True,
                )  # fmt: skip
                assert done.stdout == str(3 * MEGABYTE).encode()
            assert ("OPTIONS" in methods) is ("health" not in pool and pool != BUFFERING)
        finally:
            server.shutdown()
            thread.join()


def test_a_full_disk(stage: Stage, tmp_path: Path) -> None:
    """Bodies are passed on as they come; that it happened is counted and told."""
    folder = stage.directory / "scratch"
    folder.mkdir()
    small = [need("unshare"), "--mount", "sh", "-c", f'mount -t tmpfs -o size=128k,mode=1777 none {folder} && exec "$@"', "sh"]
    tried = subprocess.run([*small, "true"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    if tried.returncode:
        pytest.skip(f"no file system of its own: {tried.stderr.strip()}")
    server = stage.server(gunicorn(tmp_path, kind="sync"))
    proxy = served(stage, server.address, tls=True, under=small)
    client = stage.client(proxy)
    body = PATTERN * (MEGABYTE // len(PATTERN))
    answer = json.loads(client.request("POST", "/", body=body).body)
    assert answer == {"sha256": hashlib.sha256(body).hexdigest(), "length": len(body)}
    assert client.request("GET", f"/bytes/{MEGABYTE}").body == (PATTERN * (MEGABYTE // len(PATTERN) + 1))[:MEGABYTE]
    assert proxy.wait_event("buffer.failed")["why"] == "No space left on device"
