"""What Node.js says behind bodies arrives, in all combinations of HTTP/1.1 and HTTP/2; one of fifty streams is reset."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Stage
from tests.support.backends import Server
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.shared import assert_books_close
from tests.support.waiting import PATIENCE

SERVER = """
const [port, version] = process.argv.slice(2);
const held = [];
let gone = 0;
const answer = (request, response) => {
  let size = 0;
  request.on("data", (piece) => { size += piece.length; });
  if (request.url === "/hold") {
    held.push(response);
    response.on("close", () => { gone += response.writableEnded ? 0 : 1; });
    return;
  }
  request.on("end", () => {
    if (request.url === "/go") for (const waiting of held) if (!waiting.destroyed) waiting.end("held");
    if (request.url !== "/echo") return response.end(JSON.stringify([held.length, gone]));
    response.write(JSON.stringify([size, request.headers.te || "", request.trailers]));
    response.addTrailers({"X-Sum": String(size), "X-Forwarded-For": "6.6.6.6", "X-Said": request.trailers["x-said"] || ""});
    response.end();
  });
};
(version === "2" ? require("http2") : require("http")).createServer(answer).listen(+port, "127.0.0.1");
"""
CLIENT = """
const fs = require("fs");
const [port, version, ca, what] = process.argv.slice(2);
const body = Buffer.alloc(200000, "x");
const tell = (said) => { console.log(JSON.stringify(said)); };
if (version === "1.1") {
  const https = require("https");
  const headers = {"Trailer": "X-Said", "TE": "trailers", "Connection": "TE", "Transfer-Encoding": "chunked"};
  const where = {host: "localhost", port, path: "/echo", method: "POST", headers, ca: fs.readFileSync(ca)};
  const asked = https.request(where, (answer) => {
    let text = "";
    answer.on("data", (piece) => { text += piece; });
    answer.on("end", () => tell([answer.statusCode, JSON.parse(text), answer.trailers]));
  });
  asked.write(body);
  asked.addTrailers({"X-Said": "behind", "Host": "evil.example"});
  asked.end();
} else {
  const http2 = require("http2");
  const session = http2.connect(`https://localhost:${port}`, {ca: fs.readFileSync(ca)});
  const ask = (path, trailers) => new Promise((done) => {
    const stream = session.request({":path": path, ":method": "POST", "te": "trailers"}, {waitForTrailers: !!trailers});
    const said = {text: "", trailers: {}, stream};
    stream.on("response", (fields) => { said.status = fields[":status"]; });
    stream.on("data", (piece) => { said.text += piece; });
    stream.on("trailers", (fields) => { said.trailers = {...fields}; });
    stream.on("error", () => {});
    stream.on("close", () => done([said.status || 0, said.text, said.trailers, stream.rstCode]));
    if (trailers) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    if (path === "/echo") stream.write(body);
    stream.end();
    ask.last = stream;
  });
  const until = async (state) => {
    while (JSON.parse((await ask("/state"))[1])[state[0]] < state[1]) await new Promise((next) => setTimeout(next, 20));
  };
  (async () => {
    if (what === "echo") {
      const [status, text, trailers] = await ask("/echo", {"x-said": "behind", "x-forwarded-for": "6.6.6.6"});
      tell([status, JSON.parse(text), trailers]);
    } else {
      const streams = [], ends = [];
      for (let number = 0; number < 50; number++) { ends.push(ask("/hold")); streams.push(ask.last); }
      await until([0, 50]);
      streams[25].close(http2.constants.NGHTTP2_CANCEL);
      await until([1, 1]);
      await ask("/go");
      tell((await Promise.all(ends)).map(([status, text]) => [status, text]));
    }
    session.close();
  })();
}
"""
VERSIONS = ["1.1", "2"]


@pytest.fixture
def node(stage: Stage, tmp_path: Path) -> Any:
    """Starts a server behind lbproxy, and runs a client in front of it: (versions of client and backend, what it does)."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    (tmp_path / "server.js").write_text(SERVER)
    (tmp_path / "client.js").write_text(CLIENT)

    def run(client: str, backend: str, what: str, **pool: Any) -> tuple[LbProxy, Any]:
        port = free_port()
        server = stage.server(Server([found, str(tmp_path / "server.js"), str(port), backend], port, tmp_path))
        proxy = stage.proxy(server.address, app={"protocol": "h2" if backend == "2" else "http/1.1", **pool})
        command = [found, str(tmp_path / "client.js"), str(proxy.port()), client, str(stage.authority.file), what]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
        assert ended.returncode == 0, ended.stderr
        return proxy, json.loads(ended.stdout)

    return run


@pytest.mark.parametrize("buffers", [False, True], ids=["passed on", "buffered"])
@pytest.mark.parametrize("backend", VERSIONS)
@pytest.mark.parametrize("client", VERSIONS)
def test_trailers(node: Any, client: str, backend: str, buffers: bool) -> None:
    """Of the request and of the answer; neither identities nor hosts; and the backend is told that trailers are wanted."""
    pool = {"buffer_requests": "16KiB", "buffer_responses": "16KiB"} if buffers else {}
    proxy, (status, seen, trailers) = node(client, backend, "echo", **pool)
    assert (status, seen) == (200, [200_000, "trailers", {"x-said": "behind"}])
    assert trailers == {"x-sum": "200000", "x-said": "behind"}
    assert [line["reason"] for line in proxy.wait_access()] == [""]
    assert_books_close(proxy)


@pytest.mark.parametrize("backend", VERSIONS)
def test_one_of_fifty_streams_is_reset(node: Any, backend: str) -> None:
    """The backend hears of it, and the others live."""
    proxy, answers = node("2", backend, "hold")
    assert answers[:25] + answers[26:] == [[200, "held"]] * 49
    assert answers[25] == [0, ""]
    assert len(proxy.wait_access(count=1, status=499)) == 1
    assert_books_close(proxy)
