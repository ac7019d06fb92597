"""The control process, as the master executes it (master/anew.py); no verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from lbproxy.master.spawn import live_anew

if TYPE_CHECKING:
    from lbproxy.config.model import Config
    from lbproxy.ipc.handover import ChildMain


def main(descriptor: int) -> NoReturn:
    """`descriptor`: of what the master tells."""
    live_anew(descriptor, _control)


def _control(config: Config) -> ChildMain:
    """Loads gevent, and what it needs for the names of this configuration."""
    from lbproxy.balance.places import names_in
    from lbproxy.control.main import run
    from lbproxy.names import lookup
    from lbproxy.net import preload

    preload.modules()
    preload.loop()
    if names_in(config):
        lookup.preload()
    return run
