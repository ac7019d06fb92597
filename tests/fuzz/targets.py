"""What is fuzzed: functions of any bytes that must neither raise what nobody foresaw nor break their promise.

Each is called with whatever a fuzzer makes up (tests/fuzz/__main__.py: atheris, guided by coverage; tests/fuzz/test_targets.py:
the seeds and hypothesis). What a function refuses on purpose it swallows; everything else that comes out of it is a finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from lbproxy.config.emit import emit
from lbproxy.config.load import load_text
from lbproxy.errors import Complaint, ConfigError, FrameError, RequestError, UpstreamError
from lbproxy.http.forwarding import Forwarder, response
from lbproxy.http.h1.chunks import MAX_SIZE_LINE, ChunkDecoder, ChunkError
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import CHUNKED, NO_BODY, UNTIL_CLOSE, RequestHead
from lbproxy.ipc.codec import Decoder, encode
from lbproxy.ipc.messages import Message
from tests.corpus.http1.vectors import vectors as requests
from tests.corpus.http1_responses.vectors import vectors as responses
from tests.support.readers import Read, by_h11
from tests.unit.proxy.world import EOF, World, get, ok

ROOT = Path(__file__).resolve().parents[2]
END = b"\r\n\r\n"
MAX_LINE, MAX_FIELDS = 8 * 1024, 100

Target = Callable[[bytes], None]


def _pieces(data: bytes) -> tuple[bytes, list[bytes]]:
    """(bytes, the same in pieces): the first byte says how long the pieces are."""
    if not data:
        return b"", []
    step, data = data[0] or 256, data[1:]
    return data, [data[at : at + step] for at in range(0, len(data), step)]


def _request(raw: bytes, last: LastFields | None = None, max_fields: int = MAX_FIELDS) -> RequestHead | tuple[int, str]:
    try:
        return parse_request(raw, MAX_LINE, max_fields, last)
    except RequestError as error:
        return error.status, error.reason


def request_head(data: bytes) -> None:
    """What is forwarded means what was parsed, parses to itself, and is one head; memory of an earlier one changes nothing."""
    raw = data.partition(END)[0] + END
    head = _request(raw)
    last = LastFields()
    _request(b"GET / HTTP/1.1\r\nHost: example.com" + END, last)
    assert _request(raw, last) == head == _request(raw, last)
    if not isinstance(head, RequestHead):
        return
    out = Forwarder("192.0.2.1", "https", 443, ()).request(head)
    assert out.count(END) == 1
    assert out.endswith(END)
    again = _request(out.replace(b"\r\nVia: 1.1 lbproxy\r\n", b"\r\n"), max_fields=MAX_FIELDS + 10)
    assert isinstance(again, RequestHead), again
    assert (again.method, again.target, again.path) == (head.method, head.target, head.path)
    assert again.host == head.host or not head.host  # HTTP/1.0 without Host: backends get our own address
    assert again.body == head.body
    assert not again.raw, "what is forwarded is in normal form"
    if head.body == NO_BODY and not head.upgrade:
        assert by_h11(out) == [Read(head.method, head.target, b"")]


def response_head(data: bytes) -> None:
    """As above, in the other direction; the first byte says what it answers."""
    method = b"HEAD" if data[:1] == b"\x01" else b"GET"
    raw = data[1:].partition(END)[0] + END
    try:
        head = parse_response(raw, method, MAX_FIELDS)
    except UpstreamError:
        return
    extra = b"\r\nTransfer-Encoding: chunked" if head.body in (CHUNKED, UNTIL_CLOSE) else b""
    out = response(head, extra)
    assert out.count(END) == 1
    assert out.endswith(END)
    again = parse_response(out, method, MAX_FIELDS + 2)
    assert (again.status, again.reason) == (head.status, head.reason)
    assert again.body == (CHUNKED if extra else head.body)


def _dechunk(pieces: list[bytes]) -> tuple[bytes, bytes] | None:
    """(payload, rest); None when it is refused or not whole."""
    decoder, payload, rest = ChunkDecoder(), b"", b""
    try:
        for piece in pieces:
            if decoder.done:
                rest += piece
            else:
                payload += decoder.feed(piece)
    except ChunkError:
        return None
    return (payload, decoder.rest + rest) if decoder.done else None


_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t -~\x80-\xff]*)?\r\n")
_TRAILERS = re.compile(rb"(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n)*\r\n")


def _plainly(whole: bytes) -> tuple[bytes, bytes] | None:
    """The grammar of chunks.py read in the plainest way, its limits left out."""
    at, payload = 0, b""
    while (size := _SIZE.match(whole, at)) is not None:
        at = size.end()
        if not int(size[1], 16):
            trailers = _TRAILERS.match(whole, at)
            return None if trailers is None else (payload, whole[trailers.end() :])
        end = at + int(size[1], 16)
        if whole[end : end + 2] != b"\r\n":
            return None
        payload += whole[at:end]
        at = end + 2
    return None


def chunks(data: bytes) -> None:
    """The verdict is that of a plain reading of the grammar, and does not depend on how the bytes come."""
    whole, pieces = _pieces(data)
    once = _dechunk([whole])
    assert _dechunk(pieces) == once
    if len(whole) < MAX_SIZE_LINE:
        assert once == _plainly(whole)


def config(data: bytes) -> None:
    """A text is refused with complaints that have a place, or it is a configuration that survives being written and read."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    complaints: list[Complaint] = []
    try:
        read = load_text(text, "fuzz.toml", ROOT)
    except ConfigError as error:
        complaints = error.complaints
    else:
        written = emit(read)
        assert emit(load_text(written, "fuzz.toml", ROOT)) == written
        return
    assert complaints
    assert all(0 <= complaint.line <= text.count("\n") + 2 and complaint.message for complaint in complaints)


