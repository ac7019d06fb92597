"""A second pool that gets requests as well, for real: it is compared, and when it is silent nobody waits, nor does a reload."""

from __future__ import annotations

import signal
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from lbproxy.cli.reach import Instance, ask
from lbproxy.master.operator.requests import StatusRequest
from tests.conftest import Stage
from tests.support import h2_frames as wire
from tests.support.backends import Conversation, Scripted
from tests.support.process import LbProxy, run_cli
from tests.support.shared import assert_books_close
from tests.support.waiting import eventually


def silent(conversation: Conversation) -> None:
    """Takes everything and says nothing."""
    conversation.wait_close()


def otherwise(conversation: Conversation) -> None:
    """Answers each connection's first request with something else."""
    conversation.read_head()
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nelse")


def test_a_silent_mirror_holds_up_nobody(stage: Stage) -> None:
    """Not the next request on a connection, and not a reload, which would else wait for its time-out of ten minutes."""
    with Scripted(silent) as mirror:
        config = stage.config(stage.app().address)
        config["pool"]["next"] = {"backends": [mirror.address]}
        config["route"] = [{"pool": "app", "mirror": {"pool": "next", "timeout": "10m"}}]
        proxy = stage.run(config)
        with httpx.Client(verify=ssl.create_default_context(cafile=stage.authority.file)) as client:
            began = time.monotonic()
            for number in range(20):
                assert client.get(f"https://localhost:{proxy.port()}/bytes/{number}").content == bytes(range(number))
            assert time.monotonic() - began < 300, "one that waited would take ten minutes"
        eventually(mirror.received, "the mirror got some")
        assert mirror.received()[0].startswith(b"GET /bytes/")
        assert b"Host: localhost" in mirror.received()[0]
        old = proxy.workers()
        proxy.signal(signal.SIGHUP)
        proxy.wait_event("reloaded")
        eventually(lambda: not set(old) & set(proxy.workers()), "the old worker has gone", within=60)


def test_what_a_mirror_answers_otherwise_is_told(stage: Stage) -> None:
    """In the log with its path, and in numbers."""
    with Scripted(otherwise) as mirror:
        config = stage.config(stage.app().address)
        config["pool"]["next"] = {"backends": [mirror.address]}
        config["proxy"]["control"] = str(stage.directory / "control.sock")
        config["route"] = [{"pool": "app", "mirror": {"pool": "next", "compare": True}}]
        proxy = stage.run(config)
        with httpx.Client(verify=ssl.create_default_context(cafile=stage.authority.file)) as client:
            client.get(f"https://localhost:{proxy.port()}/bytes/4?secret=1")
        event = proxy.wait_event("mirror.differs")
        assert (event["path"], event["own"]["length"], event["mirror"]["status"]) == ("/bytes/4", 4, 200)

        def told() -> bool:
            said = run_cli("status", "-c", str(proxy.file)).stdout
            return "mirror other digest: 1" in said and "mirror differs: /bytes/* (digest: 1)" in said

        eventually(told, "status tells it, too")


OK = ((b":status", b"200"),)
TELLS_100 = ((b":status", b"200"), (b"content-length", b"100"))
BEGUN = 7
"""Bytes of an answer that does not end well."""


def begins(stream: int, fields: tuple[wire.Field, ...] = OK, *, end: bool = False) -> bytes:
    return wire.headers(stream, fields, end=False) + wire.data(stream, b"x" * BEGUN, end)


