"""The Python that runs lbproxy in a benchmark: the one that runs the benchmark, or the one that BENCH_PYTHON names.

Interpreters of one version differ in what they cost: a distribution's, built with profile-guided optimization and linked into its
program, needed a sixth less CPU for a tiny request than one of pyenv's with default options (1.51 against 1.82 times nginx, medians
of 6 rounds). nginx and HAProxy come from the distribution, too, so it is the fair choice where there is one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bench.macro.errors import BenchError

VARIABLE = "BENCH_PYTHON"


class Interpreter(NamedTuple):
    """What to start, and where it finds this environment's packages when it is not this environment's."""

    program: str
    packages: tuple[str, ...]
    version: str

    def path(self, source: Path) -> str:
        """PYTHONPATH with `source` in front."""
        return os.pathsep.join([str(source), *self.packages])


def interpreter() -> Interpreter:
    """Raises BenchError when BENCH_PYTHON names one that cannot take this environment's packages."""
    return _look(os.environ.get(VARIABLE, ""))


@cache
def _look(named: str) -> Interpreter:
    here = ".".join(map(str, sys.version_info[:3]))
    if not named:
        return Interpreter(sys.executable, (), here)
    ask = "import sys; print('.'.join(map(str, sys.version_info[:3])), sys.implementation.cache_tag)"
    try:
        asked = subprocess.run([named, "-c", ask], capture_output=True, text=True, timeout=10, check=True)
        version, tag = asked.stdout.split()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BenchError(f"{VARIABLE}: wanted a Python, came {named!r}: {error}") from error
    if tag != sys.implementation.cache_tag:
        wanted = f"one like this, {sys.implementation.cache_tag}, whose compiled packages it can load"
        raise BenchError(f"{VARIABLE}: wanted {wanted}, came {tag} ({named})")
    return Interpreter(named, (sysconfig.get_path("platlib"),), f"{version} ({named}) for lbproxy; {here} for the rest")
