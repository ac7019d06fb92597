"""Work on private keys whose outcome is no secret, in a process of its own that ends with it.

What a check of a key leaves behind cannot be told (Python's objects, OpenSSL's, those of `cryptography`), but the kernel clears the
pages of a process that has ended before anybody gets them.

Who asks waits, and the master hears no signal meanwhile: so the wait has an end, also when that process is stopped, or hangs on a
file of the network's.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lbproxy.config.model import Address, Certificate, Config, Listen
from lbproxy.errors import Complaint, StartError
from lbproxy.tls import selfsigned
from lbproxy.tls.audit import Unusable, audit, audit_folder, without_unusable
from lbproxy.tls.keystore import content_of, digest

PATIENCE = 10.0
"""Seconds for an answer."""
PER_PAIR = 0.1
"""Seconds more for each listener's certificate, with its key, and for each pool: large configurations are read for longer."""
GLANCE = 0.001
MOST_AT_ONCE = 8
WORTH_A_PROCESS = 1000
"""Pairs of a folder."""


def patience(config: Config) -> float:
    """Seconds for all that its files hold."""
    return PATIENCE + PER_PAIR * (sum(len(listen.pairs) for listen in config.listen) + len(config.pools))


def audit_apart(config: Config) -> tuple[Config, list[Complaint]]:
    """See audit.audit; and the configuration without what cannot be used of its folders. Raises StartError."""
    files = (*(listen.secure for listen in config.listen), *(pool.tls for pool in config.pools), config.proxy.ticket_keys)
    if not any(files):
        return config, []

    slices = [(number, span) for number, listen in enumerate(config.listen) for span in _slices(len(listen.listed))]
    works: list[Callable[[], object]] = [lambda: [list(each) for each in audit(config)]]
    works += [partial(audit_folder, config.listen[number], span) for number, span in slices]
    told, *found = all_apart(works, patience(config))
    unusable: list[Unusable] = [[] for _ in config.listen]
    for (number, _), some in zip(slices, found, strict=True):
        unusable[number] += [(index, why) for index, why in some]
    config, none_left = without_unusable(config, unusable)
    return config, [*(Complaint(*each) for each in told), *none_left]


class Verdict(NamedTuple):
    """What was found of a pair."""

    why: str
    """It cannot be used; "": it can."""
    digests: tuple[bytes, bytes]
    """Of certificate and key, as they were judged."""


def judge_apart(pairs: Sequence[Certificate]) -> list[Verdict]:
    """Each pair by itself. Raises StartError and OSError."""

    def look() -> list[object]:
        before = [(digest(pair.cert), digest(pair.key)) for pair in pairs]
        faults = dict(audit_folder(Listen(Address("", 0), listed=tuple(pairs))))
        cut = {number: f"{path} is cut short" for number, pair in enumerate(pairs) for path in (pair.cert, pair.key) if _cut(path)}
        faults = cut | faults
        return [[faults.get(number, ""), *(each.hex() for each in both)] for number, both in enumerate(before)]

    told = apart(look, PATIENCE + PER_PAIR * len(pairs))
    return [Verdict(why, (bytes.fromhex(cert), bytes.fromhex(key))) for why, cert, key in told]


def _cut(path: Path) -> bool:
    """Whether somebody is still writing at it, or never came to an end."""
    try:
        with content_of(path) as content:
            return content.count(b"-----BEGIN ") != content.count(b"-----END ")
    except OSError:
        return False  # which is told otherwise


def _slices(count: int) -> list[range]:
    """Of the pairs of a folder, for as many processes as there are cores, if it is worth while."""
    parts = min(MOST_AT_ONCE, len(os.sched_getaffinity(0)), 1 + count // WORTH_A_PROCESS)
    return [range(count * part // parts, count * (part + 1) // parts) for part in range(parts)] if count else []


def ensure_apart(directory: Path, names: list[str], now: datetime) -> selfsigned.SelfSigned:
    """selfsigned.ensure. Raises StartError."""

    def make() -> list[object]:
        made = selfsigned.ensure(directory, names, now)
        return [str(made.cert), str(made.key), made.fingerprint, made.expires.isoformat(), made.fresh]

    cert, key, fingerprint, expires, fresh = apart(make)
    return selfsigned.SelfSigned(Path(cert), Path(key), fingerprint, datetime.fromisoformat(expires), fresh)


def apart(work: Callable[[], object], within: float = PATIENCE) -> Any:
    """What `work` returns, as JSON carries it. Raises OSError as it does, and StartError for whatever else goes wrong, no answer
    within that many seconds included."""
    return all_apart([work], within)[0]


def all_apart(works: Sequence[Callable[[], object]], within: float = PATIENCE) -> list[Any]:
    """The same for several at once, each in a process of its own."""
    deadline = time.monotonic() + within
    begun: list[tuple[int, int]] = []
    try:
        begun.extend(map(_begin, works))
    finally:
        outcomes = [_outcome(pid, heard, deadline) for pid, heard in begun]
    return [_value(told, status, within) for told, status in outcomes]


def _begin(work: Callable[[], object]) -> tuple[int, int]:
    """The process's number, and what to hear it by. Raises OSError."""
    heard, said = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(heard)
        os.close(said)
        raise
    if pid == 0:
        _tell(work, said)
    os.close(said)
    return pid, heard


def _outcome(pid: int, heard: int, deadline: float) -> tuple[bytes | None, int | None]:
    try:
        return _hear(heard, deadline), _ended(pid, deadline)
    finally:
        os.close(heard)


def _value(told: bytes | None, status: int | None, within: float) -> Any:
    if told is None or status is None:
        raise StartError(f"the process that looks at keys did not answer within {within:g} s")
    if not told:
        raise StartError(f"the process that looks at keys ended with {f'signal {-status}' if status < 0 else f'code {status}'}")
    outcome = json.loads(told)
    if "errno" in outcome:
        raise OSError(outcome["errno"], outcome["error"])
    if "error" in outcome:
        raise StartError(outcome["error"])
    return outcome["value"]


def _hear(heard: int, deadline: float) -> bytes | None:
    """All that is said until the other end is closed; None when that has not come by then."""
    told = bytearray()
    poll = select.poll()
    poll.register(heard, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        if not (more := os.read(heard, 65536)):
            return bytes(told)
        told += more
    return None


def _ended(pid: int, deadline: float) -> int | None:
    """The exit code; None for one that had to be killed. A process whose disk does not answer dies later, and is
    reaped by the master as one of the children that it does not know."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            break
        time.sleep(GLANCE)
    os.kill(pid, signal.SIGKILL)
    for _ in range(1000):
        if os.waitpid(pid, os.WNOHANG)[0]:
            break
        time.sleep(GLANCE)
    return None


def _tell(work: Callable[[], object], said: int) -> None:
    """In the fork, to its end."""
    try:
        try:
            outcome = {"value": work()}
        except OSError as error:
            outcome = {"errno": error.errno or 0, "error": error.strerror or str(error)}
        except BaseException as error:  # it must not come out among the caller's frames
            outcome = {"error": f"{type(error).__name__}: {error}"}
        with open(said, "wb") as pipe:
            pipe.write(json.dumps(outcome).encode())
    finally:
        os._exit(0)
