"""What the load generators say."""

from __future__ import annotations

import pytest

from bench.macro import handshakes
from bench.macro.backends import parse_status
from bench.macro.errors import BenchError
from bench.macro.wrk import Load, parse

OUTPUT = """\
Running 3s test @ https://127.0.0.1:8443/tiny
  1 threads and 64 connections
  Socket errors: connect 0, read 2, write 0, timeout 1
figures requests=45000 bytes=6000000 microseconds=3001000 p50=2010 p99=7820 connect=0 read=2 write=0 status=4 timeout=1
"""


def test_figures_come_from_the_last_line_and_all_errors_count() -> None:
    assert parse(OUTPUT) == Load(requests=45000, seconds=3.001, p50_ms=2.01, p99_ms=7.82, bytes=6000000, errors=7)


def test_an_end_without_figures_is_an_error_that_quotes_it() -> None:
    with pytest.raises(BenchError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:8443 Connection refused\n")


def test_the_handshake_client_speaks_the_same_line() -> None:
    taken = [0.001 * n for n in range(1, 200)]
    load = parse(handshakes.figures(taken, 2.0, 3))
    assert (load.requests, load.seconds, load.errors) == (199, 2.0, 3)
    assert load.p50_ms == pytest.approx(100, abs=1)
    assert load.p99_ms == pytest.approx(198, abs=2)


@pytest.mark.parametrize("taken", [[], [0.5]])
def test_next_to_no_handshakes_still_make_a_line(taken: list[float]) -> None:
    assert parse(handshakes.figures(taken, 1.0, 9)).requests == len(taken)


def test_the_backends_count_is_the_third_number() -> None:
    text = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630947 31070465 \n"
    assert parse_status(text + "Reading: 6 Writing: 179 Waiting: 106 \n") == 31070465


def test_another_answer_than_a_count_is_an_error() -> None:
    with pytest.raises(BenchError, match="404"):
        parse_status("<h1>404 Not Found</h1>")
