"""The wire to a backend that speaks HTTP/2: one reader and one writer between a stream and the engine.

Theory of operation. The reader is a greenlet that gives bytes to the engine, as long as there are requests and a moment longer; an
idle connection keeps none. What is to be sent collects in the engine, and a greenlet of its own writes it at the loop's next turn
(`_write_out`), never that of a request: a client that leaves in the middle of a write would tear a frame, and with that end all
other requests. A backend that takes no more is still read: it may have answered before it closed.

`_ending` says how it ends, and `_shut` does that from the event loop, where the reader can be thrown out first.
"""

from __future__ import annotations

from lbproxy.errors import StreamError, TimedOut
from lbproxy.http.h2.backend_answer import LastAnswer
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.floods import Floods
from lbproxy.http.h2.windows import may_write
from lbproxy.proxy.h2.backend_stream import Lender
from lbproxy.proxy.h2.h2_upstream import ANSWERS
from lbproxy.proxy.h2.stream import H2Stream, ReaderOver, wake_writers
from lbproxy.proxy.service import Service
from lbproxy.streams import Strand, Stream

OUTPUT = 64 * 1024
"""Bytes that are taken out of the engine at once."""
LINGER = 2.0
"""Seconds for last words: of a backend that takes no more, of a tunnel's stream that has said goodbye."""


class BackendWire(Lender):
    """What a connection to a backend does with its stream and its engine; owner of the stream."""

    __slots__ = (
        "_ending", "_mute", "_planned", "_reader", "_waiting_for_room", "_writing",
    )  # fmt: skip

    def __init__(self, service: Service, stream: Stream, engine: H2Engine) -> None:
        """`stream`: open, nothing was written yet."""
        self.service = service
        self.stream = stream
        self.engine = engine
        self.answers = LastAnswer(ANSWERS)
        self.floods = Floods()
        self._waiting_for_room: dict[int, H2Stream] = {}
        self._reader: Strand | None = None
        self._mute = False
        """The backend takes no more."""
        self._planned = self._writing = False
        self._ending = ""
        stream.owner = self

    def on_readable(self) -> None:
        """See StreamOwner."""
        if self._reader is None and not self._ending:
            self.service.strands.start(self._read)

    def on_expired(self) -> None:
        """See StreamOwner."""
        raise NotImplementedError

    def flush(self) -> None:
        """See Carrier."""
        if not self._writing and not self._planned and not self._ending:
            self._planned = True
            self.service.strands.later(self._write_soon)

    def flush_soon(self) -> None:
        """See Carrier."""
        self.flush()

    def may_write(self, stream: int) -> bool:
        """See Carrier."""
        return may_write(self.engine.held(stream), self.engine.held_by_all())

    def await_room(self, stream: H2Stream) -> None:
        """See Carrier."""
        self._waiting_for_room[stream.number] = stream

    def _end(self, how: str) -> None:
        """No more of it. `how`: "closed": everything was said; "ended": by the backend, or lost; "dead", "late", "stalled": it does
        not answer, has said nothing in time, takes nothing."""
        if not self._ending:
            self._ending = how
            self.service.strands.later(self._shut)

    def _shut(self) -> None:
        """From the event loop: it is over."""
        raise NotImplementedError

    def _hold_little(self) -> None:
        """It is idle."""
        self.engine.forget()
        self.answers.forget()

    def _stop_reading(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.throw(ReaderOver())

    # ---------------------------------------------------------------- the reader

    def _read(self) -> None:
        """Read until the connection is idle for a while or ends. Runs in a greenlet of its own; lets nothing out."""
        self._reader = self.service.strands.current()
        try:
            self.flush()  # our SETTINGS; later: nothing
            while self._read_on():
                pass
        except ReaderOver:
            pass
        except StreamError:
            self._end("ended")
        except Exception as error:
            self.service.on_fault(error)
            self._end("ended")
        finally:
            self._reader = None

    def _read_on(self) -> bool:
        """True: go on. False: the connection is idle (and owned by the event loop) or over."""
        raise NotImplementedError

    # ---------------------------------------------------------------- the writer

    def _write_soon(self) -> None:
        self._planned = False
        if self._writing or self._ending:
            return
        if self.engine.has_output() and not self._mute:
            self.service.strands.start(self._write_out)
        else:
            self._look_over()

    def _write_out(self) -> None:
        """Everything that may leave. Lets nothing out."""
        self._writing = True
        engine, stream = self.engine, self.stream
        try:
            while True:
                held = engine.held_by_all() if self.floods.watches() else 0
                data = engine.output(OUTPUT)
                if not data:
                    break
                if held and held > engine.held_by_all():
                    self.floods.earn(len(data) // 1024 + 2)
                stream.write(data)
                if self._waiting_for_room:
                    self._wake_writers()
        except TimedOut:
            self._end("stalled")
        except StreamError:
            self._mute = True  # it may have answered before it closed; reading tells
            self.service.strands.later(self.on_readable)
            self.stream.deadline = min(self.stream.deadline, self.service.clock() + LINGER)
        except Exception as error:
            self.service.on_fault(error)
            self._end("ended")
        finally:
            self._writing = False
        self._look_over()

    def _look_over(self) -> None:
        """Everything was said: perhaps that was the last."""
        raise NotImplementedError

    def _wake_writers(self) -> None:
        waiting, self._waiting_for_room = self._waiting_for_room, {}
        self.service.strands.later(lambda: wake_writers(waiting))

    def stalled(self) -> None:
        """See Carrier."""
