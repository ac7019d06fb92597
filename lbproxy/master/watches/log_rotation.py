"""The access log was rotated (SIGUSR1): workers go on in a new file, which the master opens for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial

from lbproxy.errors import StartError
from lbproxy.ipc.messages import ReopenLogs
from lbproxy.ipc.pipe import MasterPipe
from lbproxy.master.processes.spawn import Running
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.system import access_log
from lbproxy.observe import log
from lbproxy.observe.outlet import unshared

Talk = Callable[[Running, Callable[[MasterPipe], None]], None]
"""Writes to a child's pipe, and looks after what is left to write."""


def reopen(generation: int, resources: GenerationResources, workers: Iterable[Running], talk: Talk) -> None:
    """For the workers of one generation. Where it cannot be, the old file goes on, and the log says so."""
    try:
        fresh = access_log.open_access_log(resources.config)
    except StartError as error:
        log.get_logger().error("logs.not_reopened", generation=generation, why=str(error))
        return
    if fresh < 0:
        return
    resources.close_access()
    resources.access_fd = fresh
    for running in workers:
        own = unshared(os.dup(fresh))
        try:
            talk(running, partial(MasterPipe.send_fd, message=ReopenLogs(), descriptor=own))
        except OSError as error:
            log.get_logger().error("logs.not_reopened", pid=running.pid, why=error.strerror)
        finally:
            os.close(own)
    log.get_logger().info("logs.reopened", generation=generation, access=resources.config.log.access)
