"""requests and httpx, in front of nginx, gunicorn and uvicorn: bodies keep their sha256 both ways."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import requests

from tests.conftest import Stage
from tests.support import web
from tests.support.backends import Server, gunicorn, nginx, uvicorn
from tests.support.process import LbProxy

Answer = tuple[int, bytes]
SIZE = 10_000_019


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + 65537] for at in range(0, len(body), 65537))


class WithRequests:
    """The requests library, one session."""

    def __init__(self, base: str, ca: Path, stack: ExitStack) -> None:
        self._base, self._session = base, stack.enter_context(requests.Session())
        self._session.verify = str(ca)
        self._session.trust_env = False

    def get(self, path: str) -> Answer:
        """GET."""
        response = self._session.get(self._base + path, timeout=120)
        return response.status_code, response.content

    def post(self, path: str, body: bytes) -> Answer:
        """POST with Content-Length."""
        response = self._session.post(self._base + path, data=body, timeout=120)
        return response.status_code, response.content

    def post_in_chunks(self, path: str, body: bytes) -> Answer:
        """POST of unknown length."""
        response = self._session.post(self._base + path, data=_pieces(body), timeout=120)
        return response.status_code, response.content


class WithHttpx:
    """The httpx library, one client."""

    def __init__(self, base: str, ca: Path, stack: ExitStack) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        self._client = stack.enter_context(httpx.Client(base_url=base, verify=context, trust_env=False, timeout=120))

    def get(self, path: str) -> Answer:
        """GET."""
        response = self._client.get(path)
        return response.status_code, response.content

    def post(self, path: str, body: bytes) -> Answer:
        """POST with Content-Length."""
        response = self._client.post(path, content=body)
        return response.status_code, response.content

    def post_in_chunks(self, path: str, body: bytes) -> Answer:
        """POST of unknown length."""
        response = self._client.post(path, content=_pieces(body))
        return response.status_code, response.content


Library = type[WithRequests] | type[WithHttpx]
both_libraries = pytest.mark.parametrize("library", [WithRequests, WithHttpx])


def _base(proxy: LbProxy) -> str:
    return f"https://localhost:{proxy.port()}"


@both_libraries
@pytest.mark.parametrize("server", [gunicorn, uvicorn])
def test_applications(stage: Stage, tmp_path: Path, server: Callable[[Path], Server], library: Library) -> None:
    """Downloads, uploads with a length and uploads in chunks, over one keep-alive connection, at a Python application server."""
    body = hashlib.shake_128(b"body").digest(SIZE)
    with ExitStack() as stack:
        backend = stack.enter_context(server(tmp_path))
        client = library(_base(stage.proxy(backend.address, workers=2)), stage.authority.file, stack)
        for post in (client.post, client.post_in_chunks):
            status, answer = post("/upload", body)
            assert status == 200
            assert hashlib.sha256(body).hexdigest().encode() in answer, answer
        status, down = client.get(f"/bytes/{SIZE}")
        assert (status, hashlib.sha256(down).digest()) == (200, hashlib.sha256(b"".join(web._bytes(SIZE))).digest())
        status, answer = client.get("/page?q=1")
        assert status == 200
        assert b'"path": "/page"' in answer


@both_libraries
def test_nginx(stage: Stage, tmp_path: Path, library: Library) -> None:
    """Files from nginx, small and large, and its 404."""
    with ExitStack() as stack:
        backend = stack.enter_context(nginx(tmp_path))
        files = {"small.txt": b"hello\n", "large.bin": hashlib.shake_128(b"large").digest(SIZE)}
        for name, data in files.items():
            (tmp_path / "www" / name).write_bytes(data)
        client = library(_base(stage.proxy(backend.address, workers=2)), stage.authority.file, stack)
        for name, data in files.items():
            status, down = client.get(f"/{name}")
            assert (status, hashlib.sha256(down).digest()) == (200, hashlib.sha256(data).digest())
        assert client.get("/absent")[0] == 404
