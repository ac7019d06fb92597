"""A plain TCP stream over one persistent read watcher.

Theory of operation. gevent's sockets start and stop a watcher around every wait and try to read before they wait. Both cost: a
system call that answers EAGAIN, and two watcher operations per request. Here a socket has one read watcher that is started once:

- Somebody waits for input (`_reader`): the watcher's callback switches to that greenlet, which then reads once.
- Nobody waits: the callback asks the owner. If the owner leaves the input where it is, the (level-triggered) watcher would fire
  for ever, so it is stopped, `unread` notes that input is there, and the next read neither waits nor polls. Once a read has
  emptied the socket the watcher runs again: a connection that is put aside must see its peer leave.
- A read that filled its limit sets `unread` as well: there is probably more. A peer that is faster than we are always has more, and
  its reader would never let the loop go on: after FAIR such reads, or when the turn's budget is spent, the others have their turn.
- Within a turn they are served in the order in which their input came (arrivals.py).
- Whoever brings much waits for a turn that has time for it (work_budget.py).

Writing needs no watcher as a rule: one send takes everything. Only when the kernel's buffer is full a write watcher is started.

Errors of the operating system are translated to StreamError here and nowhere else.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gevent.hub import get_hub
from greenlet import getcurrent, greenlet

from lbproxy.errors import ConnectionLost, TimedOut
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.lingering import Linger
from lbproxy.net.tcp_info import acknowledged, readable, unacknowledged
from lbproxy.net.wire import LEAST, monotonic, receive, reset, send, send_both, unsent
from lbproxy.net.work_budget import BULK
from lbproxy.streams import NEVER, Buffer, PutOff, Stream

# Hub.switch looks for a hook on the greenlet that leaves; ours have none, and the search costs as much as the switch.
_switch_to = greenlet.switch

READ, WRITE = 1, 2  # libev's EV_READ and EV_WRITE
FAIR = 2
"""Reads without a wait: 256 KiB of a body, about half a millisecond with TLS."""
_FAIR, _MUCH = FAIR, BULK  # typed in the .pxd: every read compares with them
MUCH_UNSENT = 128 * 1024
"""Bytes that wait in the kernel for the peer's window: half of what clients' sockets take (worker/main.py), which is where the
kernel begins to tell of room."""
LEAST_RATE = 1024
"""Bytes a second that count as progress of a write. The kernel tells of room only when a third of its buffer is free, which with a
buffer of megabytes and a slow client takes longer than `write_stall`; so a write that is late is looked at more closely."""
EARLY_LIMIT = 16 * 1024
"""Bytes read ahead for a client while its request is being answered: a pipelined request's worth."""


