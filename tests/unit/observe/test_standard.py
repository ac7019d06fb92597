"""print(), warnings and events of a process that serves go through outlets: in order, and without ever waiting."""

from __future__ import annotations

import os
import subprocess
import sys

PRELUDE = """
import os, sys, warnings
from lbproxy.config.model import LogConfig
from lbproxy.observe import log, standard
standard.adopt_streams()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, check=True, timeout=60)


def test_what_is_said_stands_in_order() -> None:
    """Events, print() and what Python itself says."""
    done = run("""
log.configure(LogConfig(format="json"), role="x")
print("one", "two", file=sys.stderr)
log.get_logger().info("three")
warnings.warn("four")
print("five"); print("six", end="")
assert sys.stderr.fileno() == 2 and not sys.stderr.isatty()
standard.adopt_streams()
print(" seven")
""")
    assert done.stdout == "five\nsix seven\n"
    first, second, third, *_ = done.stderr.splitlines()
    assert first == "one two"
    assert '"event": "three"' in second
    assert "UserWarning: four" in third


def test_a_process_ends_although_nobody_reads() -> None:
    """And it ends with what it had to say as far as there was room, and with its own code."""
    reading, writing = os.pipe()
    code = "for number in range(3000): print('x' * 99)\nprint('y', file=sys.stderr)\nsys.exit(7)"
    with subprocess.Popen([sys.executable, "-c", PRELUDE + code], stdout=writing, stderr=writing) as process:
        assert process.wait(60) == 7
    os.close(writing)
    with os.fdopen(reading, "rb") as rest:
        text = rest.read()
    assert text.startswith(b"x" * 99 + b"\n")
    assert len(text) >= 60_000


def test_dropped_events_are_told_when_it_flows_again() -> None:
    """With their number; and the loop may do that, with nothing new to say."""
    reading, writing = os.pipe()
    code = """
log.configure(LogConfig(format="json"), role="x")
for number in range(5000):
    log.get_logger().info("turn", number=number)
os.write(int(sys.argv[1]), b"full"); os.read(int(sys.argv[2]), 1)
while standard.waiting():
    log.flush()
log.flush()
"""
    told, tell = os.pipe()
    heard, hear = os.pipe()
    command = [sys.executable, "-c", PRELUDE + code, str(tell), str(heard)]
    with subprocess.Popen(command, stderr=writing, pass_fds=[tell, heard]) as process:
        os.close(writing)
        os.close(tell)
        assert os.read(told, 4) == b"full"
        os.write(hear, b"g")
        with os.fdopen(reading, "rb") as stream:
            lines = stream.read().decode().splitlines()
        assert process.wait(60) == 0
    for descriptor in (told, heard, hear):
        os.close(descriptor)
    turns = [line for line in lines if '"turn"' in line]
    assert [f'"number": {number},' in line for number, line in enumerate(turns)] == [True] * len(turns)
    assert '"event": "log.dropped"' in lines[-1]
    assert f'"lines": {5000 - len(turns)},' in lines[-1]


def test_a_stream_in_place_of_the_real_one_stays() -> None:
    """Whoever embeds us has a reason for it."""
    run("import io; mine = sys.stdout = io.StringIO(); standard.adopt_streams(); assert sys.stdout is mine; sys.stdout = None\n"
        "standard.adopt_streams(); assert sys.stdout is None")  # fmt: skip
