"""Descriptors 0 to 2 are taken before anything else can get their numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations

import pytest

REPORT = """
import os, sys
from lbproxy.cli.standard_streams import occupy
missing = occupy()
opened = os.open("/", os.O_RDONLY)  # what is opened next gets none of their numbers
print("to stdout"); sys.stdout.flush(); print("to stderr", file=sys.stderr)
assert occupy() == ()  # the second time there is nothing to do
again = os.popen("cut -c1-9 </dev/null; echo of a child").read()  # inherited by what is executed
links = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
os.write(int(sys.argv[1]), repr((missing, opened, sys.stdin.read(), again, links)).encode())
"""
COMBINATIONS = [which for count in (1, 2, 3) for which in combinations((0, 1, 2), count)]


@pytest.mark.parametrize("closed", COMBINATIONS, ids=str)
def test_whichever_are_missing(closed: tuple[int, ...]) -> None:
    """All seven ways."""
    reading, writing = os.pipe()
    redirections = " ".join(f"{number}<&-" for number in closed)
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", REPORT, str(writing)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, pass_fds=[writing], check=False)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        told = answer.read().decode()
    assert done.returncode == 0, done.stderr
    missing, opened, read, again, links = eval(told)
    assert missing == closed
    assert opened > 2
    assert (read, again) == ("", "of a child\n")
    for number in (0, 1, 2):
        assert (links[number] == "/dev/null") is (number in closed or number == 0)
    assert done.stdout == (b"" if 1 in closed else b"to stdout\n")
    assert done.stderr == (b"" if 2 in closed else b"to stderr\n")


def test_all_there() -> None:
    """Nothing changes."""
    code = "import sys; before = sys.stdout; from lbproxy.cli.standard_streams import occupy; print(occupy(), sys.stdout is before)"
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert done.stdout == b"() True\n"


def test_without_a_dev_null() -> None:
    """A bare chroot: the number is kept by something harmless."""
    code = (
        "import os; os.devnull = '/no/such'; os.close(0); from lbproxy.cli.standard_streams import occupy;"
        "print(occupy(), os.readlink('/proc/self/fd/0'))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert done.stdout == b"(0,) /\n"
