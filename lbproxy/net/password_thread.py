"""The thread that checks passwords: a hash that is worth something costs a tenth of a second, for which the loop must not stand.

bcrypt and argon2 let go of the interpreter while they work, so the loop turns meanwhile; the thread has a lower priority than it
where the system allows that. One a worker, so that log-ins take one core at most, and a bounded number of them waits: whoever comes
then is told to come again, rather than to wait for those who guess.
"""

from __future__ import annotations

import base64
import hmac
import os
import threading

from lbproxy.config.passwords import kind_of
from lbproxy.errors import RequestError
from lbproxy.net.job_thread import JobThread

MOST_WAITING = 32
"""Passwords that wait to be checked; three seconds' worth of the usual cost."""
NICER = 5
LONGEST_OF_BCRYPT = 72
"""Bytes that bcrypt looks at; some versions refuse more instead of leaving them out, as htpasswd does."""


class PasswordThread:
    """Checks the passwords of one worker's clients."""

    def __init__(self) -> None:
        self._waiting = 0
        self._thread = JobThread("passwords", lambda: None)
        self._thread.post(_step_back)

    def verify(self, password: bytes, hashed: str) -> bool:
        """From a greenlet: whether the password is the one that was hashed. Raises RequestError 503 when too many wait."""
        if self._waiting >= MOST_WAITING:
            raise RequestError(503, "auth_busy", f"{self._waiting} passwords wait to be checked")
        self._waiting += 1
        gone = False
        try:
            fitting = self._thread.call(lambda: not gone and fits(password, hashed), self._over)
        except BaseException:
            gone = True  # guessing and leaving is not worked for
            raise
        self._over()
        return fitting

    def close(self) -> None:
        """The thread ends when it has done what it was asked for."""
        self._thread.close()

    def _over(self, _: object = None) -> None:
        self._waiting -= 1


def _step_back() -> None:
    """Raises OSError: a wall, or a system that has none of that; then it takes its turns as the loop does."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICER)


def fits(password: bytes, hashed: str) -> bool:
    """Whether the password is the one that was hashed. Takes as long as the hash says, whatever comes out."""
    try:
        if kind_of(hashed) == "argon2":
            return _fits_argon2(password, hashed)
        import bcrypt

        return bcrypt.checkpw(password[:LONGEST_OF_BCRYPT], hashed.encode("ascii"))
    except Exception:  # whatever a library finds wrong with a password fits nothing
        return False


def _fits_argon2(password: bytes, hashed: str) -> bool:
    """All lanes one after the other: the hash is the same, and behind its walls a worker can make no thread for each."""
    from argon2 import Type, low_level

    _, kind, version, costs, salt_text, hash_text = hashed.split("$")
    memory, passes, lanes = (int(cost.partition("=")[2]) for cost in costs.split(","))
    salt, expected = _decoded(salt_text), _decoded(hash_text)
    new, null = low_level.ffi.new, low_level.ffi.NULL
    out, secret, salted = new("uint8_t[]", len(expected)), new("uint8_t[]", password), new("uint8_t[]", salt)
    context = {
        "out": out, "outlen": len(expected), "pwd": secret, "pwdlen": len(password), "salt": salted, "saltlen": len(salt),
        "secret": null, "secretlen": 0, "ad": null, "adlen": 0, "t_cost": passes, "m_cost": memory, "lanes": lanes, "threads": 1,
        "version": int(version.partition("=")[2]), "allocate_cbk": null, "free_cbk": null, "flags": 0,
    }  # fmt: skip
    failed = low_level.core(new("argon2_context *", context), Type[kind.removeprefix("argon2").upper()].value)
    return not failed and hmac.compare_digest(bytes(low_level.ffi.buffer(out)), expected)


def _decoded(text: str) -> bytes:
    """As argon2 writes it, without the signs that fill up."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
