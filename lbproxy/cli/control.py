"""The processes without the master's memory, control and ACME, as a forker forks them or the master executes them
(master/processes/anew.py); no verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from lbproxy.master.processes.spawn import live_anew

if TYPE_CHECKING:
    from lbproxy.config.model import Config
    from lbproxy.ipc.handover import ChildMain


def main(descriptor: int) -> NoReturn:
    """`descriptor`: of what the master tells."""
    live_anew(descriptor, lambda config, role: ready(acme=config.acme is not None)(config, role))


def ready(*, acme: bool) -> Callable[[Config, str], ChildMain]:
    """Load all that they run (`acme`: both); for a process that only forks, too: no hub is made, which could not be shared."""
    from lbproxy.names import lookup
    from lbproxy.net import preload

    preload.modules(workers=False, acme=acme)
    lookup.preload()
    return _load


def _load(config: Config, role: str) -> ChildMain:
    """By the name of the role (master/fleet/child.py), while files of libraries may be read."""
    if role == "acme":
        from lbproxy.acme.main import AcmeProcess

        return AcmeProcess()
    from lbproxy.config.documents import available
    from lbproxy.control.main import run
    from lbproxy.net import preload

    if any(route.jwt is not None for route in config.routes):
        available("jwt")  # it looks at sets of keys that it fetches
    preload.loop()
    return run