class TcpStream(Stream):
    """A TCP or Unix connection as a stream (streams.Stream). `write_stall`: seconds without progress after which a write is given
    up."""

    __slots__ = (
        "_arrivals",
        "_budget",
        "_bulk",
        "_costly",
        "_deadlines",
        "_early",
        "_ended",
        "_fd",
        "_hub",
        "_paused",
        "_put_off",
        "_queued",
        "_reader",
        "_reset",
        "_sock",
        "_told",
        "_unwaited",
        "_watcher",
        "_write_watcher",
        "_writer",
        "closed",
        "write_deadline",
    )

    def __init__(self, sock: socket.socket, deadlines: Deadlines, write_stall: float) -> None:
        """Takes over `sock`, which must be non-blocking and connected (or connecting)."""
        hub = get_hub()
        self._sock = sock
        self._fd = sock.fileno()
        self._hub = hub
        self._deadlines = deadlines
        self._arrivals = deadlines.arrivals
        self._budget = deadlines.budget
        self._bulk = False  # the last read took much
        self._costly = False  # whoever read it last kept the loop for long
        self._put_off = False  # stands in the budget's queue
        self._reader: greenlet | None = None
        self._writer: greenlet | None = None
        self._write_watcher: Any = None
        self._told = False
        """The loop has told of input that nobody has looked at since."""
        self._unwaited = self._queued = self.wired = self.stalls = 0
        self.unread = self._paused = self._ended = self._reset = False
        self.closed = self.half_closed = self.patient = False
        self._early = b""
        self.owner = None
        self.deadline = self.write_deadline = NEVER
        self.write_stall = write_stall
        self._watcher = hub.loop.io(self._fd, READ)
        self._watcher.start(self._on_input)
        deadlines.streams.add(self)

    # ---------------------------------------------------------------- reading

    def _on_input(self) -> None:
        self._told = True
        if self._arrivals.alone(self):
            self.serve()

    def serve(self) -> None:
        """See arrivals.Arrived. Since it was noted somebody may have closed it, read its input, or left that where it is."""
        if not self._told or self.closed or self._paused:
            return
        self._told = False
        reader = self._reader
        if reader is not None:
            if self.patient or self._bulk or self._costly:
                self._ask_for_a_turn()
                return
            budget = self._budget
            budget.sample -= 1
            if not budget.sample:
                self._measure(reader)
                return
            self._reader = None
            reader.switch()
            return
        if self._bulk:
            self._ask_for_a_turn()
        else:
            self._tell_owner()

    def _tell_owner(self) -> None:
        """Nobody waits for the input that is here."""
        self.unread = True
        if self.owner is not None:
            begun = monotonic()
            self.owner.on_readable()
            now = monotonic()
            self._costly = self._budget.took(now - begun, now)
            if self.closed or self._reader is not None:
                return
            if not self.unread:
                if self._paused:
                    self._resume()
                return
        self._pause()

    def _ask_for_a_turn(self) -> None:
        """Input for somebody who may do much with it."""
        if self._put_off:
            self._pause()  # it takes longer than a turn: the watcher need not ask for ever
        elif self._budget.admits():
            self._told = True
            self.go_on()
        else:
            self._put_off = self._told = True
            self._budget.put_off(self)

    def go_on(self) -> None:
        """See work_budget.PutOff. Who was put off may have been woken by something else meanwhile, and have read."""
        self._put_off = False
        reader = self._reader
        if reader is not None:
            self._measure(reader)
        elif self._told and not self.closed:
            self._told = False
            self._tell_owner()

    def _measure(self, reader: greenlet) -> None:
        """Let it run until it waits, and see how long that took."""
        begun = monotonic()
        self._reader = None
        reader.switch()
        now = monotonic()
        self._costly = self._budget.took(now - begun, now)

    def give_way(self) -> None:
        """See Stream."""
        if self._budget.admits():
            return
        if self.closed:
            raise ConnectionLost("stream closed")
        if not self._put_off:
            self._put_off = True
            self._budget.put_off(self)
        self._reader = getcurrent()
        try:
            _switch_to(self._hub)
        finally:
            self._reader = None

    def has_turn(self, waiting: PutOff) -> bool:
        """See Stream."""
        if self._budget.admits():
            return True
        self._budget.put_off(waiting)
        return False

    def _pause(self) -> None:
        """Nobody takes the input: stop the level-triggered watcher from firing for ever."""
        self.unread = True
        if not self._paused:
            self._paused = True
            self._watcher.stop()

    def _resume(self) -> None:
        self._paused = False
        self._watcher.start(self._on_input)

    def _wait_input(self) -> None:
        if self.closed:
            raise ConnectionLost("stream closed")
        if self._paused:
            self._resume()
        self._reader = getcurrent()
        try:
            _switch_to(self._hub)
        finally:
            self._reader = None

    def read(self, limit: int) -> bytes:
        """See Stream."""
        if self._early:
            data, self._early = self._early, b""
            if self._paused:
                self._resume()
            return data
        least = LEAST
        return self._read_raw(limit if limit > least else least)

    def ready(self) -> bool:
        """See Stream."""
        return self.closed or bool(self._early) or readable(self._fd)

    def _read_raw(self, limit: int) -> bytes:
        while True:
            self._await_input()
            try:
                data = receive(self._fd, limit)
            except OSError as error:
                raise self._lost(error) from error
            if data is not None:
                self._note_read(len(data), limit)
                return data
            self.unread = False

    def _await_input(self) -> None:
        """Before a read: wait, unless something is known to be there."""
        if not self.unread:
            self._wait_input()
        else:
            self._unwaited += 1
            if self._unwaited > _FAIR or (self._bulk and not self._budget.admits()):
                self._unwaited = 0
                self._wait_input()

    def _note_read(self, got: int, limit: int) -> None:
        """After a read of `got` bytes, of `limit` that were asked for."""
        self.unread = got == limit or not got
        self._told = False  # what the loop told of was this
        self._bulk = got >= _MUCH
        if not got:
            self._ended = True
        if self._paused and not self.unread:
            self._resume()

    def read_early(self) -> bool:
        """See Stream."""
        try:
            data = receive(self._fd, EARLY_LIMIT)
        except OSError:
            return False
        if data is None:
            self.unread = False
            return True
        if not data:
            self.half_closed = True
            return False
        self._early += data
        self._told = False
        self.unread = len(self._early) >= EARLY_LIMIT  # enough: the caller pauses the watcher
        return True

    # ---------------------------------------------------------------- writing

    def write(self, data: Buffer) -> None:
        """See Stream."""
        try:
            sent = send(self._fd, data)
        except OSError as error:
            raise self._lost(error) from error
        self.wired += sent
        if sent != len(data):
            self._write_rest(memoryview(data)[sent:])

    def write_both(self, head: bytes, data: bytes) -> None:
        """See Stream."""
        try:
            sent = send_both(self._fd, head, data)
        except OSError as error:
            raise self._lost(error) from error
        self.wired += sent
        if sent != len(head) + len(data):
            self._write_rest(memoryview(head + data)[sent:])

    def _write_rest(self, rest: memoryview) -> None:
        while rest:
            self._wait_room()
            try:
                sent = send(self._fd, rest)
            except OSError as error:
                raise self._lost(error) from error
            self.wired += sent
            rest = rest[sent:]

    def await_room(self) -> None:
        """See Stream."""
        if unsent(self._fd) > MUCH_UNSENT:
            self._wait_room()

    def _wait_room(self) -> None:
        if self.closed:
            raise ConnectionLost("stream closed")
        self._writer = getcurrent()
        self.stalls += 1
        self.write_deadline = time.monotonic() + self.write_stall
        self._queued = unacknowledged(self._sock)
        self._call_on_room(self._on_room)
        try:
            _switch_to(self._hub)
        finally:
            self._writer = None
            self.write_deadline = NEVER
            if self._write_watcher is not None:
                self._write_watcher.stop()

    def local_address(self) -> str:
        """Where the peer has reached us, as in a URL: "192.0.2.1", "[2001:db8::1]". Asked of the kernel."""
        name = self._sock.getsockname() if not self.closed else ""
        host = str(name[0]) if isinstance(name, tuple) else "localhost"  # a Unix socket has a path
        return f"[{host}]" if ":" in host else host

    def end_output(self) -> None:
        """See Stream."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._lost(error) from error

    def wait_connected(self) -> int:
        """Wait, at most `write_stall` seconds, until a connect in progress is decided: 0 or its errno."""
        self._wait_room()
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def _on_room(self) -> None:
        writer = self._writer
        if writer is not None:
            self._writer = None
            writer.switch()

    # ---------------------------------------------------------------- ends

    def _lost(self, error: OSError) -> ConnectionLost:
        """The kernel says that the connection is gone. Once the peer's FIN has come it says "broken pipe" of a reset."""
        if error.errno == errno.ECONNRESET:
            self._reset = True
        return ConnectionLost(error.strerror or str(error))

    def has_early(self) -> bool:
        """See Stream."""
        return bool(self._early)

    def taken(self, since: int) -> bool:
        """See Stream."""
        return acknowledged(self._sock) > since + 1

    def unseen(self, since: int) -> bool:
        """See Stream.

        Every segment acknowledges what came before it, so the peer's FIN tells how much its kernel had when it was sent. A reset
        does not: Linux leaves the acknowledgement in it aside, and delays others by 40 ms, in which a request can be carried out.
        """
        if self.wired == since:
            return True
        return self._ended and not self._reset and 1 <= acknowledged(self._sock) <= since + 1

    def expire(self, now: float) -> None:
        """Called by the sweep from the event loop: cut whoever is late."""
        writer, reader = self._writer, self._reader
        if self.write_deadline <= now and writer is not None:
            queued = unacknowledged(self._sock)
            if queued + self.write_stall * LEAST_RATE <= self._queued:
                self._queued = queued
                self.write_deadline = now + self.write_stall
            else:
                writer.throw(TimedOut("write stalled"))
        elif self._put_off and reader is not None:
            pass  # what it waits for is here: it is we who are late
        elif self.deadline <= now:
            self.deadline = NEVER
            if reader is not None:
                reader.throw(TimedOut("read timed out"))
            elif self.owner is not None:
                self.owner.on_expired()

    def close(self) -> None:
        """See Stream. A greenlet that still waits on the stream gets ConnectionLost at the loop's next turn."""
        if self.closed:
            return
        self.closed = True
        self.owner = None
        self._deadlines.streams.discard(self)
        self._watcher.stop()
        self._watcher.close()
        if self._write_watcher is not None:
            self._write_watcher.stop()
            self._write_watcher.close()
            self._write_watcher = None
        self._fd = -1  # before the number belongs to another connection
        self._sock.close()
        for waiting in (self._reader, self._writer):
            if waiting is not None and waiting is not getcurrent():
                get_hub().loop.run_callback(self._wake_with_loss, waiting)

    def _wake_with_loss(self, waiting: greenlet) -> None:
        if waiting is self._reader or waiting is self._writer:  # else something woke it first, and it does something else now
            waiting.throw(ConnectionLost("stream closed"))

    def finish(self, busy: bool = False) -> None:
        """See Stream."""
        if self.closed:
            return
        self.owner = linger = Linger(self, partial(TcpStream.close, self), self._goodbye(), busy)
        self.deadline = time.monotonic() + self.write_stall
        self.unread = False  # also when called from `on_readable`: the watcher has to go on
        if self._paused:
            self._resume()
        linger.say_goodbye()

    def _goodbye(self) -> bytes:
        """What the layer above says before the end; TCP says nothing."""
        return b""

    def _call_on_room(self, callback: Callable[[], None]) -> None:
        if self._write_watcher is None:
            self._write_watcher = get_hub().loop.io(self._fd, WRITE)
        self._write_watcher.start(callback)

    def abort(self) -> None:
        """See Stream."""
        if not self.closed:
            reset(self._fd)
        TcpStream.close(self)
