"""The control socket: callers who do what they should, and callers who do not. Turned by hand; only the test moves the clock."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbproxy.errors import StartError
from lbproxy.master.operator import control_socket
from lbproxy.master.operator.control_socket import ANSWER_TIME, BREATH, MAX_CONNECTIONS, MAX_REQUEST, REQUEST_TIME
from lbproxy.master.operator.requests import Answer, ReloadRequest, Request, StatusRequest, StopRequest, encode
from tests.support.controlled import Turned
from tests.support.descriptors import held_open

STATUS = encode(StatusRequest())


class Caller:
    """A client that reads only when it is told to."""

    def __init__(self, loop: Turned) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(loop.path))

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hear(self) -> Any:
        """The whole answer; None when there is none."""
        data = b""
        while True:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:  # it was closed with bytes of ours unread
                more = b""
            if not more:
                break
            data += more
        self.sock.close()
        if not data:
            return None
        assert data.endswith(b"\n")
        assert data.count(b"\n") == 1
        return json.loads(data)


def answer(request: Request) -> Answer | None:
    """Everything at once, but reload later."""
    return None if isinstance(request, ReloadRequest) else {"ok": True, "asked": str(request)}


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Turned]:
    turned = Turned(tmp_path / "c.sock", answer)
    yield turned
    turned.close()


def serves(loop: Turned) -> bool:
    """A newcomer gets an answer, and nothing is left of it."""
    caller = Caller(loop)
    caller.say(STATUS)
    loop.settle()
    return bool(caller.hear() == {"ok": True, "asked": "StatusRequest()"} and loop.watched() == 1)


# ---------------------------------------------------------------- as it should be


def test_a_question_and_its_answer(loop: Turned) -> None:
    caller = Caller(loop)
    caller.say(encode(StopRequest(now=True)))
    loop.settle()
    assert caller.hear() == {"ok": True, "asked": "StopRequest(now=True)"}
    assert loop.asked == [StopRequest(True)]
    assert loop.watched() == 1
    assert loop.control.next_deadline() == float("inf")


def test_byte_by_byte(loop: Turned) -> None:
    """A request may come in any pieces, and several callers at a time."""
    callers = [Caller(loop) for _ in range(3)]
    for at in range(len(STATUS)):
        for caller in callers:
            caller.say(STATUS[at : at + 1])
            loop.settle()
    assert [caller.hear()["ok"] for caller in callers] == [True] * 3


def test_a_line_without_its_end(loop: Turned) -> None:
    """printf | socat shuts its side instead of ending the line."""
    caller = Caller(loop)
    caller.say(STATUS[:-1])
    loop.settle()
    assert loop.asked == []
    caller.sock.shutdown(socket.SHUT_WR)
    loop.settle()
    assert caller.hear()["ok"] is True


def test_an_answer_that_takes_its_time(loop: Turned) -> None:
    """Others are served meanwhile; a second answer to the same question is dropped."""
    caller = Caller(loop)
    caller.say(encode(ReloadRequest()))
    loop.settle()
    loop.now += 3600
    loop.settle()
    assert serves_meanwhile(loop)
    loop.kept[0]({"ok": True, "generation": 3})
    loop.kept[0]({"ok": False})
    assert caller.hear() == {"ok": True, "generation": 3}
    assert serves(loop)


def serves_meanwhile(loop: Turned) -> bool:
    other = Caller(loop)
    other.say(STATUS)
    loop.settle()
    return bool(other.hear()["ok"])


def test_the_answer_of_one_who_shut_its_side(loop: Turned) -> None:
    """socat and nc say that they are done before they listen; that is no good-bye, and does not keep the loop awake."""
    caller = Caller(loop)
    caller.say(encode(ReloadRequest()))
    caller.sock.shutdown(socket.SHUT_WR)
    loop.settle()
    loop.kept[0]({"ok": True})
    assert caller.hear() == {"ok": True}
    assert serves(loop)


def test_an_answer_larger_than_the_buffers(loop: Turned) -> None:
    """It is written as it is taken."""
    caller = Caller(loop)
    caller.say(encode(ReloadRequest()))
    loop.settle()
    loop.kept[0]({"ok": True, "text": "x" * 3_000_000})
    caller.sock.setblocking(False)
    data = b""
    while True:
        loop.settle()
        try:
            more = caller.sock.recv(65536)
        except BlockingIOError:
            continue
        if not more:
            break
        data += more
    assert len(json.loads(data)["text"]) == 3_000_000
    caller.sock.close()
    assert serves(loop)


# ---------------------------------------------------------------- as it should not be


@pytest.mark.parametrize(("said", "error"), [
    (b"status\n", "wanted one line of JSON"),
    (b"\n", "wanted one line of JSON"),
    (b"\0\xff\n", "wanted one line of JSON"),
    (b'{"command":"dance"}\n', '"command": wanted one of'),
    (STATUS + STATUS, "one request a connection"),
    (b"x" * (MAX_REQUEST + 1), "at most 65536 bytes"),
    (b"x" * (MAX_REQUEST + 1) + b"\n", "at most 65536 bytes"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "one request a connection"),
])  # fmt: skip
def test_nonsense(loop: Turned, said: bytes, error: str) -> None:
    """It is told what is wrong, and nothing is carried out."""
    caller = Caller(loop)
    caller.say(said)
    loop.settle()
    heard = caller.hear()
    assert heard["ok"] is False
    assert error in heard["error"]
    assert loop.asked == []
    assert serves(loop)


def test_the_longest_request_is_read(loop: Turned) -> None:
    """The limit is what it says."""
    caller = Caller(loop)
    caller.say(STATUS[:-1].ljust(MAX_REQUEST) + b"\n")
    loop.settle()
    assert caller.hear()["ok"] is True


def test_one_who_says_nothing(loop: Turned) -> None:
    caller = Caller(loop)
    caller.say(STATUS[:5])
    loop.settle()
    assert loop.control.next_deadline() == loop.now + REQUEST_TIME
    loop.now += REQUEST_TIME
    loop.settle()
    assert "no whole request within 2 s" in caller.hear()["error"]
    assert serves(loop)


def test_one_who_does_not_take_the_answer(loop: Turned) -> None:
    caller = Caller(loop)
    caller.say(encode(ReloadRequest()))
    loop.settle()
    loop.kept[0]({"ok": True, "text": "x" * 3_000_000})
    loop.settle()
    assert loop.control.next_deadline() == loop.now + ANSWER_TIME
    loop.now += ANSWER_TIME
    loop.settle()
    assert loop.watched() == 1
    caller.sock.close()
    assert serves(loop)


@pytest.mark.parametrize("said", [b"", STATUS[:9], STATUS, encode(ReloadRequest())])
def test_one_who_is_gone(loop: Turned, said: bytes) -> None:
    """At any moment, also before an answer that comes later."""
    caller = Caller(loop)
    caller.say(said)
    caller.sock.close()
    loop.settle()
    for reply in loop.kept:
        reply({"ok": True, "text": "x" * 3_000_000})
    assert serves(loop)


def test_one_who_leaves_while_it_waits_frees_its_place(loop: Turned) -> None:
    callers = [Caller(loop) for _ in range(MAX_CONNECTIONS)]
    for caller in callers:
        caller.say(encode(ReloadRequest()))
    loop.settle()
    assert loop.watched() == MAX_CONNECTIONS
    for caller in callers:
        caller.sock.close()
    loop.settle()
    assert serves(loop)
    for reply in loop.kept:
        reply({"ok": True})
    assert serves(loop)


def test_one_who_talks_on_while_it_waits(loop: Turned) -> None:
    """It gets its answer, and does not keep the loop awake."""
    caller = Caller(loop)
    caller.say(encode(ReloadRequest()))
    loop.settle()
    caller.say(b"and another thing")
    loop.settle()
    loop.kept[0]({"ok": True})
    assert caller.hear() == {"ok": True}
    assert serves(loop)


def test_too_many_wait_their_turn(loop: Turned) -> None:
    """They stay in the queue, without keeping the loop awake, and come in when somebody leaves."""
    idle = [Caller(loop) for _ in range(MAX_CONNECTIONS)]
    loop.settle()
    late = Caller(loop)
    late.say(STATUS)
    loop.settle()
    assert loop.watched() == MAX_CONNECTIONS
    idle[0].sock.close()
    loop.settle()
    assert late.hear()["ok"] is True
    for caller in idle[1:]:
        caller.sock.close()
    loop.settle()
    assert serves(loop)


def test_descriptors_that_are_sent_along_are_not_kept(loop: Turned, tmp_path: Path) -> None:
    """SCM_RIGHTS from a caller must not fill our table."""
    caller = Caller(loop)
    with (tmp_path / "x").open("w") as file:
        socket.send_fds(caller.sock, [STATUS], [file.fileno()] * 8)
    before = held_open()
    loop.settle()
    assert held_open() <= before  # the connection was opened and closed again
    assert caller.hear()["ok"] is True


def test_no_descriptor_left(loop: Turned) -> None:
    """It waits a moment instead of spinning, whoever else is there, and then goes on."""
    waiting = Caller(loop)
    waiting.say(encode(ReloadRequest()))
    loop.settle()
    caller = Caller(loop)
    caller.say(STATUS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        loop.settle()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert loop.watched() == 1
    assert loop.control.next_deadline() == loop.now + BREATH
    loop.kept[0]({"ok": True})
    assert waiting.hear() == {"ok": True}
    loop.settle()
    assert loop.watched() == 0
    loop.now += BREATH
    loop.settle()
    assert caller.hear()["ok"] is True
    assert serves(loop)


# ---------------------------------------------------------------- who may speak


class _Credentials:
    def unpack(self, _: bytes) -> tuple[int, int, int]:
        return 4711, 65_000, 65_000


def test_another_user_is_refused(loop: Turned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when the file's mode let it in; it is told so, and what it asked for is not even read."""
    events: list[dict[str, object]] = []

    class _Log:
        def warning(self, event: str, **fields: object) -> None:
            events.append({"event": event, **fields})

        def info(self, event: str, **fields: object) -> None:
            raise AssertionError(f"{event} {fields}")

    monkeypatch.setattr("lbproxy.master.operator.control_socket.log.get_logger", _Log)
    real = control_socket.UCRED
    monkeypatch.setattr(control_socket, "UCRED", type("Ucred", (_Credentials,), {"size": real.size})())
    caller = Caller(loop)
    caller.say(encode(StopRequest(now=True)))
    loop.settle()
    heard = caller.hear()
    assert heard["ok"] is False
    assert "not uid 65000" in heard["error"]
    assert loop.asked == []
    assert events == [{"event": "control.refused", "why": "another user", "peer_uid": 65_000, "peer_pid": 4711}]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_for_real(loop: Turned) -> None:
    """The mode keeps it out; with the mode changed, its credentials do."""
    assert _ask_as(65_534, loop) == f"errno {errno.EACCES}"
    loop.path.chmod(0o666)
    for folder in (loop.path.parent, loop.path.parent.parent, loop.path.parent.parent.parent):
        folder.chmod(0o755)
    assert "not uid 65534" in _ask_as(65_534, loop)
    assert loop.asked == []


