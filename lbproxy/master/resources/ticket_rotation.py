"""The secrets that session tickets are made with: new ones now and then, or those that files hold.

They outlive reloads and SIGUSR2, so that clients resume as before. A secret makes tickets for one `ticket_lifetime` and takes them
for one more. Files (`ticket_keys`) are for several machines: whoever changes them decides when, and they are looked at like
certificates (watches/tickets.py).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lbproxy.config.model import ProcessConfig
from lbproxy.errors import StartError
from lbproxy.observe.log import get_logger
from lbproxy.tls import tickets
from lbproxy.tls.keystore import Stamp

LOOK_EVERY = 2.0


class TicketRotation:
    """The master's, for its life."""

    def __init__(self, now: float) -> None:
        """`now`: monotonic seconds."""
        self._made: tuple[bytes, ...] = (tickets.made(),)
        self._turned = now
        self._look_at = 0.0
        self.stamps: tuple[Stamp | None, ...] = ()
        """Of the files, as they were read."""
        self._files: tuple[Path, ...] = ()
        self._read: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"<TicketRotation of {len(self._made)}, files: {[*map(str, self._files)]}>"

    def secrets(self, proxy: ProcessConfig) -> tuple[bytes, ...]:
        """For a generation with this configuration. Raises StartError for files that hold none."""
        if not proxy.ticket_keys:
            self._files = ()
            return self._made
        if not tickets.available():
            raise StartError("proxy.ticket_keys: this Python's OpenSSL takes no keys for tickets: it has to be 3.0 or newer")
        stamps = tuple(map(Stamp.at, proxy.ticket_keys))
        self._read = tickets.read_secrets(proxy.ticket_keys)
        self._files, self.stamps = proxy.ticket_keys, stamps
        return self._read

    def look(self, proxy: ProcessConfig, now: float, tell: Callable[[tuple[bytes, ...]], None]) -> None:
        """From time to time; `tell` is told the secrets when they are others."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        if now - self._turned >= proxy.ticket_lifetime:
            late = now - self._turned >= 2 * proxy.ticket_lifetime  # the machine slept: what was made before is good no more
            self._made = (tickets.made(), *(() if late else self._made[:1]))
            self._turned = now
            if not proxy.ticket_keys:
                get_logger().info("tickets.rotated", keys=len(self._made))
                tell(self._made)

    def take(self, found: tuple[bytes, ...]) -> bool:
        """What files hold now; whether it is another than before."""
        before, self._read = self._read, found
        return found != before

    def as_dict(self, now: float) -> dict[str, Any]:
        """For the program that takes our place: in memory that it alone gets."""
        return {"made": [b64encode(each).decode() for each in self._made], "age": now - self._turned}

    @classmethod
    def from_dict(cls, told: dict[str, Any], now: float) -> TicketRotation:
        """Of the program before us; new ones when it knew of none."""
        found = cls(now)
        if told:
            found._made = tuple(map(b64decode, told["made"]))
            found._turned = now - told["age"]
        return found
