"""The requests that are counted are ones that lbproxy takes, and callgrind's files are read as it writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.macro.errors import BenchError
from bench.micro import instructions
from lbproxy.http.h1.request import LastFields, parse_request


@pytest.mark.parametrize("name", instructions.CASES)
def test_requests_are_sound(name: str) -> None:
    request = instructions.CASES[name]
    head = parse_request(request(7), 8192, 100)
    assert head.method == b"GET"
    assert head.path == {"tap": b"/step/unopened", "tap-none": b"/step/none"}.get(name, b"/tiny")
    assert head.keep_alive


@pytest.mark.parametrize(("name", "repeats"), [("tiny", True), ("browser", True), ("other-path", False), ("other-fields", False)])
def test_what_is_remembered_is_met_or_defeated(name: str, repeats: bool) -> None:
    request, last = instructions.CASES[name], LastFields()
    first, second = (parse_request(request(nth), 8192, 100, last) for nth in (1, 2))
    assert (first is second) is repeats


def test_total(tmp_path: Path) -> None:
    made = tmp_path / "callgrind.1.1"
    made.write_text("version: 1\ncreator: callgrind-3.19.0\nevents: Ir\n\nfn=(1) main\n1 5\n\ntotals: 47642350\n")
    assert instructions.total(made) == 47642350


def test_no_total(tmp_path: Path) -> None:
    made = tmp_path / "callgrind.1.1"
    made.write_text("version: 1\n")
    with pytest.raises(BenchError, match="no totals"):
        instructions.total(made)


TABLE = """\
Ir                    file:function
--------------------------------------------------------------------------------
52,000,123 (99.10%)  ???:ev_run [/venv/gevent/libev/corecext.cpython-311-x86_64-linux-gnu.so]
 2,730,240 ( 5.20%)  ???:gevent_callback_timer [/venv/gevent/libev/corecext.cpython-311-x86_64-linux-gnu.so]
       512 ( 0.00%)  ???:gevent_callback_timer'2 [/venv/gevent/libev/corecext.cpython-311-x86_64-linux-gnu.so]
     1,000 ( 0.00%)  ???:0x00000000000dcd00 [/usr/lib/x86_64-linux-gnu/libcrypto.so.3]
"""


def test_timers() -> None:
    assert instructions.timers(TABLE) == 2_730_240
    assert instructions.timers("nothing of the kind") == 0


def test_by_library() -> None:
    found = instructions.by_library(TABLE)
    assert found["libcrypto.so.3"] == 1_000
    assert sum(found.values()) == 52_000_123 + 2_730_240 + 512 + 1_000


def test_by_function() -> None:
    assert instructions.by_function(TABLE, 1) == [(52_000_123, "ev_run [corecext.cpython-311-x86_64-linux-gnu.so]")]
    assert instructions.by_function(TABLE, 9)[-1] == (1_000, "0x00000000000dcd00 [libcrypto.so.3]")


def test_a_line_tells_the_difference() -> None:
    """To a commit, when one is named."""
    assert instructions.line("tiny", 63_400.4, None).split() == ["tiny", "63,400"]
    assert instructions.line("tiny", 63_400.4, 60_000.0).split() == ["tiny", "63,400", "before", "60,000", "+5.7%"]
