"""Servers that answer before they have the whole request, and read on: nothing of it is lost."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.support.backends import Server
from tests.support.ports import free_port
from tests.support.waiting import eventually

SERVER = """
const http = require("http"), https = require("https"), fs = require("fs"), crypto = require("crypto");
const [port, file, cert, key] = process.argv.slice(2);
const answer = (request, response) => {
  let size = 0;
  const digest = crypto.createHash("sha256");
  response.end("early");
  request.on("data", (piece) => { size += piece.length; digest.update(piece); });
  request.on("end", () => fs.appendFileSync(file, JSON.stringify([size, digest.digest("hex")]) + "\\n"));
};
(cert ? https.createServer({cert: fs.readFileSync(cert), key: fs.readFileSync(key)}, answer) : http.createServer(answer))
  .listen(+port, "127.0.0.1");
"""
SIZE = 4_000_000


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_node(stage: Stage, tmp_path: Path, encrypted: bool) -> None:
    """Node.js answers at once: it gets all of the upload, twice over the same connections."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script, stored = tmp_path / "server.js", tmp_path / "stored"
    script.write_text(SERVER)
    stored.touch()
    port = free_port()
    arguments, app = [node, str(script), str(port), str(stored)], {}
    if encrypted:
        certificate = stage.authority.issue("127.0.0.1")
        arguments += [certificate["cert"], certificate["key"]]
        app = {"tls": {"ca": str(stage.authority.file)}}
    proxy = stage.proxy(stage.server(Server(arguments, port, tmp_path)).address, app=app)
    client = stage.client(proxy)
    body = hashlib.shake_128(b"upload").digest(SIZE)
    for count in (1, 2):
        client.send_head("POST", "/", length=SIZE)
        client.send(body[:10_000])
        assert client.response().body == b"early"
        client.send(body[10_000:])
        eventually(lambda count=count: len(stored.read_text().splitlines()) == count, "stored")  # type: ignore[misc]
    wanted = [SIZE, hashlib.sha256(body).hexdigest()]
    assert [json.loads(line) for line in stored.read_text().splitlines()] == [wanted, wanted]
    assert [line["status"] for line in proxy.wait_access(count=2)] == [200, 200]
