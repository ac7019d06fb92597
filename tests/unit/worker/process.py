"""A worker in a process of its own, with everything that a master would have handed over.

Run as a program: `python -m tests.unit.worker.process '{...}'` with inherited descriptors.
"""

from __future__ import annotations

import json
import mmap
import multiprocessing
import os
import socket
import ssl
import sys
from typing import Any

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import SIZE, Ledger
from lbproxy.config import model
from lbproxy.ipc.handover import BoundListener, Handover
from lbproxy.observe.log import configure
from lbproxy.worker.main import run


def handover_of(options: dict[str, Any]) -> Handover:
    """What the options and descriptors say."""
    listeners: list[BoundListener] = []
    for entry in options["listeners"]:
        sock = socket.socket(fileno=entry["fd"])
        sock.setblocking(False)
        context = None
        if entry["cert"]:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(entry["cert"], entry["key"])
        listen = model.ListenConfig(model.Address("127.0.0.1", sock.getsockname()[1]))
        listeners.append(BoundListener(listen, sock, context, 100 + len(listeners)))
    backends = tuple(
        Backend("app", f"127.0.0.1:{port}", "127.0.0.1", "127.0.0.1", port, 1, 0, slot)
        for slot, port in enumerate(options["backends"])
    )
    config = model.Config(
        source="",
        listen=tuple(bound.listen for bound in listeners),
        routes=(model.RouteConfig("app"),),
        pools=(model.PoolConfig("app", (), health=model.HealthConfig(type="off")),),
        proxy=model.ProcessConfig(drain_timeout=options.get("drain_timeout", 30.0), idle_grace=options.get("idle_grace", 2.0)),
        timeouts=model.TimeoutsConfig(**options.get("timeouts", {})),
    )
    return Handover(
        config=config,
        generation=1,
        child=0,
        worker=0,
        ledger=Ledger(mmap.mmap(options["ledger"], SIZE)),
        pick_lock=multiprocessing.Lock(),
        listeners=tuple(listeners),
        backends={"app": backends},
        pool_contexts={},
        access_fd=options["access"],
        metrics_socket=None,
        pipe=socket.socket(fileno=options["pipe"]),
    )


if __name__ == "__main__":
    configure(model.LogConfig(level="debug", format="json"))
    code = run(handover_of(json.loads(sys.argv[1])))
    sys.stdout.flush()
    os._exit(code)  # as the master's children do: nothing of the interpreter's end may hold it up
