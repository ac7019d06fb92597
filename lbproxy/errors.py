"""Every error lbproxy raises on purpose, sorted by *whose fault* it is.

The classes carry what their catcher needs (status, machine-readable reason, whether anything was sent), so that nobody has to
take a message apart. Foreign exceptions (OSError, ssl.SSLError) are translated once, at the seam in net/ and tls/, keeping the
cause.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import NamedTuple


class LbproxyError(Exception):
    """The root of the family."""


# ---------------------------------------------------------------- the operator's fault


class Line(int):
    """A line of an included file: a number that knows which. A bare number is a line of the configuration file itself."""

    file: str

    def __new__(cls, number: int, file: str) -> Line:
        line = super().__new__(cls, number)
        line.file = file
        return line

    def __reduce__(self) -> tuple[type[Line], tuple[int, str]]:
        """For copies."""
        return Line, (int(self), self.file)

    def __format__(self, spec: str) -> str:
        return f"{int(self)} of {self.file}"


class Complaint(NamedTuple):
    """One thing wrong with a configuration, as a person can act on it."""

    file: str
    line: int  # 1-based; 0 when no line can be told
    key: str  # dotted, e.g. "pool.api.backends"; "" for the file as a whole
    message: str  # what was wanted and what came
    hint: str = ""  # what to do, e.g. 'did you mean "workers"?'

    @property
    def place(self) -> tuple[str, int]:
        """File and line; the file is another than `file` where the line is one of an included file."""
        return (self.line.file, int(self.line)) if isinstance(self.line, Line) else (self.file, self.line)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        file, line = self.place
        return {**self._asdict(), "file": file, "line": line}

    def __str__(self) -> str:
        file, line = self.place
        place = f"{file}:{line}" if line else file  # no file: it was typed on the command line
        where = ": ".join(part for part in (place, self.key) if part)
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}: {self.message}{hint}" if where else f"{self.message}{hint}"


def by_place(complaints: Iterable[Complaint]) -> list[Complaint]:
    """In the order of the files, the main one last, as they are read; those of one line in the order that they come in."""
    return sorted(complaints, key=lambda complaint: (not isinstance(complaint.line, Line), *complaint.place))


class ConfigError(LbproxyError):
    """The configuration is refused; `complaints` holds every reason, in file order."""

    def __init__(self, complaints: list[Complaint]) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = complaints


class StartError(LbproxyError):
    """Raised when lbproxy cannot start (exit code 1): port in use, no right to bind, a worker that dies at start."""


class NotYet(StartError):
    """Raised when lbproxy cannot start now (exit code 75, EX_TEMPFAIL of sysexits.h), and may in a moment, with nothing changed by
    anybody: the network is not up, name servers do not answer. Whoever supervises it should try again."""


# ---------------------------------------------------------------- the name servers' fault


class Unresolved(LbproxyError):
    """A name has no address that a backend can have; the text says why. In a moment it may have one."""


class NameUnknown(Unresolved):
    """Whoever is to know it has answered, and does not: it will not change by itself."""


# ---------------------------------------------------------------- the client's fault


class RequestError(LbproxyError):
    """The client's message is refused. `status` goes to the client, `reason` to the client and to the access log."""

    lines = b""
    """Field lines for the answer, each with its CRLF in front."""
    logged: str
    """The reason for the access log, which may tell more."""

    def __init__(self, status: int, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.status = status
        self.reason = self.logged = reason


class Filtered(RequestError):
    """The message is sound, but the route does not want it."""

    def __init__(self, status: int, reason: str, *, lines: bytes = b"", rule: str = "") -> None:
        """`rule`: what of the configuration refused it; for the log alone."""
        super().__init__(status, reason)
        self.lines = lines
        if rule:
            self.logged = f"{reason}:{rule}"


# ---------------------------------------------------------------- the backend's fault


class ScratchError(LbproxyError):
    """The file for what memory should not hold cannot be written or read."""


class UpstreamError(LbproxyError):
    """A try at a backend failed. `nothing_sent` tells that not one byte of the request left for it."""

    def __init__(self, status: int, reason: str, detail: str = "", *, nothing_sent: bool = False) -> None:
        super().__init__(detail or reason)
        self.status = status
        self.reason = reason
        self.nothing_sent = nothing_sent

    @property
    def kind(self) -> str:
        """One of FAILURES of config/vocabulary.py."""
        if self.nothing_sent:
            return "connect"
        return "timeout" if self.status == 504 else "closed"


class RefusedAnswer(UpstreamError):
    """The backend answered, in a form that is refused: it is alive, and has carried the request out."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(502, reason, detail)

    @property
    def kind(self) -> str:
        """See UpstreamError."""
        return "refused"


class Unprocessed(UpstreamError):
    """The backend has said that it did nothing with the request, and never will (RFC 9113 8.7): it may be sent again, whatever it
    is."""

    def __init__(self, reason: str, detail: str = "", *, leaving: bool) -> None:
        """`leaving`: it is the connection that ends, which says nothing about the backend."""
        super().__init__(502, reason, detail)
        self.leaving = leaving

    @property
    def kind(self) -> str:
        """See UpstreamError."""
        return "connect"


class WantsOtherProtocol(Unprocessed):
    """The backend has said that it does this request over HTTP/1.1 alone (RFC 9113 7): there it may be sent to the same one."""

    def __init__(self, detail: str) -> None:
        super().__init__("h2_http_1_required", detail, leaving=True)


# ---------------------------------------------------------------- nobody's fault: the wire


class StreamError(LbproxyError):
    """A stream cannot go on."""


class TimedOut(StreamError):
    """The stream's deadline passed while somebody waited on it."""


class ConnectionLost(StreamError):
    """The peer is gone without saying goodbye (reset, broken pipe, truncated TLS)."""


class StreamMalformed(ConnectionLost):
    """What came on it breaks the rules of its protocol: it was given up here, while others of its connection go on."""


class ClientGone(LbproxyError):
    """The client closed or reset its connection while its request was on its way; the backend's work is cancelled."""


class ClientMalformed(ClientGone):
    """What it sends breaks the rules of its protocol, and its stream was given up here: see StreamMalformed."""


class ClientStalled(ClientGone):
    """It takes nothing any more, which was noticed elsewhere than where its request is being served."""


class HandshakeFailed(StreamError):
    """TLS could not be agreed on. `reason` is OpenSSL's own short word, or ours."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FrameError(LbproxyError):
    """A pipe message between our own processes is malformed; the pipe cannot be trusted any more."""


# ---------------------------------------------------------------- what the machine lacks

_MEMORY = "more memory is needed: ulimit -v, MemoryMax= in systemd, the container's limit"
_THREADS = (
    "more processes and threads, or memory for their stacks, are needed: ulimit -u and -v, TasksMax= and MemoryMax= in "
    "systemd, the container's limits"
)
_PROCESSES = "more processes and threads are needed: ulimit -u, TasksMax= in systemd, the container's pids limit"
_WAYS_OUT = {
    errno.EMFILE: "more open files are needed: ulimit -n, LimitNOFILE= in systemd",
    errno.ENFILE: "the machine has no more open files: sysctl fs.file-max",
    errno.EFBIG: "what processes share is a file of some hundred MiB, hardly written: ulimit -f, LimitFSIZE= in systemd",
    errno.ENOMEM: _MEMORY,
    errno.EAGAIN: _PROCESSES,
}


_NO_MEMORY = ("failed to map segment", "annot allocate memory", "error return without exception set", "can't allocate lock")
"""What CPython says, besides MemoryError, when memory is wanted: a library finds no place, a lock is not made, or there is none
even for the MemoryError."""


def shortage(error: BaseException) -> str:
    """The way out where the machine, or a limit on us, lacks something: where that was noticed tells nobody anything. "" else."""
    if isinstance(error, OSError):
        return _WAYS_OUT.get(error.errno or 0, "")
    if isinstance(error, MemoryError):
        return _MEMORY
    if not isinstance(error, (SystemError, ImportError, RuntimeError)):
        return ""
    told = str(error)
    if any(words in told for words in _NO_MEMORY):
        return _MEMORY
    return _THREADS if "new thread" in told else ""
