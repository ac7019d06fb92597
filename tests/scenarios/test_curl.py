"""curl, the client everybody has, gets through TLS what it would get from the backend, and its uploads arrive whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.support.app import PATTERN
from tests.support.process import LbProxy
from tests.support.tools import curl

HUNDRED_MB = 100_000_000


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """100 MB that repeat nowhere near a buffer size, and their sha256."""
    path = tmp_path_factory.mktemp("upload") / "big"
    block = hashlib.shake_256(b"lbproxy").digest(1_000_003)
    data = (block * (HUNDRED_MB // len(block) + 1))[:HUNDRED_MB]
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def test_get(stage: Stage, proxy: LbProxy) -> None:
    """A GET over HTTP/1.1 brings the backend's body, status and fields."""
    said = curl(stage.authority.file, "--include", f"https://localhost:{proxy.port()}/echo?a=b%20c")
    head, _, body = said.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nX-Backend: app" in head
    seen = json.loads(body)
    assert (seen["method"], seen["target"]) == ("GET", "/echo?a=b%20c")


def test_head(stage: Stage, proxy: LbProxy) -> None:
    """HEAD brings the fields of GET, and curl does not wait for a body."""
    said = curl(stage.authority.file, "--head", f"https://localhost:{proxy.port()}/bytes/12345", within=60)
    assert b"Content-Length: 12345\r\n" in said.stdout


def test_post_of_100_mb(stage: Stage, proxy: LbProxy, big_file: tuple[Path, str]) -> None:
    """--data-binary of 100 MB (with the Expect: 100-continue that curl adds) arrives byte for byte."""
    path, digest = big_file
    said = curl(stage.authority.file, "--data-binary", f"@{path}", f"https://localhost:{proxy.port()}/echo")
    seen = json.loads(said.stdout)
    assert (seen["length"], seen["sha256"]) == (HUNDRED_MB, digest)


def test_mirrored_100_mb(stage: Stage, proxy: LbProxy, big_file: tuple[Path, str], tmp_path: Path) -> None:
    """Up and down at the same time, chunked both ways: what comes back is what was sent."""
    path, digest = big_file
    back = tmp_path / "back"
    url = f"https://localhost:{proxy.port()}/mirror"
    curl(stage.authority.file, "--upload-file", str(path), "--header", "Transfer-Encoding: chunked", "--output", str(back), url)
    assert hashlib.sha256(back.read_bytes()).hexdigest() == digest


def test_chunked_upload(stage: Stage, proxy: LbProxy, tmp_path: Path) -> None:
    """A body of unknown length travels in chunks and arrives whole, once the backend is known to understand them."""
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo").status == 200
    path = tmp_path / "body"
    path.write_bytes(PATTERN[:200_001])
    said = curl(
        stage.authority.file,
        *("--request", "POST", "--header", "Transfer-Encoding: chunked", "--data-binary", f"@{path}"),
        f"https://localhost:{proxy.port()}/echo",
    )
    seen = json.loads(said.stdout)
    assert (seen["length"], seen["sha256"]) == (200_001, hashlib.sha256(PATTERN[:200_001]).hexdigest())
    assert ["Transfer-Encoding", "chunked"] in [[name.title(), value] for name, value in seen["fields"]]


def test_expect_100_continue(stage: Stage, proxy: LbProxy, tmp_path: Path) -> None:
    """curl told to wait long for 100 Continue is not kept waiting."""
    path = tmp_path / "body"
    path.write_bytes(b"x" * 5000)
    said = curl(
        stage.authority.file,
        *("--header", "Expect: 100-continue", "--expect100-timeout", "600", "--data-binary", f"@{path}", "--verbose"),
        f"https://localhost:{proxy.port()}/echo",
        within=60,
    )
    assert json.loads(said.stdout)["length"] == 5000
    assert b"HTTP/1.1 100 Continue" in said.stderr


def test_range(stage: Stage, proxy: LbProxy) -> None:
    """Ranges are the backend's business and pass through."""
    said = curl(stage.authority.file, "--include", "--range", "100-299", f"https://localhost:{proxy.port()}/bytes/100000")
    head, _, body = said.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 206 ")
    assert b"Content-Range: bytes 100-299/100000" in head
    assert body == PATTERN[100:300]


def test_keep_alive(stage: Stage, proxy: LbProxy) -> None:
    """Several URLs on one command line share one connection."""
    url = f"https://localhost:{proxy.port()}/echo"
    twice = ("--output", "/dev/null", url) * 2
    said = curl(stage.authority.file, "--write-out", "%{num_connects}\n", *twice)
    assert said.stdout.split() == [b"1", b"0"]


def test_http_1_0(stage: Stage, proxy: LbProxy) -> None:
    """A client of the last century gets its whole body, and the end of the connection."""
    said = curl(stage.authority.file, "--http1.0", f"https://localhost:{proxy.port()}/bytes/70000?chunked=1")
    assert said.stdout == PATTERN[:70000]
