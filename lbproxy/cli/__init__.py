"""The verbs, and the only place that wires master, workers and control together.

    command_line    the parser, and what becomes of errors; standard_streams: descriptors 0 to 2 are never anything else
    options         what several verbs' options have in common
    start           serve what a file says;  quick: serve without one (quick, demo, respond);  check: look at a file (check, init);
                    rehearsal: build of it what a worker would
    reach           where the running lbproxy is (control socket, pid file), asking it, waiting for its end
    reload · stop · status · top · backend · adjust    the verbs that ask; table draws what status says, rates what changed since

Each verb imports what it needs when it runs, so that `--help` and `check` come at once, and what children run is imported
before the first of them is forked: a file that is replaced then changes nothing (net/preload.py). Exit codes: 0 clean, 1 refused or
cannot start, 2 wrong usage or a forced end, 75 cannot start now.
"""

from lbproxy.cli.command_line import main

__all__ = ["main"]
