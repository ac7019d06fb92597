"""Session tickets: good with every worker, over reloads, rotations and SIGUSR2, and with another lbproxy that has the same file."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from pathlib import Path
from typing import Any

from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.waiting import eventually
from tests.support.wire import Client

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def context_for(stage: Stage, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    context.maximum_version = version
    return context


def visit(proxy: LbProxy, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> tuple[ssl.SSLSession, bool]:
    """A request on a connection of its own; the session to come back with, and whether the one of before was resumed."""
    with context.wrap_socket(
        socket.create_connection(("127.0.0.1", proxy.port()), 60), server_hostname="localhost", session=session
    ) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        while stream.recv(65536):
            pass
        assert stream.session is not None
        return stream.session, bool(stream.session_reused)


def secret(path: Path, content: bytes) -> Path:
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    return fresh.replace(path)


def config_of(stage: Stage, **proxy: Any) -> dict[str, Any]:
    port = free_port()
    return stage.config(stage.app().address, workers=2, proxy=proxy, metrics={"address": f"127.0.0.1:{port}"})


def test_resumption_outlives_workers_generations_and_programs(stage: Stage) -> None:
    """Each of them takes the ticket of the very first visit; metrics tell how many resumed."""
    config = config_of(stage)
    proxy = stage.run(config)
    contexts = {version: context_for(stage, version) for version in VERSIONS}
    first = {version: visit(proxy, context)[0] for version, context in contexts.items()}
    for number, (sent, event) in enumerate(((None, ""), (signal.SIGHUP, "reloaded"), (signal.SIGUSR2, "reloaded"))):
        if sent is not None:
            proxy.signal(sent)
            proxy.wait_event(event, skip=number - 1)
        for version, context in contexts.items():
            assert all(visit(proxy, context, first[version])[1] for _ in range(6))  # both workers, as far as six visits tell
    with Client(int(config["metrics"]["address"].rpartition(":")[2])) as scraper:
        [line] = [line for line in scraper.request("GET", "/metrics").body.splitlines() if line.startswith(b"lbproxy_tls_resumed")]
        assert int(line.split()[-1]) > 0


def test_keys_are_rotated_and_the_one_before_is_taken(stage: Stage) -> None:
    """A ticket of one lifetime ago resumes, one of two does not."""
    proxy = stage.run(config_of(stage, ticket_lifetime="4s"))
    context = context_for(stage, ssl.TLSVersion.TLSv1_3)
    proxy.wait_event("tickets.rotated")
    session, _ = visit(proxy, context)
    proxy.wait_event("tickets.rotated", skip=1)
    eventually(lambda: visit(proxy, context, session)[1] or len(proxy.events("tickets.rotated")) > 2, "it resumes")
    proxy.wait_event("tickets.rotated", skip=2)
    eventually(lambda: not visit(proxy, context, session)[1], "it does not resume any more")


def test_two_machines_share_a_file(stage: Stage) -> None:
    """A ticket of one resumes at the other; a new key in front of the old one is seen, and both are taken meanwhile."""
    old, new = stage.directory / "old.key", stage.directory / "new.key"
    secret(old, os.urandom(80))
    secret(new, os.urandom(48))
    configs = [config_of(stage, ticket_keys=[str(new), str(old)]) for _ in range(2)]
    one, other = (stage.run(config) for config in configs)
    context = context_for(stage, ssl.TLSVersion.TLSv1_3)
    session, resumed = visit(one, context)
    assert not resumed
    assert visit(other, context, session)[1]
    secret(old, new.read_bytes())
    secret(new, os.urandom(80))
    for proxy in (one, other):
        proxy.wait_event("tickets.renewed")
    eventually(lambda: visit(other, context, session)[1], "the old one is taken yet")
    session, _ = visit(one, context)
    assert visit(other, context, session)[1]
