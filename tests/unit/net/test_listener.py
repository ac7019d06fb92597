"""Accepting: one connection a wake-up, pauses that last, and a queue that outlives trouble."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket as gsocket

from lbproxy.net import listener
from lbproxy.net.listener import MOST_PAUSES, Acceptor, Room
from lbproxy.net.no_newcomers import drop_newcomers
from lbproxy.net.wire import accept
from tests.unit.net.loopback import loop, loop_rests, turns, until

SYN_SENT = 2
"""In the first byte of struct tcp_info (linux/tcp.h), its state: nobody has answered."""


class Hall:
    """A listening socket and an acceptor that notes what it is told."""

    def __init__(self) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.address = self.sock.getsockname()
        self.others = self.sock.dup()
        """The same queue, as another worker has it."""
        self.room = Room.PLENTY
        self.asked = 0
        self.got: list[tuple[socket.socket, str]] = []
        self.exhausted: list[OSError] = []
        self.places = 1_000_000
        self.inside = 0
        self.sheddable = 0
        """Connections that would leave if they were asked to."""
        self.on_place: Callable[[], None] | None = None
        self.acceptor = Acceptor(loop(), self.sock, self.take, self.look, self.exhausted.append, self, self.make_room)
        self.guests: list[gsocket.socket] = []

    def take(self, sock: socket.socket, peer: str) -> None:
        self.got.append((sock, peer))

    def acquire(self) -> bool:
        entered = self.inside < self.places
        self.inside += entered
        return entered

    def acquire_anyway(self) -> None:
        self.inside += 1

    def release(self) -> None:
        self.inside -= 1

    def wait(self, go_on: Callable[[], None]) -> None:
        self.on_place = go_on

    def make_room(self) -> bool:
        if not self.sheddable:
            return False
        self.sheddable -= 1
        self.release()
        return True

    def look(self) -> Room:
        self.asked += 1
        return self.room

    def arrive(self, count: int = 1) -> None:
        for _ in range(count):
            self.guests.append(gsocket.create_connection(self.address))

    def queued(self) -> int:
        """Take what is in the queue, as another worker would; how many that were."""
        found = 0
        while True:
            try:
                sock, _ = self.others.accept()
            except BlockingIOError:
                return found
            sock.close()
            found += 1


@pytest.fixture
def hall() -> Iterator[Hall]:
    made = Hall()
    made.acceptor.start()
    yield made
    close(made)


def close(made: Hall) -> None:
    made.acceptor.stop()
    made.acceptor.stop()  # twice is fine
    for sock, _ in made.got:
        sock.close()
    for guest in made.guests:
        guest.close()
    made.sock.close()
    made.others.close()


def test_connections_are_handed_over_non_blocking(hall: Hall) -> None:
    hall.arrive(3)
    until(lambda: len(hall.got) == 3, "all are accepted")
    sock, peer = hall.got[0]
    assert not os.get_blocking(sock.fileno())
    assert peer == hall.guests[0].getsockname()[0]
    assert loop_rests()


def test_one_connection_a_wake_up(hall: Hall) -> None:
    """The others have their turn in between: room is asked before each one."""
    hall.arrive(5)
    until(lambda: len(hall.got) == 5, "all are accepted")
    assert hall.asked >= 5


def test_a_crowded_worker_holds_back_and_then_takes_all_the_same(hall: Hall) -> None:
    hall.room = Room.ABOVE_SHARE
    began = time.monotonic()
    hall.arrive()
    until(lambda: hall.got, "accepted in the end")
    assert hall.asked == MOST_PAUSES + 1
    assert time.monotonic() - began >= MOST_PAUSES * listener.SHARE_PAUSE * 0.8, "every one of the pauses lasted"


def test_a_full_worker_leaves_them_in_the_queue(hall: Hall) -> None:
    hall.room = Room.FULL
    hall.arrive()
    until(lambda: hall.asked == 1, "room is asked")
    assert loop_rests(), "and the loop does not go round for them"
    hall.room = Room.PLENTY
    until(lambda: hall.got, "accepted once there is room")


def test_at_the_listeners_limit_they_wait_until_somebody_leaves(hall: Hall) -> None:
    """In the queue, without a watcher, and without a loop that goes round for them."""
    hall.places = 1
    hall.arrive(3)
    until(lambda: hall.on_place is not None, "the second one finds no place")
    assert (len(hall.got), hall.inside) == (1, 1)
    asked = hall.asked
    assert loop_rests()
    assert hall.asked == asked
    go_on, hall.on_place = hall.on_place, None
    hall.release()
    assert go_on is not None
    go_on()
    until(lambda: hall.on_place is not None, "and then the third")
    assert (len(hall.got), hall.inside) == (2, 1)


def test_idle_ones_make_room_for_one_who_is_there(hall: Hall) -> None:
    """One for one, and none once the queue is empty; at the last orders all in the queue are let in."""
    hall.places, hall.sheddable = 2, 2
    hall.arrive(5)
    until(lambda: hall.on_place is not None, "no more to be shown out")
    assert (len(hall.got), hall.inside, hall.sheddable) == (4, 2, 0)
    hall.sheddable = 1
    assert hall.queued() == 1, "another worker took it"
    assert hall.on_place is not None
    hall.on_place()
    hall.acceptor._on_pending()
    assert (len(hall.got), hall.sheddable) == (4, 1)
    hall.arrive(2)
    hall.acceptor.stop_with_queue()
    assert (len(hall.got), hall.inside) == (6, 4)


def test_a_place_is_given_back_when_there_was_nobody(hall: Hall) -> None:
    """Another worker was faster."""
    hall.acceptor._on_pending()
    assert (hall.got, hall.inside) == ([], 0)


def test_pauses_last_each_time(hall: Hall) -> None:
    """A one-shot timer started a second time would fire at once, and a full worker would go round at full speed."""
    hall.room = Room.FULL
    hall.arrive()
    until(lambda: hall.asked == 1, "room is asked")
    gevent.sleep(listener.EXHAUSTED_PAUSE * 2.5)
    assert 2 <= hall.asked <= 4


class Exhausted:
    """Accepting in a process that has no descriptors left."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.calls = 0

    def accept(self, listening: socket.socket) -> tuple[socket.socket, str]:
        self.calls += 1
        if self.code:
            raise OSError(self.code, "no")
        return accept(listening)


