"""The answers of the throw-away backends, by the first part of the path."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from tempfile import SpooledTemporaryFile

from lbproxy.config.model import MIB
from lbproxy.demo.requests import BLOCK, BadRequest, DemoExchange

TEXT = "text/plain; charset=utf-8"
PATTERN = bytes(range(256)) * 256
"""/bytes/N is this over and over, so byte i is i % 256 and anyone can compute the digest."""
MOST_BYTES = 10**12
MOST_ECHOED = 1024 * MIB
LONGEST_SLEEP_MS = 600_000

USAGE = "GET /slow?ms=500 · /status/503 · /bytes/1000000 · /headers (JSON) · POST /echo\n"

Answer = Callable[[DemoExchange], Awaitable[None]]


def _number(text: str, most: int, name: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 15 or int(text) > most:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"{name} is a number from 0 to {most}")
    return int(text)


def _second_part(exchange: DemoExchange) -> str:
    return exchange.request.path.split("/", 2)[2] if exchange.request.path.count("/") > 1 else ""


async def hello(exchange: DemoExchange) -> None:
    """Who answers, and what it was asked: proof of who got the request and of what the proxy made of it."""
    request = exchange.request
    head = "".join(f"    {name}: {value}\n" for name, value in request.fields)
    text = f"Hello from backend {exchange.who}, answer number {exchange.number}.\n\n"
    text += f"    {request.method} {request.target} {request.version}\n{head}\n{USAGE}"
    await exchange.answer(200, TEXT, text.encode("utf-8"))


async def slow(exchange: DemoExchange) -> None:
    """/slow?ms=N: the usual answer, later."""
    await asyncio.sleep(_number(exchange.request.query("ms") or "1000", LONGEST_SLEEP_MS, "ms") / 1000)
    await hello(exchange)


async def status(exchange: DemoExchange) -> None:
    """/status/NNN: that status."""
    code = _number(_second_part(exchange), 599, "the status")
    if code < 200:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the status is a number from 200 to 599")
    await exchange.answer(code, TEXT, f"{code} from backend {exchange.who}\n".encode())


async def count_bytes(exchange: DemoExchange) -> None:
    """/bytes/N: N bytes, streamed."""
    left = _number(_second_part(exchange), MOST_BYTES, "the count of bytes")
    await exchange.discard_body()
    await exchange.send(exchange.head(200, "application/octet-stream", left))
    while left and exchange.request.method != "HEAD":
        block = PATTERN[:left]
        await exchange.send(block)
        left -= len(block)


async def echo(exchange: DemoExchange) -> None:
    """/echo: the body back, framed as it came.

    All of it is taken first (beyond a MiB into a temporary file): a client that reads nothing before it has sent everything would
    otherwise wait for us while we wait for it.
    """
    length = exchange.request.length
    with SpooledTemporaryFile(MIB) as spool:
        taken = 0
        async for block in exchange.body():
            taken += len(block)
            if taken > MOST_ECHOED:
                raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_ECHOED} bytes come back")
            spool.write(block)
        spool.seek(0)
        await exchange.send(exchange.head(200, "application/octet-stream", length))
        if exchange.request.method == "HEAD":
            return
        while block := spool.read(BLOCK):
            await exchange.send(block if length is not None else b"%x\r\n%b\r\n" % (len(block), block))
        if length is None:
            await exchange.send(b"0\r\n\r\n")


async def headers(exchange: DemoExchange) -> None:
    """/headers: what came, as JSON."""
    request = exchange.request
    told = {"backend": exchange.who, "method": request.method, "target": request.target, "headers": request.fields}
    await exchange.answer(200, "application/json", json.dumps(told, indent=1).encode() + b"\n")


ROUTES: dict[str, Answer] = {"slow": slow, "status": status, "bytes": count_bytes, "echo": echo, "headers": headers}
