"""An lbproxy whose configuration changes while it runs: written whole, signalled, and waited for until the log says how it went."""

from __future__ import annotations

import copy
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.support.process import Event, LbProxy
from tests.support.waiting import PATIENCE, eventually
from tests.support.written import written

Config = dict[str, Any]
SERVES = ("ready", "reloaded")
RELOAD_WITHIN = 90.0
"""A reload may have to wait for the place of a generation that is still finishing; the drain's limits bound that."""


class Reloads:
    """Changes and reloads one running lbproxy."""

    def __init__(self, proxy: LbProxy) -> None:
        self.proxy = proxy
        self._failed = len(proxy.events("reload.failed"))

    @property
    def generation(self) -> int:
        """The one that serves."""
        return max(int(event["generation"]) for event in self.proxy.events() if event.get("event") in SERVES)

    def write(self, config: Config | str) -> None:
        """The file, replaced in one step, as an editor or a deployment does it. No signal."""
        fresh = self.proxy.file.with_suffix(".new")
        fresh.write_text(written(config), encoding="utf-8")
        fresh.rename(self.proxy.file)
        if not isinstance(config, str):
            self.proxy.config = config

    def change(self, edit: Callable[[Config], object]) -> None:
        """The present configuration, edited in place."""
        config = copy.deepcopy(self.proxy.config)
        edit(config)
        self.write(config)

    def reload(self, edit: Callable[[Config], object] | None = None) -> Event:
        """Edit, SIGHUP, and the new generation's `reloaded`; AssertionError when it failed."""
        if edit is not None:
            self.change(edit)
        wanted = self.generation + 1
        self.proxy.signal(signal.SIGHUP)
        try:
            done = eventually(lambda: self._outcome(wanted), f"generation {wanted}", within=RELOAD_WITHIN)
        except AssertionError as error:
            error.add_note("\n".join(self.proxy.stderr()[-20:]))
            raise
        assert done is not None
        assert done["event"] in SERVES, f"the reload failed: {done}"
        return done

    def fail(self, within: float = PATIENCE) -> str:
        """SIGHUP, and the reason why it failed; AssertionError when it did not."""
        before = self.generation
        self.proxy.signal(signal.SIGHUP)
        return self.failed(before, within)

    def failed(self, before: int, within: float = PATIENCE) -> str:
        """The reason of the next failed reload; generation `before` serves on."""
        event = self.proxy.wait_event("reload.failed", skip=self._failed, within=within)
        self._failed += 1
        assert self.generation == before, "the generation rose"
        return str(event["reason"])

    def _outcome(self, wanted: int) -> Event | None:
        for event in self.proxy.events():
            if event.get("event") in SERVES and event["generation"] >= wanted:
                return event
        failed = self.proxy.events("reload.failed")
        return failed[-1] if len(failed) > self._failed else None

    def workers(self, generation: int | None = None) -> list[int]:
        """The pids of the living workers of a generation (default: the one that serves), as the log told them."""
        number = self.generation if generation is None else generation
        said = [event["pid"] for event in self.proxy.events("worker.ready") if event["generation"] == number]
        return [pid for pid in said if psutil.pid_exists(pid) and pid in self.proxy.workers()]

    def only_the_newest(self, within: float = PATIENCE) -> None:
        """Wait until no worker of an older generation is left."""

        def gone() -> bool:
            # Which is the newest is asked each time: a generation serves a moment before the log tells.
            newest = {event["pid"] for event in self.proxy.events("worker.ready") if event["generation"] == self.generation}
            return set(self.proxy.workers()) <= newest

        eventually(gone, "the old workers gone", within=within)

    def cut(self) -> int:
        """Connections that draining workers had to cut, over all generations so far."""
        return sum(event["cut"] for event in self.proxy.events("worker.drained"))


def children(pid: int) -> list[int]:
    """The living children of a process, straight from the kernel: quick enough to catch one right after its birth."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_worker(pid: int) -> bool:
    try:
        return b"lbproxy: worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return False


class Ambush:
    """Meets every worker that a master starts from now on, once it has its name, and stops it: what then, is the test's to say.

    Other children (control, who looks at keys) go their way: what becomes of a reload without them is another promise.
    """

    def __init__(self, master: int) -> None:
        self._master = master
        self._known = set(children(master))

    def next(self, within: float = PATIENCE) -> int:
        """The next new worker, stopped."""
        return eventually(self.next_if_any, "a new worker", within=within, every=0.0005)  # type: ignore[return-value]  # never None

    def next_if_any(self) -> int | None:
        """A new worker, stopped, if there is one already."""
        for pid in children(self._master):
            if pid not in self._known and _is_worker(pid):
                self._known.add(pid)
                os.kill(pid, signal.SIGSTOP)
                return pid
        return None


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Processes that do not run inside; for less than the five seconds after which the master takes them for hung."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGCONT)


def assert_served(queued: list[socket.socket], ca: Path) -> None:
    """Clients that were connected by the kernel before anybody accepted them: each gets its TLS and its answer."""
    context = ssl.create_default_context(cafile=str(ca))
    for raw in queued:
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.settimeout(PATIENCE)
            tls.sendall(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert tls.recv(65536).startswith(b"HTTP/1.1 200")
