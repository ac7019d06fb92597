"""The master's notices to systemd about itself: sd_notify(3), in Python's own words.

systemd names a datagram socket in NOTIFY_SOCKET and, with WatchdogSec=, the time within which it wants to hear from us. Under
another supervisor there is no such variable, and everything here does nothing.

The manager may be busy, or gone, and neither must hold up or bring down a proxy: nothing here waits. What a busy manager does not
take is tried again as time passes, in order, since it goes by our word: without READY=1 it would end a start that succeeded. Each
message opens a socket of its own, so that there is no descriptor that children would have to close.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import MutableMapping

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

LONGEST_STATUS = 1000
"""Bytes. systemd reads messages of up to 4096 (PIPE_BUF), assignments and all."""
TRY_AGAIN = 0.5
"""Seconds until a message that was not taken is tried again, at most."""
MOST_KEPT = 16
"""Messages that wait for a busy manager; beyond that the oldest goes, which later ones have overtaken."""
NEVER = float("inf")
BUSY = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Times will be better."""


class Notifier:
    """Built once, by the process that systemd started, from its environment; there it takes away what children must not see."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ, pid: int | None = None) -> None:
        self.environment = {name: environ.pop(name) for name in VARIABLES if name in environ}
        """What was taken away: a process that executes itself again gives it to its next life."""
        self._address = _address(self.environment.get("NOTIFY_SOCKET", ""))
        self._half = _watchdog(self.environment, os.getpid() if pid is None else pid) / 2 if self._address else NEVER
        self._next = NEVER if self._half == NEVER else 0.0
        self._kept: deque[bytes] = deque(maxlen=MOST_KEPT)
        self._retry = NEVER

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._address)

    def ready(self, status: str = "") -> bool:
        """Everything serves: after a start, and again at the end of each reload, whether it worked or not."""
        return self._send("READY=1", *_status(status))

    def reloading(self, monotonic_usec: int, status: str = "") -> bool:
        """A reload begins; `ready` ends it. By the time, of CLOCK_MONOTONIC, Type=notify-reload tells it from an earlier one."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_usec}", *_status(status))

    def stopping(self, status: str = "", within: float = 0.0) -> bool:
        """The end begins. `within` seconds it will be over, and TimeoutStopSec= must not cut it short before."""
        extend = (f"EXTEND_TIMEOUT_USEC={round(within * 1_000_000)}",) if within > 0 else ()
        return self._send("STOPPING=1", *extend, *_status(status))

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(*_status(text))

    def watchdog(self, now: float) -> bool:
        """Say that we live, if it is time to: twice as often as asked, as sd_watchdog_enabled(3) has it. Whether it was said.

        What was not taken before is said first."""
        if self._kept and now >= self._retry:
            self._retry = NEVER if self._say_kept() else now + TRY_AGAIN
        if now < self._next:
            return False
        said = self._address != "" and self._say(b"WATCHDOG=1")
        self._next = now + (self._half if said else min(self._half, TRY_AGAIN))
        return said

    def next_deadline(self) -> float:
        """When `watchdog` wants to be called; infinity: never."""
        return min(self._next, self._retry)

    def _send(self, *assignments: str) -> bool:
        """Whether the manager has it. Each method returns this; it is nobody's duty to look."""
        if not self._address or not assignments:
            return False
        self._kept.append("\n".join(assignments).encode("utf-8", "replace"))
        if self._say_kept():
            return True
        self._retry = 0.0 if self._kept else NEVER
        return False

    def _say_kept(self) -> bool:
        """All that was not taken so far, in order; what is kept then is for another try."""
        said = True
        while self._kept:
            try:
                said = self._say(self._kept[0], patient=True)
            except BlockingIOError:
                return False
            self._kept.popleft()
        return said

    def _say(self, message: bytes, *, patient: bool = False) -> bool:
        """Whether the manager has it. Raises BlockingIOError when it is worth another try, if somebody is `patient`."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(message, self._address)
        except OSError as error:  # its buffer is full; it is gone; we have no descriptor left: no reason to stop proxying
            if patient and error.errno in BUSY:
                raise BlockingIOError from error
            return False
        return True


def _address(value: str) -> str:
    """As Python names it; "" for none, and for families that are for virtual machines (vsock)."""
    if value.startswith("@"):
        return "\0" + value[1:]
    return value if value.startswith("/") else ""


def _watchdog(environ: MutableMapping[str, str], pid: int) -> float:
    """Seconds within which systemd wants to hear from this process; infinity: it does not, or means another process."""
    usec, addressee = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
    if addressee != str(pid) or not (usec.isascii() and usec.isdigit()) or int(usec) == 0:
        return NEVER
    return int(usec) / 1_000_000


def _status(text: str) -> tuple[str, ...]:
    """One line, for a line feed would begin another assignment; not too long, and cut between two characters."""
    line = " ".join(text.split())
    cut = line.encode("utf-8", "replace")[:LONGEST_STATUS].decode("utf-8", "ignore")
    return (f"STATUS={cut}",) if cut else ()
