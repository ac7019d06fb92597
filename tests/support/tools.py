"""External programs that tests use as clients."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def need(program: str, *others: str) -> str:
    """The path of the first of these programs that is there; skips the test with the reason otherwise."""
    for name in (program, *others):
        if path := shutil.which(name) or shutil.which(name, path="/usr/sbin"):
            return path
    pytest.skip(f"{program} is not installed (scripts/test installs it as root on Debian)")


def curl(ca: Path, *arguments: str, within: float = 60.0) -> subprocess.CompletedProcess[bytes]:
    """curl with verification on; the test fails unless it exits 0. It speaks HTTP/1.1 unless it is told otherwise."""
    version = [] if any(argument.startswith("--http") for argument in arguments) else ["--http1.1"]
    always = [*version, "--silent", "--show-error", "--noproxy", "*", "--cacert", str(ca), "--max-time", str(within)]
    command = [need("curl"), *always, *arguments]
    ended = subprocess.run(command, capture_output=True, timeout=within + 5, check=False)
    assert ended.returncode == 0, f"{' '.join(command)}: exit {ended.returncode}: {ended.stderr.decode()}"
    return ended
