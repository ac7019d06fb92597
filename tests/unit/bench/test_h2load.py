"""What h2load says at its end, what it writes down meanwhile, and what it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.macro import cases, h2load
from bench.macro.errors import BenchError

OUTPUT = """\
Main benchmark duration is over for thread #0. Stopping all clients.
Stopped all clients for thread #0

finished in 1.01s, 13.00 req/s, 316.91MB/s
requests: 14 total, 29 started, 14 done, 10 succeeded, 3 failed, 1 errored, 0 timeout
status codes: 28 2xx, 0 3xx, 0 4xx, 2 5xx
traffic: 316.91MB (332305230) total, 3.42KB (3500) headers (space savings 33.16%), 316.56MB (331936368) data
                     min         max         mean         sd        +/- sd
time for request:   144.82ms    573.68ms    276.65ms    118.21ms    76.92%
"""


def test_figures_come_from_its_last_lines_and_waits_from_its_log(tmp_path: Path) -> None:
    """What it failed at counts, whether or not that was written down."""
    log = tmp_path / "log"
    log.write_text("".join(f"1795863169678049\t200\t{1000 * number}\n" for number in range(1, 200)))
    load = h2load.parse(OUTPUT, log)
    assert (load.requests, load.seconds, load.bytes, load.errors) == (10, 1.01, 331936368, 3)
    assert load.p50_ms == pytest.approx(100, abs=1)
    assert load.p99_ms == pytest.approx(198, abs=2)


@pytest.mark.parametrize("status", ["-1", "404", "503"])
def test_every_answer_that_is_none_counts(tmp_path: Path, status: str) -> None:
    """-1: a stream that failed."""
    log = tmp_path / "log"
    log.write_text(f"1795863169678049\t{status}\t5\n" * 7)
    assert h2load.parse(OUTPUT, log).errors == 7


def test_next_to_no_answers_still_make_figures(tmp_path: Path) -> None:
    """Time may be over before the first."""
    assert h2load.parse(OUTPUT.replace("1.01s", "950ms"), tmp_path / "none").seconds == pytest.approx(0.95)


def test_an_end_without_figures_is_an_error_that_quotes_it(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="refused"):
        h2load.parse("could not connect: refused\n", tmp_path / "none")


def test_it_asks_for_the_cipher_that_the_other_loads_get(tmp_path: Path) -> None:
    """And for HTTP/2 alone: a proxy that falls back would be measured as what it is not."""
    command = h2load.command(cases.BY_NAME["h2-upload100k"], 8443, 2, tmp_path / "log")
    assert {"-c16", "-m4", "-D2", "--npn-list=h2", "--tls13-ciphers=TLS_AES_256_GCM_SHA384"} <= set(command)
    [body] = [word.partition("=")[2] for word in command if word.startswith("--data=")]
    assert Path(body).stat().st_size == cases.UPLOAD_BYTES


def test_a_call_of_grpc_is_one(tmp_path: Path) -> None:
    """An empty message behind its five bytes, and the fields without which a server refuses it."""
    command = h2load.command(cases.BY_NAME["grpc"], 8443, 2, tmp_path / "log")
    assert {"--header=content-type: application/grpc", "--header=te: trailers"} <= set(command)
    assert command[-1] == "https://127.0.0.1:8443/bench.Echo/Unary"
    assert (tmp_path / "h2load.body").read_bytes() == b"\0\0\0\0\0"


def test_a_log_of_the_measurement_before_is_gone(tmp_path: Path) -> None:
    """It would be added to."""
    (tmp_path / "log").write_text("1\t200\t1\n")
    h2load.command(cases.BY_NAME["h2"], 8443, 2, tmp_path / "log")
    assert not (tmp_path / "log").exists()
