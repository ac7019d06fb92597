"""Route and backend see the same path, whatever the client makes of it; three keys say otherwise for a route that wants it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.process import LbProxy

NAMES = ("admin", "packages", "merged", "raw", "app")


def _teller(name: str) -> Scripted:
    def script(conversation: Conversation) -> None:
        while True:
            target = conversation.read_head().split(b" ")[1]
            body = name.encode() + b" " + target
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return Scripted(script)


@pytest.fixture
def proxy(stage: Stage) -> Iterator[LbProxy]:
    """A pool a route; each backend tells its name and the target it was asked for."""
    with ExitStack() as stack:
        backends = {name: stack.enter_context(_teller(name)) for name in NAMES}
        config = stage.config()
        config["pool"] = {name: {"backends": [backend.address]} for name, backend in backends.items()}
        config["route"] = [
            {"path": "/admin", "pool": "admin", "encoded_slash": "refuse"},
            {"path": "/packages", "pool": "packages"},
            {"path": "/merged", "pool": "merged", "merge_slashes": True},
            {"path": "/raw", "pool": "raw", "raw_path": True},
            {"pool": "app", "merge_slashes": True},
        ]
        yield stage.run(config)


CASES = {
    "/admin": "admin /admin",
    "/x/../admin/": "admin /admin/",
    "/x/%2e%2e/admin": "admin /admin",
    "/%61dmin": "admin /admin",
    "//admin": "admin /admin",
    "/.//admin/x": "admin /admin/x",
    "/admin%2Fx": "app /admin%2Fx",
    "/packages/@scope%2fname": "packages /packages/@scope%2Fname",
    "/packages//x": "packages /packages//x",
    "/merged//a///b?c=//d": "merged /merged/a/b?c=//d",
    "/raw/%61/../b%2fc": "raw /raw/%61/../b%2fc",
    "/raw/../admin": "admin /admin",
    "/a//b": "app /a/b",
    "/?/../admin": "app /?/../admin",
}
REFUSED = {
    "/admin/a%2fb": "target_encoded_slash",
    "//admin//a%2fb": "target_encoded_slash",
    "/..": "target_above_root",
    "/raw/../../admin": "target_above_root",
    "/a/..;/admin": "target_dots",
    "/a%2f..%2fadmin": "target_dots",
    "/a\\..\\admin": "target_backslash",
    "/a%5cadmin": "target_escape",
    "/admin%00": "target_escape",
    "/a#/admin": "target_fragment",
}


def test_who_is_asked_for_what(stage: Stage, proxy: LbProxy) -> None:
    """The path that the route was chosen by is the path that its backend gets."""
    client = stage.client(proxy)
    for target, answer in CASES.items():
        assert client.request("GET", target).body.decode() == answer, target


def test_refused(stage: Stage, proxy: LbProxy) -> None:
    """What has no normal form, or none that its route takes, is a 400 that says why."""
    for target, reason in REFUSED.items():
        with stage.client(proxy) as client:
            response = client.request("GET", target)
            assert (response.status, response.body) == (400, f"400 Bad Request: {reason}\n".encode()), target
