"""A second pool that gets requests as well, for real: it is compared, and when it is silent nobody waits, nor does a reload."""

from __future__ import annotations

import signal
import ssl
import time

import httpx

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.process import run_cli
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
