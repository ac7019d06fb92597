"""Processes that the master executes anew since they must not have its memory: what they run, with what of the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from lbproxy.master.system.environment import kept

_START = """
import sys
sys.path[:] = {path!r}
from {module} import main
main(*map(int, sys.argv[1:]))
"""
TUNABLES = "GLIBC_TUNABLES"


def execute(module: str, descriptors: Sequence[int], *, tunables: str = "") -> int:
    """`main(DESCRIPTOR, ...)` of a module of ours, found where we find it, in a process with these descriptors and 0 to 2. Its pid:
    the master reaps it, as all its children. `tunables`: of the C library; what our own environment says of them counts more.
    Raises OSError."""
    code = _START.format(path=[os.path.abspath(place) for place in sys.path], module=module)
    command = [sys.executable, "-P", "-c", code, *map(str, descriptors)]
    environment = kept(os.environ)
    if tunables:
        environment[TUNABLES] = ":".join(filter(None, (tunables, environment.get(TUNABLES))))
    process = subprocess.Popen(command, pass_fds=descriptors, env=environment)  # our own code
    process.returncode = 0  # it is not waited for by that object
    return process.pid
