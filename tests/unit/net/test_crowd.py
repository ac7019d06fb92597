"""A few patient streams are served a turn, and all of them in the end."""

from __future__ import annotations

from lbproxy.net.crowd import A_TURN, Crowd
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import TcpStream
from tests.unit.net.loopback import loop, sockets, start, turns, until


class Loop:
    iteration = 0


def test_a_few_have_their_turn_and_then_there_is_another_turn() -> None:
    clock = Loop()
    crowd = Crowd(clock)
    for clock.iteration in (5, 6, 9):  # the crowd reads it
        assert [crowd.serves() for _ in range(A_TURN + 3)] == [True] * A_TURN + [False] * 3


def test_whoever_is_not_patient_comes_first_and_nobody_is_forgotten(deadlines: Deadlines) -> None:
    """Three turns' worth of patient streams get input at the same moment as one other."""
    order: list[tuple[str, int]] = []
    jobs, peers = [], []

    def reading(stream: TcpStream, name: str) -> None:
        stream.read(16384)
        order.append((name, loop().iteration))

    for number in range(3 * A_TURN + 1):
        ours, peer = sockets()
        stream = TcpStream(ours, deadlines, 10.0)
        stream.patient = number < 3 * A_TURN
        name = "patient" if stream.patient else "other"
        jobs.append(start(lambda stream=stream, name=name: reading(stream, name)))  # type: ignore[misc]
        peers.append(peer)
    turns()
    for peer in peers:
        peer.sendall(b"x")
    until(lambda: all(job.over for job in jobs), "all are served")
    began = min(turn for _, turn in order)
    by_turn = {turn: [name for name, at in order if at == turn] for _, turn in order}
    assert max(names.count("patient") for names in by_turn.values()) <= A_TURN
    assert len(by_turn) >= 3
    assert ("other", began) in order, "in the first of the turns"
    for peer in peers:
        peer.close()
