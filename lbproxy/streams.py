"""The seams to the network: what proxy/ needs from a connection, a dialler and a greenlet, and nothing more.

A stream belongs to whoever opened it. One greenlet may wait for input and another for room to write at the same time; never two for
the same thing. Waiting ends with data, with `TimedOut` when the deadline passes, or with `ConnectionLost`.

While nobody waits for input the stream tells its *owner* what happens, from the event loop: that is how a client that went away
during its request, or a backend that closed an idle connection, is noticed without a greenlet that waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Buffer = bytes | bytearray | memoryview

NEVER = float("inf")

LOCAL = "127.0.0.1"
"""The address of whoever connects to a Unix socket. There is none, and rules, rates, logs and backends want one: it is this
machine, whose processes come over loopback otherwise."""

HEAD_READ = 16 * 1024
"""Bytes to ask for where a head is expected: a TLS record's worth, and malloc serves it from its bins."""
BODY_READ = 64 * 1024
"""Bytes to ask for where a body is relayed; what a relay holds at most is a small multiple of it."""
SWIFT_READ = 2 * BODY_READ
"""The same where whoever gets the body keeps up with it."""


class StreamOwner(Protocol):
    """Called from the event loop, never while somebody waits for the stream's input. Must not wait."""

    def on_readable(self) -> None:
        """Input or its end is there and nobody waits for it."""

    def on_expired(self) -> None:
        """`deadline` passed and nobody waits."""


class PutOff(Protocol):
    """Whoever may bring much waits for a turn of the loop that has time for it (net/work_budget.py)."""

    def go_on(self) -> None:
        """From the event loop: its turn has come."""


class Stream:
    """A byte stream to a client or a backend, TLS or not.

    A class and no protocol, for what is compiled reaches into it without asking: net/ has the real ones, tests have others.
    """

    __slots__ = ("deadline", "half_closed", "owner", "patient", "stalls", "unread", "wired", "write_stall")

    deadline: float
    """Monotonic seconds at which whoever waits for input gets TimedOut (or the owner `on_expired`); NEVER for no limit."""
    half_closed: bool
    """`read_early` has met the end of input, and no loss: the peer may still be reading."""
    owner: StreamOwner | None
    unread: bool
    """Input, or its end, is known to be there (or after a read that was filled: probably there) that nobody has read."""
    patient: bool
    """Whoever waits for input gives way when many do (net/work_budget.py)."""
    stalls: int
    """How often a write had to wait for room."""
    write_stall: float
    """Seconds without progress after which a write is given up."""
    wired: int
    """Bytes handed to the kernel so far, in the form in which they left."""

    def protocol(self) -> str:
        """What was agreed on by ALPN; "" where nothing was."""
        return ""

    def read(self, limit: int) -> bytes:
        """Wait for the next bytes, about `limit` or 64 KiB at most; b"" at the end. Raises TimedOut, ConnectionLost."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether `read` would find something at once, be that the end or a loss. With TLS a part of a record counts as well."""
        raise NotImplementedError

    def write(self, data: Buffer) -> None:
        """Hand all of `data` to the kernel, waiting while it is full. Raises TimedOut after `write_stall` s without progress."""
        raise NotImplementedError

    def write_both(self, head: bytes, data: bytes) -> None:
        """`write` of one behind the other, which where it can be done are not put together for it."""
        self.write(head + data)

    def await_room(self) -> None:
        """Wait until the peer has taken most of what was written; nothing more need be held meanwhile. Raises as `write` does."""
        raise NotImplementedError

    def write_last(self, data: Buffer) -> None:
        """As `write`, and nothing will be written after it: the goodbye goes along, and `finish` comes next."""
        self.write(data)

    def give_way(self) -> None:
        """From whoever would read next: go on when it is this stream's turn, which may be at once. Raises as `read` does."""
        raise NotImplementedError

    def has_turn(self, waiting: PutOff) -> bool:
        """From the event loop: whether more may be done for this stream's client in this turn. False: `waiting` is told in one of
        the next."""
        raise NotImplementedError

    def read_early(self) -> bool:
        """From `on_readable`: take in what came, for the next `read`. False: the peer is gone (end of input, reset, goodbye)."""
        raise NotImplementedError

    def has_early(self) -> bool:
        """Whether `read_early` has taken in anything that was not read yet."""
        raise NotImplementedError

    def taken(self, since: int) -> bool:
        """Whether the peer is known to have got something of what was written from when `wired` was `since`."""
        raise NotImplementedError

    def unseen(self, since: int) -> bool:
        """Whether it is proved that the peer got nothing of what was written from when `wired` was `since`.

        For a stream that cannot go on. Proof is that nothing left, or that the peer ended its side in an orderly way before it had
        acknowledged any of it. A reset is no proof: it may come in place of the acknowledgement of what was read.
        """
        raise NotImplementedError

    def end_output(self) -> None:
        """Say that nothing more will be written (FIN, close_notify); reading goes on. Raises as `write` does."""
        raise NotImplementedError

    def close(self) -> None:
        """Say goodbye (close_notify) as far as it goes without waiting, and close. Closing twice is harmless."""
        raise NotImplementedError

    def finish(self, busy: bool = False) -> None:
        """Close so that nothing already written is lost: end our side, wait in the background for the peer's end, then close.

        `busy`: the peer is in the middle of sending something that nobody wants any more, and may not look before it has sent it.
        Never for one that was given up because it is slow: it would be slow again.
        """
        raise NotImplementedError

    def abort(self) -> None:
        """Close so that the peer can tell that something is missing: no close_notify, and a reset."""
        raise NotImplementedError


