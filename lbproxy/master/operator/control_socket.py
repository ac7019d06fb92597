"""The control socket: one line of JSON in, one line out, on the master's own selector loop.

What it must cope with: the master has one thread and must never wait for a caller; some answers (a reload) take seconds while
everything else goes on; a caller may send nothing, too much or nonsense, stop reading, or be gone when its answer comes. The plan:
a connection is in one of four states (CallerState), each with its limit in time, and the selector wakes it by calling the key's
data with the mask. Nothing that a peer does is an error of ours: it costs the peer its connection.

The file's mode lets only its owner and root connect; the peer's credentials are checked all the same, because modes get changed.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import socket
import struct
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from lbproxy.master.operator.requests import NAMES, Answer, Request, RequestRefused, StatusRequest, parse
from lbproxy.master.system.socketfile import SocketFile
from lbproxy.observe import log

MAX_REQUEST = 64 * 1024
MAX_CONNECTIONS = 16
"""At a time; the others wait in the socket's queue."""
REQUEST_TIME = 2.0
"""Seconds from accept to the whole request."""
ANSWER_TIME = 5.0
"""Seconds in which an answer has to be taken."""
BREATH = 1.0
"""Seconds without accepting after the system had no descriptor or memory left for one more connection."""

NEVER = float("inf")
UCRED = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid

Reply = Callable[[Answer], None]
Handle = Callable[[Request, Reply], None]


class CallerState(Enum):
    READING = "reading"  # the request, until REQUEST_TIME
    WAITING = "waiting"  # for whoever carries it out; no limit
    WRITING = "writing"  # the answer, until ANSWER_TIME
    CLOSED = "closed"


