"""A whole lbproxy master with children that do nothing but what a test asks for, no gevent among it.

Run as a program: `python -m tests.support.fleet_process '{"port": 8443, "workers": 2, "behave": "well"}'`. With `"facts": true`
each child writes one JSON line about itself to stdout. With `"reread": FILE` the options in that file (JSON) count for reloads, and
for children that are started from then on. As long as the file `"no_forks"` exists, no process can be forked.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lbproxy.balance.ledger import Scalar, scalar_at
from lbproxy.config.model import (
    Address,
    BackendConfig,
    Config,
    ListenConfig,
    LogConfig,
    MetricsConfig,
    PoolConfig,
    ProcessConfig,
    RouteConfig,
    WafConfig,
)
from lbproxy.errors import Complaint, ConfigError, LbproxyError, StartError
from lbproxy.ipc.handover import ChildMain, Handover
from lbproxy.ipc.messages import Drain, Drained, HealthChanged, Heartbeat, Message, Quit, Ready, ReopenLogs, Serve, SetLogLevel
from lbproxy.ipc.pipe import ChildPipe
from lbproxy.master.main import run

Options = dict[str, Any]


def config_of(options: Options) -> Config:
    pid_file, metrics, control = options.get("pid_file"), options.get("metrics"), options.get("control")
    return Config(
        source=options.get("source", "test.toml"),
        listen=tuple(
            ListenConfig(Address("127.0.0.1", port), line=3) for port in (options["port"], *options.get("more_ports", ()))
        ),
        routes=(RouteConfig("web", line=7, waf=WafConfig(rules=(rules,)) if (rules := options.get("rules")) else None),),
        pools=(PoolConfig("web", tuple(BackendConfig(Address("127.0.0.1", port)) for port in options.get("backends", [9]))),),
        proxy=ProcessConfig(
            workers=options.get("workers", 2),
            drain_timeout=options.get("drain_timeout", 5.0),
            pid_file=Path(pid_file) if pid_file else None,
            control=Path(control) if control else None,
        ),
        log=LogConfig(format="json", level="debug", access=options.get("access", "off")),
        metrics=MetricsConfig(Address("127.0.0.1", metrics) if metrics else None),
    )


class Behaviour:
    """A worker or control that beats, obeys, and misbehaves as told."""

    def __init__(self, options: Options) -> None:
        self.how = options.get("behave", "well")
        self.facts = options.get("facts", False)

    def __call__(self, handover: Handover) -> int:
        self.before_ready(handover)
        pipe = ChildPipe(handover.pipe)
        self.tell(handover)
        pipe.send(Ready(os.getpid()))
        if handover.worker < 0:
            for _ in range(2):
                pipe.send(HealthChanged("web", "127.0.0.1:9", "down", "connection refused"))
        if self.how == "speaks nonsense" and handover.worker == 0:
            os.write(pipe.fileno(), b"\0\0\0\2{]")
        if self.how == "breaks the books" and handover.worker == 0:
            handover.ledger.cells[scalar_at(handover.child, Scalar.REQUESTS)] = 2**63 - 1
            return 0
        if self.how == "returns 3" and handover.worker == 0:
            return 3
        return self.serve(handover, pipe)

    def before_ready(self, handover: Handover) -> None:
        if self.how == "raises" and handover.worker == 0:
            raise RuntimeError("no such luck")
        if self.how == "exits 7" and handover.worker == 0:
            os._exit(7)
        if self.how == "cannot" and handover.worker == 0:
            raise StartError("the moon is in the wrong house")
        if self.how == "no thread" and handover.worker == 0:
            raise RuntimeError("can't start new thread")

    def tell(self, handover: Handover) -> None:
        if not self.facts:
            return
        facts = {
            "worker": handover.worker,
            "pid": os.getpid(),
            "uid": os.getresuid(),
            "descriptors": {int(fd): os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd_open(int(fd))},
            "pipe": handover.pipe.fileno(),
            "listeners": [listener.socket.fileno() for listener in handover.listeners],
            "metrics": handover.metrics_socket.fileno() if handover.metrics_socket else -1,
            "access": handover.access_fd,
            "child": handover.child,
            "cmdline": Path("/proc/self/cmdline").read_text().rstrip("\0"),
            "ignored": [number for number in range(1, 32) if number not in (9, 19) and signal.getsignal(number) is signal.SIG_IGN],
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "slots": {backend.name: backend.slot for backends in handover.backends.values() for backend in backends},
        }
        os.write(1, json.dumps(facts).encode() + b"\n")

    def serve(self, handover: Handover, pipe: ChildPipe) -> int:
        access = handover.access_fd
        while True:
            readable, _, _ = select.select([pipe], [], [], 0.2)
            messages: list[Message] | None = pipe.receive() if readable else []
            if messages is None:
                return 0  # the master is gone: drain, which is quick here
            for message in messages:
                if isinstance(message, Quit):
                    return 0
                if isinstance(message, Serve):
                    handover.ledger.cells[scalar_at(handover.child, Scalar.ACCEPTING)] = 1
                if isinstance(message, SetLogLevel):
                    os.write(2, json.dumps({"event": "level", "level": message.level, "worker": handover.worker}).encode() + b"\n")
                if isinstance(message, Drain) and self.how != "never drains":
                    pipe.send(Drained(0))
                    return 0
                if isinstance(message, ReopenLogs):
                    os.close(access)
                    access = pipe.take_fd()
                    os.write(access, b"reopened\n")
            if self.how == "hangs" and handover.worker == 0 and handover.child == 0:
                while True:
                    time.sleep(60)
            pipe.send(Heartbeat(0, 1000, 0, 0))


def say_ready() -> None:
    """In one piece: children write there, too."""
    os.write(1, b"on_ready %d\n" % os.getpid())


def fd_open(fd: int) -> bool:
    """Whether it still is (the listing itself used one)."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def options_now(given: Options) -> Options:
    """Those given, and what the file says by now. Raises ConfigError."""
    path = Path(given.get("reread", ""))
    try:
        return given | json.loads(path.read_text()) if path.is_file() else given
    except ValueError as error:
        raise ConfigError([Complaint(str(path), 1, "", "wanted JSON", str(error))]) from error


def forks_unless(path: Path) -> Callable[[], int]:
    """fork(2) that fails as long as a file exists, as it does when there are too many processes."""
    fork = os.fork

    def scarce() -> int:
        if path.exists():
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    return scarce


def main() -> int:
    given: Options = json.loads(sys.argv[1])
    if "no_forks" in given:
        os.fork = forks_unless(Path(given["no_forks"]))

    def load() -> ChildMain:
        return Behaviour(options_now(given))

    try:
        return run(
            config_of(given),
            worker=load,
            control=load,
            on_ready=say_ready,
            reread=lambda: config_of(options_now(given)),
        )
    except LbproxyError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if "gevent" in sys.modules:
            print("gevent was imported", file=sys.stderr)
            os._exit(99)


if __name__ == "__main__":
    sys.exit(main())
