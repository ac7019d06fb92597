"""A control socket with a script behind it instead of a fleet: turned by hand in a test, or by a thread of its own."""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from lbproxy.master.operator.control_socket import ControlSocket, Reply
from lbproxy.master.operator.requests import Answer, Request


class Turned:
    """The master's loop, one turn at a time, with a clock that only the test moves."""

    def __init__(self, path: Path, answer: Callable[[Request], Answer | None]) -> None:
        """`answer`: None keeps the request's reply in `kept`, for the test to call."""
        self.now = 1000.0
        self.path = path
        self.asked: list[Request] = []
        self.kept: list[Reply] = []
        self.selector = selectors.DefaultSelector()
        self._answer = answer
        self.control = ControlSocket(path, self.selector, self._handle, self._clock)

    def _clock(self) -> float:
        return self.now

    def _handle(self, request: Request, reply: Reply) -> None:
        self.asked.append(request)
        answer = self._answer(request)
        if answer is None:
            self.kept.append(reply)
        else:
            reply(answer)

    def turn(self) -> int:
        """Everything that is due now; how many keys were woken."""
        self.control.expire(self.now)
        woken = self.selector.select(0)
        for key, mask in woken:
            key.data(mask)
        return len(woken)

    def settle(self) -> None:
        """Turns until nothing is due. AssertionError when that never comes: a loop that spins."""
        for _ in range(10_000):
            if not self.turn():
                return
        raise AssertionError("the loop spins")

    def watched(self) -> int:
        """Keys in the selector."""
        return len(self.selector.get_map())

    def close(self) -> None:
        """As the master does at its end."""
        self.control.close()
        self.selector.close()


class Controlled:
    """The same, served by a thread inside the context."""

    def __init__(self, path: Path, answer: Callable[[Request], Answer | None]) -> None:
        self.loop = Turned(path, answer)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def asked(self) -> list[Request]:
        """The requests so far."""
        return self.loop.asked

    def stop(self) -> None:
        """The master goes: the socket is closed, its file removed. Also from inside `answer`."""
        self._over.set()

    def _serve(self) -> None:
        while not self._over.is_set():
            self.loop.now = time.monotonic()
            for key, mask in self.loop.selector.select(0.05):
                key.data(mask)
            self.loop.control.expire(self.loop.now)
        self.loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self._thread.join(60)
        assert not self._thread.is_alive()
