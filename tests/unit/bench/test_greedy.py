"""Without the accept balance a worker takes whatever comes, however many it holds; with it, it leaves some to the others."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """\
import mmap
from bench.macro.greedy import without_balance
from lbproxy.balance.ledger import SIZE, Ledger, Scalar, scalar_at
from lbproxy.worker.accept.accept_balance import AcceptBalance

ledger = Ledger(mmap.mmap(-1, SIZE))
for child, connections in ((0, 500), (1, 1)):
    ledger.open_row(child)
    ledger.cells[scalar_at(child, Scalar.ACCEPTING)] = 1
    ledger.cells[scalar_at(child, Scalar.CONNECTIONS)] = connections
print(AcceptBalance(ledger, 0, 10000, 65536, ()).room().name)
without_balance()
print(AcceptBalance(ledger, 0, 10000, 65536, ()).room().name, AcceptBalance(ledger, 0, 500, 65536, ()).room().name)
"""


def test_only_the_limit_is_left() -> None:
    made = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert made.stderr == ""
    assert made.stdout.split() == ["ABOVE_SHARE", "PLENTY", "FULL"]
