"""Passwords are checked in a thread: the loop turns meanwhile, and no more wait than can be served."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import gevent
import pytest

from lbproxy.errors import RequestError
from lbproxy.net.password_thread import MOST_WAITING, PasswordThread, fits

bcrypt = pytest.importorskip("bcrypt", reason="bcrypt is not installed")

WITHOUT_THREADS = """
import os, resource, sys, threading
import argon2
from lbproxy.net.password_thread import fits
fits(b"secret", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("secret"))
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
if os.geteuid() == 0:  # whom the limit does not hold
    os.setuid(65534)
try:
    threading.Thread(target=print, args=("a thread",)).start()
except RuntimeError:
    print("no thread")
for made in sys.argv[1:]:
    print(fits(b"secret", made), fits(b"other", made))
"""


@pytest.fixture
def thread() -> Iterator[PasswordThread]:
    made = PasswordThread()
    yield made
    made.close()


def hashed(password: bytes, cost: int = 4) -> str:
    return str(bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode())


def test_what_fits() -> None:
    """By either kind; a long one as htpasswd hashes it; nonsense fits nothing."""
    assert fits(b"secret", hashed(b"secret"))
    assert not fits(b"secret2", hashed(b"secret"))
    assert fits(b"x" * 100, hashed(b"x" * 72))
    assert fits(b"secret", hashed(b"secret").replace("$2b$", "$2y$")), "as Apache writes it"
    assert not fits(b"\0", hashed(b"secret"))
    assert not fits(b"secret", "$2b$04$short")
    argon2 = pytest.importorskip("argon2", reason="argon2-cffi is not installed")
    made = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")
    assert fits(b"secret", made)
    assert not fits(b"other", made)


def test_argon2_with_lanes_where_no_thread_can_be_made() -> None:
    """As in a worker behind its walls: by the hashes that argon2's own tools make, which have four lanes."""
    argon2 = pytest.importorskip("argon2", reason="argon2-cffi is not installed")
    kinds = [getattr(argon2.Type, kind) for kind in ("ID", "I", "D")]
    made = [argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=4, type=kind).hash("secret") for kind in kinds]
    done = subprocess.run([sys.executable, "-c", WITHOUT_THREADS, *made], capture_output=True, text=True, timeout=120)
    assert done.stdout == "no thread\n" + 3 * "True False\n", done.stderr


def test_the_loop_turns_while_a_password_is_checked(thread: PasswordThread) -> None:
    """A check takes some hundred turns' time."""
    turns = 0
    costly = hashed(b"secret", 10)
    checking = gevent.spawn(thread.verify, b"secret", costly)
    while not checking.ready():
        gevent.sleep(0.001)
        turns += 1
    assert checking.get() is True
    assert turns > 5


def test_no_more_wait_than_can_be_served(thread: PasswordThread) -> None:
    """Whoever comes then is told to come again; who waits is served."""
    costly = hashed(b"secret", 8)
    told: list[bool | int] = []

    def ask() -> None:
        try:
            told.append(thread.verify(b"secret", costly))
        except RequestError as error:
            told.append(error.status)

    asking = [gevent.spawn(ask) for _ in range(MOST_WAITING + 3)]
    gevent.joinall(asking, timeout=120)
    assert told == [503] * 3 + [True] * MOST_WAITING
    assert gevent.spawn(thread.verify, b"secret", costly).get(timeout=60) is True, "there is room again"


def test_a_client_that_leaves_leaves_nothing(thread: PasswordThread) -> None:
    """Its place is free again when the thread comes to it."""
    costly = hashed(b"secret", 8)
    leaving = [gevent.spawn(thread.verify, b"x", costly) for _ in range(5)]
    gevent.sleep(0)
    gevent.killall(leaving)
    assert gevent.spawn(thread.verify, b"secret", costly).get(timeout=60) is True
    assert thread._waiting == 0
