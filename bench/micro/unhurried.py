"""lbproxy with a work budget that takes nothing for costly, and is never spent: what `instructions` counts.

Under valgrind a request takes as long as something costly does elsewhere, and would be served from the budget's timer
(net/work_budget.py); so would all but the first of those that come together over HTTP/2. Run by its path, with the package that is
to be counted in PYTHONPATH.
"""

from __future__ import annotations

import sys

from lbproxy.cli import main

try:
    from lbproxy.net import work_budget
except ImportError:  # a revision from before there was one
    pass
else:
    work_budget.COSTLY = work_budget.A_TURN = 10.0

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