class ControlSocket:
    """Serves from its construction (which raises StartError) to `close`.

    `handle` gets each request with a `reply` to be called once: now, later, or after the caller is gone. The data of each selector
    key is a callable that takes the mask.
    """

    def __init__(self, path: Path, selector: selectors.BaseSelector, handle: Handle, clock: Callable[[], float]) -> None:
        self._file = SocketFile(path)
        self._selector = selector
        self._handle = handle
        self._clock = clock
        self._connections: set[_Connection] = set()
        self._pause_until = NEVER
        """Until when no connection is accepted for want of descriptors; NEVER: that is not so."""
        self._listening = False
        self._owners = {0, os.geteuid()}
        self._listen()

    def next_deadline(self) -> float:
        """When `expire` is due, on the clock."""
        return min([self._pause_until, *(connection.deadline for connection in self._connections)])

    def expire(self, now: float) -> None:
        """Cut who is late; accept again after a pause."""
        for connection in [late for late in self._connections if late.deadline <= now]:
            connection.expire()
        if self._pause_until <= now:
            self._pause_until = NEVER
            self._listen()

    def close(self) -> None:
        """Tell who still waits, as far as it can be told at once; close everything, remove the socket's file."""
        for connection in list(self._connections):
            if connection.state is CallerState.WAITING:
                connection.reply({"ok": False, "error": "lbproxy stops before this is done"})
            connection.close()
        self._stop_listening()
        self._file.release()

    def close_in_child(self) -> None:
        """A forked child's copies of the descriptors; the selector, which is the master's as well, stays untouched."""
        for connection in self._connections:
            connection.sock.close()
        self._file.socket.close()

    def _listen(self) -> None:
        if not self._listening and self._pause_until == NEVER and len(self._connections) < MAX_CONNECTIONS:
            self._selector.register(self._file.socket, selectors.EVENT_READ, self._on_connection)
            self._listening = True

    def _stop_listening(self) -> None:
        if self._listening:
            self._selector.unregister(self._file.socket)
            self._listening = False

    def _on_connection(self, _: int) -> None:
        if not self._listening:
            return  # since earlier in this turn
        try:
            sock, _address = self._file.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # it went away again
        except (
            OSError
        ) as error:  # EMFILE, ENFILE, ENOBUFS, ENOMEM: it stays in the queue and would wake us at once, again and again
            log.get_logger().warning("control.cannot_accept", why=error.strerror)
            self._stop_listening()
            self._pause_until = self._clock() + BREATH
            return
        sock.setblocking(False)
        connection = _Connection(sock, self._selector, self._clock, self._ask, self._gone)
        self._connections.add(connection)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._stop_listening()
        pid, uid, _gid = UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
        if uid not in self._owners:
            log.get_logger().warning("control.refused", why="another user", peer_uid=uid, peer_pid=pid)
            who = "root" if os.geteuid() == 0 else f"root and uid {os.geteuid()}"
            connection.reply({"ok": False, "error": f"only {who} may speak here, not uid {uid}"})

    def _ask(self, connection: _Connection, line: bytes) -> None:
        try:
            request = parse(line)
        except RequestRefused as refused:
            connection.reply({"ok": False, "error": str(refused)})
            return
        if not isinstance(request, StatusRequest):
            pid, uid, _gid = UCRED.unpack(connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
            log.get_logger().info(
                "control.asked", command=NAMES[type(request)], arguments=list(request), peer_uid=uid, peer_pid=pid
            )
        self._handle(request, connection.reply)

    def _gone(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._listen()


class _Connection:
    """One caller, from accept to close. All that changes its state is in this class."""

    def __init__(
        self,
        sock: socket.socket,
        selector: selectors.BaseSelector,
        clock: Callable[[], float],
        ask: Callable[[_Connection, bytes], None],
        gone: Callable[[_Connection], None],
    ) -> None:
        self.sock = sock
        self.state = CallerState.READING
        self.deadline = clock() + REQUEST_TIME
        self._selector = selector
        self._clock = clock
        self._ask = ask
        self._gone = gone
        self._buffer = bytearray()  # the request, later what is left of the answer
        self._watched = 0
        self._watch(selectors.EVENT_READ)

    def reply(self, answer: Answer) -> None:
        """Send the answer, as far as the caller is still there to take it; a second answer is dropped."""
        if self.state not in (CallerState.READING, CallerState.WAITING):
            return
        self.state = CallerState.WRITING
        self.deadline = self._clock() + ANSWER_TIME
        self._buffer[:] = json.dumps(answer, default=str).encode("ascii") + b"\n"
        self._write()

    def expire(self) -> None:
        """The deadline has passed."""
        if self.state is CallerState.READING:
            self.reply({"ok": False, "error": f"no whole request within {REQUEST_TIME:g} s"})
        else:
            self.close()

    def close(self) -> None:
        """At any time, also again."""
        if self.state is not CallerState.CLOSED:
            self.state = CallerState.CLOSED
            self._watch(0)
            self.sock.close()
            self._gone(self)

    def _watch(self, events: int) -> None:
        if events == self._watched:
            return
        if not events:
            self._selector.unregister(self.sock)
        elif not self._watched:
            self._selector.register(self.sock, events, self._wake)
        else:
            self._selector.modify(self.sock, events, self._wake)
        self._watched = events

    def _wake(self, _: int) -> None:
        """By the selector. The state tells what we are waiting for: in CLOSED, for nothing (closed earlier in this turn)."""
        if self.state is CallerState.READING:
            self._read()
        elif self.state is CallerState.WAITING:
            self._look()
        elif self.state is CallerState.WRITING:
            self._write()

    def _read(self) -> None:
        try:
            data = self.sock.recv(MAX_REQUEST + 1 - len(self._buffer))
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._buffer += data
        line, end, rest = bytes(self._buffer).partition(b"\n")
        if rest:
            self.reply({"ok": False, "error": "one request a connection, and nothing after its line"})
        elif len(line) > MAX_REQUEST:
            self.reply({"ok": False, "error": f"a request has at most {MAX_REQUEST} bytes"})
        elif end or (line and not data):  # a line, or what came before the caller shut its side
            self.state = CallerState.WAITING
            self.deadline = NEVER
            self._ask(self, line)
        elif not data:
            self.close()

    def _look(self) -> None:
        """Something stirs while an answer is being made: the caller is gone, or has shut its sending side (socat, nc), or talks on.
        Only the first matters, so that callers who gave up do not take the places of others; either way nothing more is watched."""
        hung_up = select.poll()
        hung_up.register(self.sock, 0)  # POLLHUP and POLLERR come unasked: both directions are shut
        if hung_up.poll(0):
            self.close()
        else:
            self._watch(0)

    def _write(self) -> None:
        try:
            sent = self.sock.send(self._buffer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()  # gone
            return
        del self._buffer[:sent]
        if self._buffer:
            self._watch(selectors.EVENT_WRITE)
        else:
            self.close()