def _ask_as(uid: int, loop: Turned) -> str:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            folder = os.open(loop.path.parent, os.O_PATH)  # the way there may be closed to that user, the socket alone is tried
            os.fchdir(folder)
            os.setresuid(uid, uid, uid)
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(loop.path.name)
                os.write(writer, sock.recv(4096))
            except OSError as error:
                os.write(writer, f"errno {error.errno}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        os.set_blocking(reader, False)
        said = b""
        while True:
            loop.turn()
            try:
                more = os.read(reader, 4096)
            except BlockingIOError:
                continue
            if not more:
                return said.decode()
            said += more
    finally:
        os.close(reader)
        os.waitpid(pid, 0)


# ---------------------------------------------------------------- the end


def test_who_waits_is_told_that_it_ends(tmp_path: Path) -> None:
    loop = Turned(tmp_path / "c.sock", answer)
    waiting, silent = Caller(loop), Caller(loop)
    waiting.say(encode(ReloadRequest()))
    loop.settle()
    loop.close()
    assert waiting.hear() == {"ok": False, "error": "lbproxy stops before this is done"}
    assert silent.hear() is None
    assert not loop.path.exists()
    loop.kept[0]({"ok": True})  # too late, and no harm


def test_a_child_closes_only_its_copies(loop: Turned) -> None:
    """A fork in the middle of things: the master goes on as if nothing had been."""
    caller = Caller(loop)
    caller.say(encode(ReloadRequest()))
    loop.settle()
    pid = os.fork()
    if pid == 0:
        try:
            loop.control.close_in_child()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert loop.path.exists()
    loop.kept[0]({"ok": True})
    assert caller.hear() == {"ok": True}
    assert serves(loop)


def test_a_living_one_is_not_replaced(loop: Turned) -> None:
    with pytest.raises(StartError, match="belongs to a running lbproxy"):
        Turned(loop.path, answer)
    assert serves(loop)


# ---------------------------------------------------------------- anything at all

STEPS = st.one_of(
    st.tuples(st.just("come"), st.none()),
    st.tuples(st.just("say"), st.binary(max_size=40) | st.sampled_from([STATUS, encode(ReloadRequest()), b"\n", b"x" * 70_000])),
    st.tuples(st.just("shut"), st.none()),
    st.tuples(st.just("leave"), st.none()),
    st.tuples(st.just("reset"), st.none()),
    st.tuples(st.just("reply"), st.sampled_from([1, 600_000])),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 2.0, 5.0])),
    st.tuples(st.just("turn"), st.none()),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=40), seed=st.integers(0, 1000))