ENDLESS = "endless"
"""It sends as long as it is let."""
CLOSES, RESETS = "closes", "resets"
NEWER: dict[str, tuple[Callable[[int], bytes], str, str]] = {
    "whole": (lambda stream: begins(stream, end=True), "", "sent"),
    "truncated by the end": (begins, CLOSES, "failed"),
    "truncated by a reset": (begins, RESETS, "failed"),
    "shorter than it says": (lambda stream: begins(stream, TELLS_100, end=True), "", "failed"),
    "longer than it says": (lambda stream: begins(stream, (*OK, (b"content-length", b"2")), end=True), "", "failed"),
    "stream reset": (lambda stream: begins(stream) + wire.reset(stream, 2), "", "failed"),
    "stream refused": (lambda stream: wire.reset(stream, 7), "", "failed"),
    "goes away": (lambda _: wire.goaway(0, 0), CLOSES, "failed"),
    "halts in the body": (begins, "", "failed"),
    "says nothing": (lambda _: b"", "", "failed"),
    "speaks something else": (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20, "", "failed"),
    "promises": (lambda stream: wire.frame(5, stream, bytes((0, 0, 0, 2)) + wire.block(wire.GET), wire.END_HEADERS), "", "failed"),
    "trailers for ever": (lambda stream: begins(stream) + wire.headers(stream, OK, end=False) * 2, "", "failed"),
    "without an end": (lambda stream: wire.headers(stream, OK, end=False), ENDLESS, "sent"),
}  # fmt: skip
"""What a mirror says to a request, what it does then, and what that is counted as."""


def frames_of(conversation: Conversation) -> Iterator[tuple[int, int, bytes]]:
    """(kind, stream, payload) of what comes."""
    conversation.read_exactly(len(wire.PREFACE))
    while True:
        head = conversation.read_exactly(9)
        yield head[3], int.from_bytes(head[5:9], "big"), conversation.read_exactly(int.from_bytes(head[:3], "big"))


def newer(how: list[str]) -> Callable[[Conversation], None]:
    """A mirror that speaks HTTP/2 and answers each request as the one thing in `how` says."""

    def script(conversation: Conversation) -> None:
        conversation.send(wire.settings() + wire.settings(ack=True))
        rooms = {0: 65_535}
        for kind, stream, payload in frames_of(conversation):
            if kind == wire.HEADERS:
                say, then, _ = NEWER[how[0]]
                conversation.send(say(stream))
                if then == CLOSES:
                    return
                if then == RESETS:
                    conversation.reset()
                    return
                if then == ENDLESS:
                    rooms[stream] = 65_535
            elif kind == wire.WINDOW_UPDATE:
                rooms[stream] = rooms.get(stream, 65_535) + int.from_bytes(payload, "big")
            elif kind == wire.RST_STREAM:
                rooms.pop(stream, None)
            for each in [each for each in rooms if each]:
                while (size := min(rooms[0], rooms[each], 16_000)) > 0:
                    conversation.send(wire.data(each, b"x" * size))
                    rooms[0] -= size
                    rooms[each] -= size

    return script


def counted(proxy: LbProxy) -> dict[str, int]:
    """What became of copies."""
    control = Path(proxy.config["proxy"]["control"])
    answer = ask(Instance("", control, None), StatusRequest(), 300.0).answer
    return {what[7:]: count for what, count in answer["totals"]["inspected"].items() if what.startswith("mirror ")}


def test_a_mirror_that_speaks_http_2_badly(stage: Stage) -> None:
    """However its answer ends, or does not: clients are answered, it is counted, the next copy comes to a good end, and nothing is
    left of it."""
    how = ["whole"]
    with Scripted(newer(how)) as mirror:
        config = stage.config(stage.app().address, proxy={"control": str(stage.directory / "control.sock")})
        config["pool"]["next"] = {"backends": [mirror.address], "protocol": "h2", "health": {"type": "off"}}
        config["route"] = [{"pool": "app", "mirror": {"pool": "next", "timeout": "2s"}}]
        proxy = stage.run(config)
        with httpx.Client(verify=ssl.create_default_context(cafile=stage.authority.file), timeout=300) as client:
            for number, (name, (_, _, outcome)) in enumerate(NEWER.items()):
                for told, expected in ((name, outcome), ("whole", "sent")):
                    how[0], before = told, counted(proxy)
                    assert client.get(f"https://localhost:{proxy.port()}/bytes/{number}").content == bytes(range(number))
                    eventually(lambda before=before: sum(counted(proxy).values()) > sum(before.values()), told)  # type: ignore[misc]
                    assert counted(proxy) == {**before, expected: before.get(expected, 0) + 1}, told
        assert not [event for event in proxy.events() if event["level"] == "error"]
        assert_books_close(proxy)
