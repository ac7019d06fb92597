"""`python -m bench [cases...]`: the table. Other things are asked for by a verb (VERBS):

    reload     requests lost while each proxy reloads
    faults     what a failing backend costs
    scale      what several workers cost, and how evenly they share
    slow       what a crowd of slow clients costs the others
    store      what ten thousand certificates cost: a start, a handshake, memory
    herd       what a herd on a cold key costs the backend, and those who wait
    attacks    what one client that floods costs the others, message by message
    taps       what requests wait beside a tap whose readers are awake, asleep, dead or not there
    simulate   how long requests wait under each balancing policy, in simulated time

Exit 0 whatever the figures, 1 with the reason when the harness cannot measure.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from bench.attacks import command as attacks
from bench.faults import command as faults
from bench.herd import command as herd
from bench.macro import cases
from bench.macro import command as macro
from bench.macro import scale_command as scale
from bench.micro import command as micro
from bench.reload import command as reload
from bench.simulate import command as simulate
from bench.slow import command as slow
from bench.store import command as store
from bench.taps import command as taps

VERBS = {
    "micro": micro.main,
    "reload": reload.main,
    "scale": scale.main,
    "faults": faults.main,
    "slow": slow.main,
    "store": store.main,
    "herd": herd.main,
    "attacks": attacks.main,
    "taps": taps.main,
    "simulate": simulate.main,
}
"""By the first argument; what is a case as well (`reload`) is a verb only if options or nothing follow it."""


def main(argv: list[str]) -> int:
    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)  # through the finally clauses that stop the proxies

    signal.signal(signal.SIGTERM, end)
    verb = argv[0] if argv and argv[0] in VERBS else None
    if verb is None or (verb in cases.NAMES and argv[1:] and not argv[1].startswith("-")):
        return macro.main(argv)
    return VERBS[verb](argv[1:])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
