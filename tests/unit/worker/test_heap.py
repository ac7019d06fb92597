"""What the C library keeps of free memory."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

GLIBC = hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
PIECES = """
import resource, sys
from lbproxy.worker.heap import keep_what_is_free
done = keep_what_is_free()
for _ in range(2000):
    held = [bytes(65000) for _ in range(8)]
    held.clear()
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(**environment: str) -> tuple[bool, int]:
    """Whether anything was changed, and the pages that the kernel has cleared for pieces of bodies that come and go."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    ran = subprocess.run([sys.executable, "-c", PIECES], capture_output=True, text=True, check=True, env=clean | environment)
    done, count = ran.stdout.split()
    return done == "True", int(count)


@pytest.mark.skipif(not GLIBC, reason="the C library is not glibc")
def test_pieces_of_bodies_stay_in_the_process() -> None:
    """Two thousand times half a megabyte come and go, and the kernel clears no pages for them."""
    done, count = faults()
    assert done
    assert count < 100_000  # 256,000 where each is returned


@pytest.mark.parametrize(("name", "value", "changes"), [
    ("MALLOC_TRIM_THRESHOLD_", "131072", False), ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=131072", False),
    ("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=1024", GLIBC),
])  # fmt: skip
def test_who_starts_us_may_say_otherwise(name: str, value: str, changes: bool) -> None:
    """By the environment, as glibc's manual has it."""
    assert faults(**{name: value})[0] == changes