def pipe(data: bytes) -> None:
    """Frames of a process that lost its mind: refused, or messages that survive the wire; however they are cut."""
    whole, pieces = _pieces(data)

    def read(parts: list[bytes]) -> list[Message] | None:
        decoder, found = Decoder(), []
        try:
            for part in parts:
                found += decoder.feed(part)
        except FrameError:
            return None
        return found

    messages = read([whole])
    assert read(pieces) == messages
    if messages:
        assert read([b"".join(map(encode, messages))]) == messages


def client(data: bytes) -> None:
    """Whatever a client sends, whole or in pieces: the same requests reach backends, no fault, nothing left behind."""
    whole, pieces = _pieces(data)
    seen = []
    for parts in ([whole], pieces):
        world = World(1)
        stream = world.connect()
        heads = []
        for part in parts:
            for _ in range(64):  # answer what is asked until it waits for more
                waiting = [upstream for upstream in world.upstreams if upstream.sent and not upstream.end]
                if not waiting or END not in waiting[-1].sent:
                    break
                heads.append(waiting[-1].take().partition(END)[0])
                waiting[-1].feed(ok())
            if stream.end or not part:
                break
            stream.feed(part)
        if not stream.end:
            stream.feed(EOF)
        world.pass_time(120.0)
        world.at_rest()
        seen.append(heads)
    shorter = min(map(len, seen))
    assert seen[0][:shorter] == seen[1][:shorter]


def backend(data: bytes) -> None:
    """Whatever a backend answers: the client gets one response or sees the cut, and nothing of it meets the next request."""
    if not data:
        return
    method = "HEAD" if data[0] & 1 else "GET"
    whole, pieces = _pieces(data)
    for parts in ([whole], pieces):
        world = World(1)
        stream = world.connect()
        stream.feed(get(method=method))
        for part in [*parts, EOF]:
            if world.upstream.end:
                break
            world.upstream.feed(part)
        world.pass_time(120.0)
        world.at_rest()
        assert len(world.lines()) == 1


TARGETS: dict[str, Target] = {
    "request_head": request_head,
    "response_head": response_head,
    "chunks": chunks,
    "config": config,
    "pipe": pipe,
    "client": client,
    "backend": backend,
}


def seeds(name: str) -> Iterator[bytes]:
    """Where a fuzzer starts."""
    if name == "config":
        for file in sorted((ROOT / "conf").glob("*.toml")):
            yield file.read_bytes()
        return
    if name == "pipe":
        yield b"\x03\x00\x00\x00\x1c" + b'{"kind":"Ready","pid":12345}'
        yield b"\x00\x00\x00\x00\x00"
        return
    for kind in ("accept", "reject"):
        for vector in requests(kind) if name in ("request_head", "chunks", "client") else responses(kind):
            if len(vector.raw) > 2048:
                continue
            if name == "chunks":
                if vector.name.startswith("chunk-"):
                    yield b"\x03" + vector.raw.partition(END)[2]
            else:
                yield vector.raw if name == "request_head" else b"\x07" + vector.raw