class Dialer(Protocol):
    """Opens connections to backends, by TCP or with TLS."""

    def dial(
        self, ip: str, port: int, pool: str, host: str, patience: float, http_1: bool = False, introduction: bytes = b""
    ) -> Stream:
        """Connect, say the `introduction` (a PROXY header), and shake hands when `pool` re-encrypts ("" does not), `host` being the
        server name, within `patience` seconds; how long writes may stall is the caller's to say afterwards. `http_1`: offer nothing
        but HTTP/1.1, whatever the pool offers. Raises UpstreamError(nothing_sent)."""


class Strand(Protocol):
    """A greenlet seen from outside."""

    def throw(self, error: BaseException, /) -> object:
        """Raise `error` where it waits. Only from the event loop."""

    def switch(self) -> object:
        """Let it go on from `Strands.park`. Only from the event loop."""


BLOCK = 64 * 1024
"""Bytes of a block of the scratch file: what a thread writes or reads at once."""


class Scratch(Protocol):
    """A file for what memory should not hold, in blocks. Whoever waits for it holds up nobody else."""

    def write(self, data: bytes) -> int:
        """From a greenlet: keep `data` (BLOCK bytes at most); the block's number. Raises ScratchError, as when the disk is full."""

    def read(self, block: int, size: int) -> bytes:
        """From a greenlet: the first `size` bytes of a block. Raises ScratchError."""

    def free(self, block: int) -> None:
        """It is needed no more."""


class Alarm(Protocol):
    """Something that will be called at its time."""

    def stop(self) -> None:
        """Not any more. Stopping one that has gone off, or twice, is harmless."""


class Strands:
    """Makes greenlets and runs things from the event loop. A class and no protocol, for the reason that Stream is one."""

    __slots__ = ()

    def current(self) -> Strand:
        """The greenlet that runs now."""
        raise NotImplementedError

    def start(self, run: Callable[[], None]) -> None:
        """From the event loop: run `run` in a greenlet of its own until it first waits."""
        raise NotImplementedError

    def later(self, run: Callable[[], None]) -> None:
        """From a greenlet: call `run` from the event loop at its next turn."""
        raise NotImplementedError

    def park(self) -> None:
        """From a greenlet: wait until somebody throws something into it, or switches to it."""
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        """From a greenlet: wait so long, unless somebody throws something into it."""
        raise NotImplementedError

    def alarm(self, seconds: float, run: Callable[[], None]) -> Alarm:
        """Call `run` from the event loop in so many seconds."""
        raise NotImplementedError

    def throw_later(self, strand: Strand, error: BaseException) -> None:
        """From a greenlet: raise `error` in `strand` at the loop's next turn, unless it has ended by then."""
        raise NotImplementedError
