"""The control process, as a forker forks it or the master executes it (master/anew.py); no verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from lbproxy.master.spawn import live_anew

if TYPE_CHECKING:
    from lbproxy.config.model import Config
    from lbproxy.ipc.handover import ChildMain


def main(descriptor: int) -> NoReturn:
    """`descriptor`: of what the master tells."""
    live_anew(descriptor, lambda config: ready()(config))


def ready() -> Callable[[Config], ChildMain]:
    """Load all that it runs; for a process that only forks, too: no hub is made, which could not be shared."""
    from lbproxy.names import lookup
    from lbproxy.net import preload

    preload.modules()
    lookup.preload()
    return _control


def _control(_: Config) -> ChildMain:
    from lbproxy.control.main import run
    from lbproxy.net import preload

    preload.loop()
    return run
