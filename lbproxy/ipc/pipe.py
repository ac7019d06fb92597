"""The two ends of a child's pipe: a Unix stream socket pair carrying the frames of codec.py, never blocking on either side.

Nobody may stall on a slow or stopped partner: `send` writes what the kernel takes and queues the rest up to QUEUE_LIMIT; `receive`
reads once. Heartbeats are dropped while something is queued (the next one says more), so a child survives a master that is stopped
for hours without its queue running over. End-of-file means that the other side is gone for good.

No event loop is imported: the master drives its ends with `selectors`, a child with a watcher on `fileno()`.
"""

from __future__ import annotations

import array
import os
import socket
from collections import deque

from lbproxy.errors import ConnectionLost, StreamError
from lbproxy.ipc.codec import Decoder, encode
from lbproxy.ipc.messages import Heartbeat, Message

QUEUE_LIMIT = 64 * 1024
"""Bytes kept for a partner that does not read."""
READ_SIZE = 64 * 1024
FD_SIZE = array.array("i").itemsize
GONE = (BrokenPipeError, ConnectionResetError)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """A master's and a child's end, both non-blocking: later a worker may not ask for it (sandbox/filter.py)."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)


class Pipe:
    """What both ends have in common. Owns the socket from now on; `close` it."""

    def __init__(self, sock: socket.socket) -> None:
        if sock.getblocking():
            sock.setblocking(False)
        self._socket = sock
        self._decoder = Decoder()
        self._queue: deque[tuple[bytes, int]] = deque()
        self._queued = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} fd={self.fileno()} queued={self._queued}>"

    def fileno(self) -> int:
        """For watchers; -1 once closed."""
        return self._socket.fileno()

    @property
    def queued(self) -> int:
        """Bytes that wait for the partner to read; watch for writability while it is not 0, and then `flush`."""
        return self._queued

    @property
    def pending(self) -> int:
        """Bytes of a message that has not arrived whole."""
        return self._decoder.pending

    def send(self, message: Message) -> None:
        """Send, now or later. Raises ConnectionLost when the partner is gone, StreamError when it has not read for too long."""
        if self._queued and isinstance(message, Heartbeat):
            self.flush()
            if self._queued:
                return
        self._enqueue(encode(message), -1)

    def flush(self) -> None:
        """Write as much of the queue as the kernel takes. Raises ConnectionLost, StreamError."""
        while self._queue:
            data, descriptor = self._queue[0]
            try:
                sent = self._write(data, descriptor)
            except BlockingIOError:
                return
            except GONE as error:
                raise ConnectionLost("the other side of the pipe is gone") from error
            except OSError as error:  # ETOOMANYREFS: descriptors that nobody takes; ENOBUFS, ENOMEM
                raise StreamError(f"cannot write to the pipe: {error.strerror}") from error
            self._queued -= sent
            if descriptor >= 0:
                os.close(descriptor)  # travels with the first byte
            if sent < len(data):
                self._queue[0] = (data[sent:], -1)
                return
            self._queue.popleft()

    def receive(self) -> list[Message] | None:
        """The messages that came (possibly none yet), None at end-of-file. Raises FrameError: trust the pipe no more."""
        if self.fileno() < 0:
            return None
        try:
            data = self._read()
        except BlockingIOError:
            return []
        except GONE:
            return None
        return self._decoder.feed(data) if data else None

    def close(self) -> None:
        """The partner sees end-of-file. What is queued is lost. May be called twice."""
        for _, descriptor in self._queue:
            if descriptor >= 0:
                os.close(descriptor)
        self._queue.clear()
        self._queued = 0
        self._socket.close()

    def _enqueue(self, frame: bytes, descriptor: int) -> None:
        if self.fileno() < 0 or self._queued + len(frame) > QUEUE_LIMIT:
            if descriptor >= 0:
                os.close(descriptor)
            if self.fileno() < 0:
                raise ConnectionLost("this side of the pipe is closed")
            raise StreamError(f"the other side of the pipe does not read: {self._queued} bytes are waiting for it")
        self._queue.append((frame, descriptor))
        self._queued += len(frame)
        self.flush()

    def _write(self, data: bytes, descriptor: int) -> int:
        if descriptor < 0:
            return self._socket.send(data)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        return self._socket.sendmsg([data], rights)

    def _read(self) -> bytes:
        return self._socket.recv(READ_SIZE)


class MasterPipe(Pipe):
    """The master's end. Descriptors that a child tries to send are thrown away by the kernel: plain recv takes none."""

    def send_fd(self, message: Message, descriptor: int) -> None:
        """Send with a copy of `descriptor`; the caller keeps its own. Raises like `send`, and OSError when none can be had."""
        self._enqueue(encode(message), os.dup(descriptor))


class ChildPipe(Pipe):
    """A child's end: watch `fileno()` for input, and call `receive` from the watcher's callback."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._descriptors: deque[int] = deque()

    def take_fd(self) -> int:
        """The descriptor that came with a ReopenLogs, in order of arrival; the caller owns it. -1 when none came."""
        return self._descriptors.popleft() if self._descriptors else -1

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.popleft())
        super().close()

    def _read(self) -> bytes:
        # The kernel ends a read at each batch of descriptors, so one slot would do; four are for a sloppy partner.
        flags = socket.MSG_CMSG_CLOEXEC
        data, ancillary, _, _ = self._socket.recvmsg(READ_SIZE, socket.CMSG_SPACE(4 * FD_SIZE), flags)
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(payload[: len(payload) - len(payload) % FD_SIZE])
                self._descriptors.extend(received)
        return data
