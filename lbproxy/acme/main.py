"""The ACME process: beats and hears the master in its main thread, orders in another, shows answers to challenges in a third.

It has no copy of the master's memory, the folder of its accounts and certificates as its working directory, and of the network the
authorities' ports. When an authority keeps it waiting for too long it ends, and the master starts another.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import threading
import time
from pathlib import Path

from lbproxy.acme.challenges import Challenges
from lbproxy.acme.dns_command import DnsRunner
from lbproxy.acme.folder import AcmeFolder
from lbproxy.acme.lock import FolderLock
from lbproxy.acme.work import AcmeWork, Files
from lbproxy.config.acme_names import folder_of, wanted
from lbproxy.config.model import Config
from lbproxy.errors import FrameError, StartError, StreamError
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import HEARTBEAT_INTERVAL, Drain, Failed, Heartbeat, Message, Quit, Ready, SetLogLevel
from lbproxy.ipc.pipe import ChildPipe
from lbproxy.observe.log import flush, get_logger, set_level
from lbproxy.observe.process import rss_kib

CLEAN, BROKEN = 0, 1
LONGEST = 900.0
"""Seconds that one name may take, beside what the configuration grants."""
FAREWELL = 2.0
SMALL = 64 * 1024


class AcmeProcess:
    """Its life in stages: what needs the master's privileges, what needs no walls, and the rest."""

    def __init__(self) -> None:
        self._files: dict[str, Files] = {}
        self._runner: DnsRunner | None = None

    def privileged(self, config: Config) -> None:
        """Before privileges are dropped: files that only their owner may read, and the folder. Raises StartError."""
        assert config.acme is not None
        for authority in config.acme.authorities:
            ca = None if authority.ca is None else _content(authority.ca)
            key = "" if authority.eab_key is None else _content(authority.eab_key).decode("ascii", "replace").strip()
            self._files[authority.directory] = Files(ca, key)
        folder = folder_of(config)
        assert folder is not None
        try:
            os.chdir(folder)  # which stands below folders that are closed to us afterwards
        except OSError as error:
            raise StartError(f"proxy.state_dir: {folder}: {error.strerror or error}") from error

    def unwalled(self, config: Config) -> None:
        """Before the walls are built."""
        if config.acme is not None and config.acme.dns_command:
            self._runner = DnsRunner(config.acme.dns_command, config.acme.dns_timeout)

    def __call__(self, handover: Handover) -> int:
        """The rest, to its end; the exit code."""
        return _Running(handover, self._files, self._runner).run()


class _Running:
    def __init__(self, handover: Handover, files: dict[str, Files], runner: DnsRunner | None) -> None:
        acme = handover.config.acme
        assert acme is not None
        self._handover = handover
        self._pipe = ChildPipe(handover.pipe)
        self._said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._limit = LONGEST + len(acme.authorities) * (acme.challenge_wait + 2 * acme.dns_timeout)
        folder = AcmeFolder()
        folder.sweep(time.time())
        self._lock = FolderLock(folder, time.monotonic, f"{socket.gethostname()} {os.getpid()}")
        self._challenges = Challenges(folder, self._say, acme.challenge_wait, runner)
        names = wanted(handover.config).names
        self._work = AcmeWork(acme, names, folder, self._challenges, self._lock, self._say, files)
        self._worker = threading.Thread(target=self._work.run, daemon=True)
        self._code: int | None = None

    def _say(self, message: Message) -> None:
        """From any thread."""
        self._said.put(message)
        os.eventfd_write(self._wake, 1)

    def run(self) -> int:
        self._pipe.send(Ready(os.getpid(), walls=" ".join(self._handover.walls)))
        self._worker.start()
        threading.Thread(target=self._challenges.run, daemon=True).start()
        beat = time.monotonic()
        while self._code is None:
            now = time.monotonic()
            if now >= beat:
                self._pipe.send(Heartbeat(int((now - beat) * 1000), rss_kib(), 0, 0))
                beat = now + HEARTBEAT_INTERVAL
                flush()
                self._judge(now)
            self._turn(max(0.0, beat - time.monotonic()))
        return self._leave()

    def _turn(self, wait: float) -> None:
        poll = select.poll()
        poll.register(self._pipe.fileno(), select.POLLIN | (select.POLLOUT if self._pipe.queued else 0))
        if not self._pipe.queued:
            poll.register(self._wake, select.POLLIN)
        ready = dict(poll.poll(wait * 1000))
        try:
            if self._pipe.queued:
                self._pipe.flush()
            if self._wake in ready:
                os.eventfd_read(self._wake)
            while not self._pipe.queued and not self._said.empty():
                self._pipe.send(self._said.get())
            if ready.get(self._pipe.fileno(), 0) & ~select.POLLOUT:
                self._hear()
        except FrameError as error:
            get_logger().error("pipe.malformed", why=str(error))
            self._code = BROKEN
        except StreamError:
            self._code = CLEAN  # the master is gone

    def _hear(self) -> None:
        messages = self._pipe.receive()
        if messages is None:
            self._code = CLEAN
            return
        for message in messages:
            if isinstance(message, Quit | Drain):
                self._code = CLEAN
            elif isinstance(message, SetLogLevel):
                set_level(message.level)

    def _judge(self, now: float) -> None:
        """An authority that says a byte now and then keeps a thread for ever, which nobody can end but with the process."""
        busy = self._work.busy
        if busy is not None and now - busy[1] > self._limit:
            self._pipe.send(Failed(f"{busy[0]}: an authority kept us waiting for {self._limit:.0f} s"))
            self._code = BROKEN
        elif not self._worker.is_alive():
            self._pipe.send(Failed("its work has come to an end"))
            self._code = BROKEN

    def _leave(self) -> int:
        self._work.stop()
        self._worker.join(FAREWELL)
        try:
            self._lock.give_back()
        except OSError:
            pass  # whoever comes waits until it is stale
        flush()
        self._pipe.close()
        return self._code or CLEAN


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(SMALL * 16)
    except OSError as error:
        raise StartError(f"[acme]: {path}: {error.strerror or error}") from error