def test_out_of_descriptors_is_told_and_waited_out(hall: Hall) -> None:
    short = Exhausted(errno.EMFILE)
    hall.acceptor._accept_from = short.accept
    hall.arrive()
    until(lambda: hall.exhausted, "told")
    assert loop_rests()
    assert [error.errno for error in hall.exhausted] == [errno.EMFILE]
    short.code = 0
    until(lambda: hall.got, "accepted once there are descriptors again")


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ECONNABORTED, errno.EPERM])
def test_a_connection_that_went_away_is_no_trouble(hall: Hall, code: int) -> None:
    flaky = Exhausted(code)
    hall.acceptor._accept_from = flaky.accept
    hall.arrive()
    until(lambda: flaky.calls, "tried")
    flaky.code = 0
    until(lambda: hall.got, "the next one is accepted")
    assert not hall.exhausted


# ---------------------------------------------------------------- ends


def test_after_stop_nothing_is_accepted_and_the_queue_is_left_to_others(hall: Hall) -> None:
    hall.room = Room.ABOVE_SHARE
    hall.arrive()
    until(lambda: hall.asked, "pausing")
    hall.acceptor.stop()
    assert not hall.acceptor.open
    assert hall.sock.fileno() < 0
    hall.arrive(2)
    turns()
    gevent.sleep(listener.SHARE_PAUSE * MOST_PAUSES * 2)  # whatever was set to go on would have gone on by now
    assert hall.got == []
    assert hall.queued() == 3
    assert loop_rests()


def test_before_start_nothing_is_accepted() -> None:
    """A worker of a reload is Ready some time before it may serve."""
    hall = Hall()
    hall.arrive(2)
    turns()
    assert hall.got == []
    hall.acceptor.start()
    until(lambda: len(hall.got) == 2, "accepted then")
    close(hall)


def test_at_the_end_the_queue_is_taken(hall: Hall) -> None:
    """Who is in it believes to be connected, and would be reset with the socket; also when this worker is full."""
    hall.room = Room.FULL
    hall.arrive(5)
    until(lambda: hall.asked, "pausing")
    assert hall.got == []
    hall.acceptor.stop_with_queue()
    assert len(hall.got) == 5
    assert not hall.acceptor.open, "at once: the port is free when it returns"


def test_a_queue_that_cannot_be_taken_ends_all_the_same(hall: Hall) -> None:
    hall.acceptor._accept_from = Exhausted(errno.EMFILE).accept
    hall.acceptor.stop_with_queue()
    assert [error.errno for error in hall.exhausted] == [errno.EMFILE]
    assert not hall.acceptor.open
    assert loop_rests()


def test_last_orders_take_who_is_waiting_and_who_is_on_the_way_and_nobody_else(hall: Hall) -> None:
    """The queue, a full worker or not; and then the socket goes. Newcomers are turned away without being told "connected"."""
    hall.room = Room.FULL
    hall.arrive(3)
    until(lambda: hall.asked, "pausing")
    assert drop_newcomers(hall.sock)  # as the master does before
    hall.acceptor.last_orders()
    assert hall.acceptor.open
    with socket.socket() as late:
        late.setblocking(False)
        late.connect_ex(hall.address)
        until(lambda: not hall.acceptor.open, "the socket is closed in the end")
        assert len(hall.got) == 3
        assert late.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO) == SYN_SENT
    assert loop_rests()


def test_last_orders_without_the_filter(hall: Hall) -> None:
    """Who comes meanwhile is taken as well; the socket goes in the end all the same."""
    hall.room = Room.FULL
    hall.arrive(2)
    hall.acceptor.last_orders()
    hall.arrive(1)
    until(lambda: not hall.acceptor.open, "the socket is closed in the end")
    assert len(hall.got) == 3


def test_last_orders_before_start(hall: Hall) -> None:
    """A worker that is told to drain before it was told to serve has the queue on its hands like any other."""
    hall.acceptor.stop()
    never_started = Hall()
    never_started.arrive()
    never_started.acceptor.last_orders()
    until(lambda: not never_started.acceptor.open, "closed")
    assert len(never_started.got) == 1
    close(never_started)
