"""The access log: every line is JSON, whatever the bytes were, and short enough for a pipe."""

from __future__ import annotations

import json
import select
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.observe.access import BATCH, FIELDS, AccessLog, Timing, text

WALL = 1_700_000_000.0
SOON = Timing(0.0, 1.0, 1.0, 1.0, 1.0, 1.0)


def log() -> AccessLog:
    """Monotonic 0 is WALL; the stamp shows the whole second."""
    return AccessLog(WALL, lambda second: f"second-{second - int(WALL)}")


def line(**changes: Any) -> dict[str, Any]:
    """One request as the log tells it."""
    facts: dict[str, Any] = {
        "client": "192.0.2.9",
        "method": b"GET",
        "host": b"example.com",
        "path": b"/a?b=c",
        "status": 200,
        "reason": "",
        "bytes_in": 100,
        "bytes_out": 2000,
        "backend": "app1:9000",
        "tries": 1,
        "timing": SOON,
    }
    access = log()
    access.add(**(facts | changes))
    lines = access.take().split(b"\n")
    assert len(lines) == 2
    assert lines[1] == b""
    parsed: dict[str, Any] = json.loads(lines[0])
    assert tuple(parsed) == FIELDS
    return parsed


def test_a_line() -> None:
    """Every field, in order; times in milliseconds since the step before."""
    told = line(timing=Timing(0.0123, 5.0, 5.001, 5.0031, 5.25, 6.5))
    assert told == {
        "time": "second-6.500Z",
        "client": "192.0.2.9",
        "protocol": "HTTP/1.1",
        "method": "GET",
        "host": "example.com",
        "path": "/a?b=c",
        "status": 200,
        "reason": "",
        "bytes_in": 100,
        "bytes_out": 2000,
        "backend": "app1:9000",
        "tries": 1,
        "tls_ms": pytest.approx(12.3, abs=0.11),
        "head_ms": pytest.approx(1.0, abs=0.11),
        "queue_ms": pytest.approx(2.1, abs=0.11),
        "backend_head_ms": pytest.approx(246.9, abs=0.11),
        "total_ms": pytest.approx(1500, abs=0.11),
    }


def test_steps_that_did_not_happen() -> None:
    """A refusal before anything else."""
    told = line(method=b"-", host=b"", path=b"", status=400, reason="bare_lf", backend="", tries=0)
    assert [told[name] for name in FIELDS[-5:]] == [0, 0, 0, 0, 0]
    assert (told["method"], told["reason"]) == ("-", "bare_lf")


@given(st.floats(0, 10_000, allow_nan=False), st.floats(0, 100, allow_nan=False))
def test_any_time(begun: float, took: float) -> None:
    """Thousandths never overflow into the second, and tenths of milliseconds are cut, not rounded up."""
    told = line(timing=Timing(0.0, begun, begun, begun, begun, begun + took))
    second, _, thousandths = told["time"].removeprefix("second-").removesuffix("Z").partition(".")
    assert len(thousandths) == 3
    assert float(f"{second}.{thousandths}") == pytest.approx(begun + took, abs=0.0011)
    assert told["total_ms"] == pytest.approx(took * 1000, abs=0.11)


def test_the_stamp_is_made_once_a_second() -> None:
    """It costs more than the rest of the line."""
    asked: list[int] = []

    def stamp(second: int) -> str:
        asked.append(second)
        return str(second)

    access = AccessLog(0.0, stamp)
    for ended in (1.0, 1.5, 1.999, 2.0, 2.1):
        access.add("c", b"GET", b"h", b"/", 200, "", 0, 0, "", 1, Timing(0.0, 1.0, 1.0, 1.0, 1.0, ended))
    assert asked == [1, 2]


def test_take() -> None:
    """Each line once, whole, in order."""
    access = log()
    assert access.take() == b""
    for number in range(3):
        access.add("c", b"GET", b"h", b"/%d" % number, 200, "", 0, 0, "", 1, SOON)
    assert len(access) == 3
    assert [json.loads(told)["path"] for told in access.take().splitlines()] == ["/0", "/1", "/2"]
    assert (len(access), access.take()) == (0, b"")


def test_a_batch_is_taken_when_it_is_full() -> None:
    """By size, whatever the number of lines and however long nobody asks for them."""
    batches: list[bytes] = []
    access = AccessLog(WALL, str, lambda: batches.append(access.take()))
    for number in range(1000):
        access.add("c", b"GET", b"h", b"/%d" % number, 200, "", 0, 0, "", 1, SOON)
    assert all(BATCH <= len(batch) < BATCH + 1000 for batch in batches)
    lines = b"".join([*batches, access.take()]).splitlines()
    assert [json.loads(told)["path"] for told in lines] == [f"/{number}" for number in range(1000)]
    assert len(batches) >= 3


# ---------------------------------------------------------------- hostile bytes


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes(host: bytes, path: bytes) -> None:
    """They come out of the JSON as they went in, on one line of plain ASCII without control bytes."""
    told = line(host=host, path=path)
    assert (told["host"], told["path"]) == (host.decode("latin-1"), path.decode("latin-1"))
    for raw in (host, path):
        assert all(" " <= char <= "~" for char in text(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b'/","status":200,"x":"',
        b'/"}\n{"forged":true}',
        b"/\r\nforged",
        b"/\x1b[2J",
        b"/\x00",
        b"/\\",
        b"/\\u0022",
        b"/\x7f",
        b"/\xff\x85",
        b"/\xe2\x80\xa8",
    ],
)
def test_nobody_forges_a_line(raw: bytes) -> None:
    """Quotes, line ends, terminal sequences and line separators stay inside the string."""
    assert line(path=raw)["path"] == raw.decode("latin-1")
    assert line(host=raw)["host"] == raw.decode("latin-1")


@pytest.mark.parametrize("unit", [b"a", b'"', b"\\", b"\xff", b"\x00", b'a"', b"aaaaaaaaaaaaaa\x01"])
@pytest.mark.parametrize("size", [2047, 2048, 2049, 40_000])
def test_long_paths_are_cut(unit: bytes, size: int) -> None:
    """As they are written: what is kept is the beginning, ends in dots, and the line fits PIPE_BUF."""
    raw = (unit * size)[:size]
    shown = text(raw)
    assert len(shown) <= 2048 + 3
    told = json.loads(f'"{shown}"')
    if told == raw.decode("latin-1"):
        return
    assert told.endswith("...")
    assert raw.decode("latin-1").startswith(told[:-3])
    assert len(shown) > 1500
    access = log()
    access.add("f" * 60, b"M" * 32, b"h" * 260, raw, 200, "r" * 40, 10**15, 10**15, "b" * 260, 3, SOON)
    assert len(access.take()) < select.PIPE_BUF


def test_hosts_are_remembered_within_bounds() -> None:
    """Invented hosts push each other out, and each line still tells its own."""
    access = log()
    for number in range(2000):
        access.add("c", b"GET", b"h%d" % number, b"/", 200, "", 0, 0, "", 1, SOON)
    assert len(access._hosts) <= 512
    assert [json.loads(told)["host"] for told in access.take().splitlines()] == [f"h{number}" for number in range(2000)]
