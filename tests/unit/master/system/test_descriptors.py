"""The limit of open files."""

from __future__ import annotations

import subprocess
import sys

from lbproxy.config.descriptors import wanted
from lbproxy.master.system.descriptors import shortage

RAISE = """
import resource, sys
from lbproxy.master.system.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))
now = raise_limit(int(sys.argv[1]))
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == now
print(now)
"""


def raised_to(need: int) -> int:
    return int(subprocess.run([sys.executable, "-c", RAISE, str(need)], stdout=subprocess.PIPE, check=True).stdout)


def test_the_soft_limit_goes_up_to_the_hard_one() -> None:
    assert raised_to(100) == 256


def test_more_than_that_only_with_the_privilege() -> None:
    assert raised_to(1000) in (256, 1000)
    assert raised_to(2**40) == 256  # over fs.nr_open nobody gets


def test_a_shortage_is_told_with_its_numbers() -> None:
    assert shortage(1000, wanted(1000)) == ""
    why = shortage(1000, 1024)
    assert why.startswith(
        f"connections_per_worker = 1000 needs {wanted(1000)} open files, the limit is 1024: about 480 connections"
    )
    assert "LimitNOFILE" in why