def test_whatever_callers_do(tmp_path: Path, steps: list[tuple[str, Any]], seed: int) -> None:
    """No sequence of deeds of several callers brings the loop down, makes it spin, or leaves anything behind."""
    loop = Turned(tmp_path / "c.sock", answer)
    chance = random.Random(seed)
    callers: list[socket.socket] = []
    try:
        for deed, what in steps:
            _do(deed, what, loop, callers, chance)
            loop.settle()
        loop.now += 60
        for reply in loop.kept:
            reply({"ok": True})
        loop.settle()
        loop.now += 60
        loop.settle()
        assert loop.watched() == 1
        assert serves(loop)
    finally:
        for caller in callers:
            caller.close()
        loop.close()


def _do(deed: str, what: Any, loop: Turned, callers: list[socket.socket], chance: random.Random) -> None:
    if deed == "come" and len(callers) < MAX_CONNECTIONS:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(loop.path))
        sock.setblocking(False)
        callers.append(sock)
    elif deed == "reply" and loop.kept:
        chance.choice(loop.kept)({"ok": True, "text": "x" * what})
    elif deed == "wait":
        loop.now += what
    elif deed == "turn":
        loop.turn()
    elif callers:
        sock = chance.choice(callers)
        try:
            if deed == "say":
                sock.send(what)
            elif deed in ("shut", "reset"):
                sock.shutdown(socket.SHUT_WR if deed == "shut" else socket.SHUT_RDWR)
            elif deed == "leave":
                callers.remove(sock)
                sock.close()
        except OSError:
            pass  # it was closed by the other side already
