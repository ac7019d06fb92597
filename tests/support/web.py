"""The same small application for WSGI (gunicorn) and ASGI (uvicorn) servers.

POST anything: answers with the sha256 and the length of the body. GET /bytes/N: N patterned bytes. Else: the fields as JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

PATTERN = bytes(range(256)) * 256


def _bytes(total: int) -> Iterable[bytes]:
    for at in range(0, total, len(PATTERN)):
        yield PATTERN[: total - at]


def wsgi(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]) -> Iterable[bytes]:
    """PEP 3333."""
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "POST":
        digest, length = hashlib.sha256(), 0
        while data := environ["wsgi.input"].read(65536):
            digest.update(data)
            length += len(data)
        answer = json.dumps({"sha256": digest.hexdigest(), "length": length}).encode()
    elif path.startswith("/bytes/"):
        total = int(path.split("/")[2])
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(total))])
        return _bytes(total)
    else:
        fields = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
        answer = json.dumps({"path": path, "query": environ["QUERY_STRING"], **fields}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


async def asgi(
    scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """ASGI 3. A WebSocket gets its messages back."""
    if scope["type"] == "websocket":
        await _echo(receive, send)
        return
    assert scope["type"] == "http"
    path = scope["path"]

    async def start(fields: list[tuple[bytes, bytes]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": fields})

    if scope["method"] == "POST":
        digest, length, more = hashlib.sha256(), 0, True
        while more:
            message = await receive()
            digest.update(message.get("body", b""))
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        answer = json.dumps({"sha256": digest.hexdigest(), "length": length}).encode()
    elif path.startswith("/bytes/"):
        await start([(b"content-type", b"application/octet-stream")])  # no length: uvicorn sends it in chunks
        for data in _bytes(int(path.split("/")[2])):
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    else:
        fields = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        spoken = {"http_version": scope["http_version"], "scheme": scope["scheme"]}
        answer = json.dumps({"path": path, "query": scope["query_string"].decode(), **spoken, **fields}).encode()
    await start([(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())])
    await send({"type": "http.response.body", "body": answer})


async def _echo(receive: Callable[[], Awaitable[dict[str, Any]]], send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
