"""Compressed answers, as curl and a reader of events get them: over both protocols, of files and of what never ends."""

from __future__ import annotations

import queue
import random
import zlib

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted, nginx
from tests.support.process import LbProxy
from tests.support.tools import curl
from tests.support.waiting import PATIENCE
from tests.support.wire import Client

ALL = {"codings": ["zstd", "gzip"], "types": ["text/*", "application/javascript"]}
STYLE = b"".join(b".c%d { margin: %dpx; color: #%06x }\n" % (number, number % 17, number * 7919) for number in range(9000))


def served(stage: Stage, address: str) -> LbProxy:
    """In front of that backend, compressing."""
    config = stage.config(address, app={"health": {"type": "off"}}, limits={"compression_cpu": 100})
    config["route"][0]["compress"] = ALL
    return stage.run(config)


def fetched(stage: Stage, *arguments: str) -> bytes:
    """What curl prints."""
    return curl(stage.authority.file, *arguments).stdout


def heads(stage: Stage, *arguments: str) -> str:
    """The fields that curl gets, in lower case."""
    return fetched(stage, "--output", "/dev/null", "--dump-header", "-", *arguments).decode().lower()


@pytest.fixture(scope="module")
def site(standing: Stage) -> LbProxy:
    """nginx with a style sheet of 300 KiB, a small one and noise; lbproxy in front."""
    root = standing.directory / "www"
    root.mkdir()
    (root / "style.css").write_bytes(STYLE)
    (root / "small.css").write_bytes(b"a { }\n")
    (root / "noise.bin").write_bytes(random.Random(1).randbytes(50_000))
    return served(standing, standing.server(nginx(standing.directory)).address)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("version", ["--http1.1", "--http2", "--http1.0"])
def test_curl_reads_a_style_sheet(standing: Stage, site: LbProxy, version: str, coding: str) -> None:
    """It is smaller on its way, and the same behind it."""
    url = f"https://localhost:{site.port()}/style.css"
    asks = ("--header", f"Accept-Encoding: {coding}", "--compressed", version)
    assert fetched(standing, *asks, url) == STYLE
    head = heads(standing, *asks, url)
    assert f"content-encoding: {coding}" in head
    assert "vary: accept-encoding" in head
    assert 'etag: w/"' in head
    assert "content-length" not in head
    assert "accept-ranges" not in head
    if version == "--http1.1":
        [line, *_] = site.wait_access(path="/style.css")
        assert line["bytes_out"] < len(STYLE) / 2


def test_left_as_they_are(standing: Stage, site: LbProxy) -> None:
    """Noise, a small sheet, a part of one, and whatever is for somebody who did not ask; each as long as it is."""
    site_url = f"https://localhost:{site.port()}"
    noise = heads(standing, "--compressed", f"{site_url}/noise.bin")
    assert "content-length: 50000" in noise
    assert not {"content-encoding", "vary"} & {line.partition(":")[0] for line in noise.splitlines()}
    assert "content-encoding" not in heads(standing, "--compressed", f"{site_url}/small.css")
    part = fetched(standing, "--compressed", "--include", "--range", "0-9", f"{site_url}/style.css")
    assert b" 206" in part.splitlines()[0]
    assert part.endswith(STYLE[:10])
    plain = heads(standing, f"{site_url}/style.css")
    assert "content-encoding" not in plain
    assert "vary: accept-encoding" in plain
    assert fetched(standing, f"{site_url}/style.css") == STYLE


def test_a_sheet_that_was_seen_is_not_sent_again(standing: Stage, site: LbProxy) -> None:
    """The tag that a client got with the compressed one is understood by the backend: 304."""
    url = f"https://localhost:{site.port()}/style.css"
    head = fetched(standing, "--compressed", "--output", "/dev/null", "--dump-header", "-", url).decode()
    [tag] = [line.partition(":")[2].strip() for line in head.splitlines() if line.lower().startswith("etag:")]
    again = heads(standing, "--compressed", "--header", f"If-None-Match: {tag}", url)
    assert " 304" in again.splitlines()[0]
    assert "content-encoding" not in again


def test_each_event_can_be_read_before_the_next_is_sent(stage: Stage) -> None:
    """Nothing is held back in the coder: not the head before the first event, and no event for company."""
    say: queue.Queue[bytes | None] = queue.Queue()

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        while (piece := say.get(timeout=PATIENCE)) is not None:
            conversation.send(piece)

    with Scripted(script) as backend:
        config = stage.config(backend.address, app={"health": {"type": "off"}})
        config["route"][0]["compress"] = {"types": ["text/event-stream"]}
        client: Client = stage.client(stage.run(config))
        client.send_head("GET", "/events", [("Accept-Encoding", "gzip")])
        say.put(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        head = client.head()
        assert (head.get("content-encoding"), head.get("transfer-encoding")) == ("gzip", "chunked")
        reader = zlib.decompressobj(31)
        for number in range(30):
            event = b"data: %d\n\n" % number
            say.put(event)
            read = b""
            while read != event:
                size, _, piece = client.some().partition(b"\r\n")
                assert len(piece) == int(size, 16) + 2
                read += reader.decompress(piece[:-2])
        say.put(None)
