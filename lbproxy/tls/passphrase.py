"""Passphrases of keys, from where the configuration says that they are.

They are read by the process that opens a key with them (unlock.py) and ends then: no process that lasts has one in its memory. So
each is asked for again when files change, at a reload, and by a successor of the master's. A descriptor can be read once; what came
on it is kept in a file without a name (memfd_create(2)) under its number, which nobody maps, and which outlives SIGUSR2.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import stat
import subprocess
import time
from pathlib import Path

from lbproxy.config.model import Config, Passphrase
from lbproxy.tls.files import FileFault, exposure, os_fault
from lbproxy.tls.keystore import NoFile, content_of, wiped

LONGEST = 1024
"""Bytes, as OpenSSL's own tools have it."""
WITHIN = 5.0
"""Seconds for a command, or for a pipe."""
MEMORY = "lbproxy-passphrase"
DIRECTORY = "CREDENTIALS_DIRECTORY"
"""Where systemd puts a unit's credentials (systemd.exec(5))."""

_why_not: dict[int, str] = {}
"""Of each descriptor that was asked for: why there is nothing; "": there is."""


class PassphraseUnknown(Exception):
    """There is no passphrase to be had; `fault` says why."""

    def __init__(self, fault: FileFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def read(source: Passphrase) -> bytes:
    """The first line of what stands there. Raises Unknown."""
    first = source.words[0]
    match source.way:
        case "fd":
            said = _kept(int(first))
        case "credential":
            said = _credential(first)
        case "file":
            path = Path(first)
            for fault in exposure(path, "private", "passphrase"):
                raise PassphraseUnknown(fault._replace(hint=f"chmod 600 {path}"))
            said = _content(path)
        case _:
            said = _printed(source.words)
    line = said.partition(b"\n")[0].removesuffix(b"\r")
    if not line:
        raise PassphraseUnknown(FileFault(f"there is no passphrase by {_where(source)}: it is empty"))
    if len(line) > LONGEST:
        raise PassphraseUnknown(FileFault(f"what comes by {_where(source)} is no passphrase: wanted at most {LONGEST} bytes"))
    return line


def _where(source: Passphrase) -> str:
    """In words; what a command is told may be a secret."""
    return f"{source.way} {source.words[0]}"


def _content(path: Path) -> bytes:
    try:
        with content_of(path) as content:
            return bytes(content[: 2 * LONGEST])
    except NoFile:
        raise PassphraseUnknown(FileFault(f"{path} is no regular file, wanted one with a passphrase")) from None
    except OSError as error:
        raise PassphraseUnknown(os_fault(error, path)) from error


def _credential(name: str) -> bytes:
    folder = os.environ.get(DIRECTORY)
    if not folder:
        raise PassphraseUnknown(
            FileFault(f"credential {name}: ${DIRECTORY} is not set", f"LoadCredential={name}:/path in the unit of systemd")
        )
    return _content(Path(folder) / name)


def _printed(command: tuple[str, ...]) -> bytes:
    """Without a shell, a terminal or any descriptor of ours; what it says on stderr is nobody's."""
    name = f"command {command[0]}"
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        raise PassphraseUnknown(FileFault(f"{name} cannot be started: {error.strerror or error}")) from error
    assert process.stdout is not None
    with process:
        said = _hear(process.stdout.fileno(), time.monotonic() + WITHIN, to_the_end=True)
        if said is not None and len(said) <= 2 * LONGEST:
            try:
                process.wait(WITHIN)
            except subprocess.TimeoutExpired:
                said = None
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
    if said is None:
        raise PassphraseUnknown(
            FileFault(f"{name} did not end within {WITHIN:g} s", "it has no terminal to ask, and nobody to answer")
        )
    if len(said) <= 2 * LONGEST and process.returncode:
        ended = f"code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        raise PassphraseUnknown(FileFault(f"{name} ended with {ended}", "run it by hand, as the user that starts lbproxy"))
    return said


def _hear(descriptor: int, until: float, *, to_the_end: bool) -> bytes | None:
    """What comes there, until its end or that of a line, or more than there may be; None when none of that has come by then."""
    said = bytearray()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while len(said) <= 2 * LONGEST and (to_the_end or b"\n" not in said):
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            return None
        if not (more := os.read(descriptor, LONGEST)):
            break
        said += more
    return bytes(said)


# ---------------------------------------------------------------- descriptors


def sources(config: Config) -> set[Passphrase]:
    """All that a configuration names."""
    found = {pair.passphrase for listen in config.listen for pair in listen.certificates}
    found |= {listen.folder_passphrase for listen in config.listen}
    found |= {pool.tls.passphrase for pool in config.pools if pool.tls is not None}
    return {source for source in found if source is not None}


def adopt(config: Config) -> None:
    """Keep what comes on the descriptors that it names, before anybody asks. Raises nothing: `read` tells."""
    for source in sources(config):
        if source.way == "fd":
            number = int(source.words[0])
            _why_not[number] = "" if _is_kept(number) else _keep(number)


def kept() -> list[int]:
    """The descriptors that hold passphrases."""
    return [number for number in _why_not if _is_kept(number)]


def close_copies() -> None:
    """In a child of the master's: they are none of its business."""
    for number in kept():
        os.close(number)


def _is_kept(number: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{number}").startswith(f"/memfd:{MEMORY}")
    except OSError:
        return False


def _keep(number: int) -> str:
    """Why it cannot be; "" when it is."""
    missing = "is not open: lbproxy has to be started with it (3< FILE)"
    try:
        if fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC:  # one of our own
            return missing
        mode = os.fstat(number).st_mode
    except OSError:
        return missing
    if not stat.S_ISFIFO(mode) and not stat.S_ISREG(mode):
        return "is neither a pipe nor a file"
    try:
        said = _hear(number, time.monotonic() + WITHIN, to_the_end=False)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if said is None:
        return f"has said nothing within {WITHIN:g} s"
    memory = os.memfd_create(MEMORY, os.MFD_CLOEXEC)
    os.write(memory, said)
    os.dup2(memory, number, inheritable=True)
    os.close(memory)
    return ""


def _kept(number: int) -> bytes:
    if not _is_kept(number):
        why = _why_not.get(number) or "is not open"
        raise PassphraseUnknown(FileFault(f"descriptor {number} {why}", "or use a file, a credential or a command"))
    with wiped(2 * LONGEST) as buffer:
        return bytes(buffer[: os.preadv(number, [buffer], 0)])
