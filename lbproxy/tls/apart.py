"""Work on private keys whose outcome is no secret, in a process of its own that ends with it.

What a check of a key leaves behind cannot be told (Python's objects, OpenSSL's, those of `cryptography`), but the kernel clears the
pages of a process that has ended before anybody gets them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from lbproxy.config.model import Config
from lbproxy.errors import Complaint, StartError
from lbproxy.tls import selfsigned
from lbproxy.tls.audit import audit


def audit_apart(config: Config) -> list[Complaint]:
    """audit.audit. Raises StartError."""
    if not any(listen.certificates for listen in config.listen) and not any(pool.tls for pool in config.pools):
        return []
    return [Complaint(*each) for each in apart(lambda: [list(each) for each in audit(config)])]


def ensure_apart(directory: Path, names: list[str], now: datetime) -> selfsigned.SelfSigned:
    """selfsigned.ensure. Raises StartError."""

    def make() -> list[object]:
        made = selfsigned.ensure(directory, names, now)
        return [str(made.cert), str(made.key), made.fingerprint, made.expires.isoformat(), made.fresh]

    cert, key, fingerprint, expires, fresh = apart(make)
    return selfsigned.SelfSigned(Path(cert), Path(key), fingerprint, datetime.fromisoformat(expires), fresh)


def apart(work: Callable[[], object]) -> Any:
    """What `work` returns, as JSON carries it. Raises OSError as it does, and StartError for whatever else goes wrong."""
    heard, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        _tell(work, said)
    os.close(said)
    with open(heard, "rb") as answer:
        told = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not told:
        raise StartError(f"the process that looks at keys ended with {f'signal {-status}' if status < 0 else f'code {status}'}")
    outcome = json.loads(told)
    if "errno" in outcome:
        raise OSError(outcome["errno"], outcome["error"])
    if "error" in outcome:
        raise StartError(outcome["error"])
    return outcome["value"]


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
