"""lbproxy as a test sees it: a configuration file, a process group, its events and access lines, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import psutil
import toml

from tests.support.loaded import Started, loaded
from tests.support.waiting import PATIENCE, Lines, eventually
from tests.support.written import written

Event = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]


def _decoded(lines: list[str]) -> list[Event]:
    events = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def session_members(session: int) -> list[psutil.Process]:
    """Every living process of a session, also those whose parent is gone."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return members


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    read, write = os.pipe()
    return open(read, "rb"), open(write, "wb", buffering=0)


RUNNING: list[LbProxy] = []
"""All that are on stage now."""


def title_of(process: psutil.Process) -> str:
    """As ps shows it; "": it is about to be gone, or is just being called something: whoever asks twice may be told both."""
    try:
        return "".join(process.cmdline()).strip()
    except psutil.NoSuchProcess:
        return ""


class LbProxy:
    """`python -m lbproxy start -c FILE` in a session of its own. As a context: started and ready inside, gone after."""

    def __init__(
        self, directory: Path, config: Mapping[str, Any] | str, under: Sequence[str] = (), *, anew: bool = False
    ) -> None:
        """`under`: a command that runs it, e.g. prlimit(1). `anew`: executed, whatever that costs (see loaded.py)."""
        self.directory = directory
        self._under = under
        self._anew = anew
        self.file = directory / "lbproxy.toml"
        self.file.write_text(written(config), encoding="utf-8")
        self.config: dict[str, Any] = toml.loads(config) if isinstance(config, str) else dict(config)
        self._process: subprocess.Popen[bytes] | Started | None = None
        self._out: Lines | None = None
        self._err: Lines | None = None

    # ---- life

    def start(self, *, ready: bool = True) -> Self:
        """Start it; `ready` waits until every worker serves."""
        arguments = ["start", "-c", str(self.file)]
        fork = None if self._anew or self._under else loaded(str(ROOT))
        if fork is None or not fork.fits():
            process = subprocess.Popen(
                [*self._under, sys.executable, "-m", "lbproxy", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=ROOT,
                start_new_session=True,
            )
            assert process.stdout is not None
            assert process.stderr is not None
            self._process, out, err = process, process.stdout, process.stderr
        else:
            (out, theirs), (err, also_theirs) = _pipe(), _pipe()
            with theirs, also_theirs, open(os.devnull, "rb") as nothing:
                self._process = fork.start(arguments, nothing.fileno(), theirs.fileno(), also_theirs.fileno())
        self._out, self._err = Lines(out), Lines(err)
        RUNNING.append(self)
        if ready:
            self.wait_event("ready")
        return self

    @property
    def pid(self) -> int:
        """The master's."""
        assert self._process is not None, "not started"
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the master."""
        os.kill(self.pid, number)

    def wait(self, within: float = PATIENCE) -> int:
        """Wait for the master's end; its exit code (negative: the signal that killed it)."""
        assert self._process is not None, "not started"
        return self._process.wait(within)

    def stop(self, within: float = PATIENCE) -> int:
        """SIGTERM and wait for the end."""
        self.signal(signal.SIGTERM)
        return self.wait(within)

    def close(self) -> None:
        """Kill what is left, and complain about what should not have been: leftover processes and tracebacks."""
        if self._process is None:
            return
        RUNNING.remove(self)
        left: list[str] = []
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.wait(1.0)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGTERM)  # the second one is immediate
                try:
                    self.wait()
                except subprocess.TimeoutExpired:
                    left.append(f"master {self.pid} survived two SIGTERM")
        gone = time.monotonic() + PATIENCE
        while (members := self.members()) and time.monotonic() < gone:
            time.sleep(0.02)
        for process in members:
            left.append(f"process {process.pid} {process.cmdline()}")
            process.kill()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        assert self._out is not None
        assert self._err is not None
        self._out.finish()
        noise = "\n".join(line for line in self._err.finish() if "Traceback" in line or not line.startswith("{"))
        self._process = None
        assert not left, f"left behind: {left}"
        assert not noise, f"on stderr, besides events:\n{noise}"

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException as error:  # nobody else would end what did not come to stand
            self.__exit__(type(error), error, None)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
            return
        try:
            self.close()
        except AssertionError as also:
            assert error is not None
            error.add_note(str(also))

    # ---- what it says

    def events(self, name: str | None = None) -> list[Event]:
        """The events on stderr so far, or those of one name."""
        assert self._err is not None, "not started"
        return [event for event in _decoded(self._err.all()) if name is None or event.get("event") == name]

    def wait_event(self, name: str, *, within: float = PATIENCE, skip: int = 0, **fields: object) -> Event:
        """The first event of that name with these fields, after `skip` such ones; waits for it."""
        assert self._err is not None, "not started"

        def find(lines: list[str]) -> Event | None:
            fitting = [
                event
                for event in _decoded(lines)
                if event.get("event") == name and all(event.get(key) == value for key, value in fields.items())
            ]
            return fitting[skip] if len(fitting) > skip else None

        event = self._err.wait(find, within)
        if event is None:
            said = "\n".join(self._err.all())
            wanted = f"event {name!r} with {fields}, number {skip + 1},"
            raise AssertionError(f"no {wanted} within {within:g} s; exit {self._poll()}\n{said}")
        return event

    def _poll(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def stderr(self) -> list[str]:
        """The raw lines on stderr so far."""
        assert self._err is not None, "not started"
        return self._err.all()

    def access(self) -> list[Event]:
        """The access lines so far."""
        assert self._out is not None, "not started"
        return [json.loads(line) for line in self._out.all()]

    def wait_access(self, *, within: float = PATIENCE, count: int = 1, **fields: object) -> list[Event]:
        """The access lines with these fields, once there are `count` of them."""
        assert self._out is not None, "not started"

        def find(lines: list[str]) -> list[Event] | None:
            fitting = [line for line in map(json.loads, lines) if all(line.get(key) == value for key, value in fields.items())]
            return fitting if len(fitting) >= count else None

        lines = self._out.wait(find, within)
        if lines is None:
            raise AssertionError(f"no {count} access lines with {fields} within {within:g} s:\n" + "\n".join(self._out.all()))
        return lines

    def testimony(self) -> str:
        """What it has said and does, for whoever reads of a test that failed: the end of its events, how many requests it has
        answered how, the end of those that went wrong, and its processes."""
        lines = self.access()
        odd = [json.dumps(line) for line in lines if line.get("status") not in (200, 101) or line.get("reason")]
        answers = Counter(" ".join(str(line.get(key) or "-") for key in ("status", "reason", "backend")) for line in lines)
        processes = [f"{process.pid} {process.status()} {' '.join(process.cmdline())}" for process in self.members()]
        return "\n".join([*self.stderr()[-40:], f"answers: {dict(answers)}", *odd[-40:], *processes])

    # ---- its processes

    def members(self) -> list[psutil.Process]:
        """Every living process of this lbproxy, the master included."""
        assert self._process is not None, "not started"
        return session_members(self._process.pid)

    def settled(self) -> list[int]:
        """The pids of all, once somebody looks at files, who is begun when all is ready."""

        def found() -> list[int] | None:
            members = self.members()
            names = [title_of(one) for one in members]
            here = any("lbproxy: files" in name for name in names)
            begun = sum("lbproxy: forker" in name for name in names) <= 1  # whoever it forks is called so at first
            return sorted(one.pid for one in members) if here and begun and all(names) else None

        return eventually(found, "somebody looks at files") or []

    def workers(self) -> list[int]:
        """The pids of the living workers, told from `control` by the titles that ps shows."""
        pids = []
        for process in self.members():
            try:
                if process.pid != self.pid and any(word.startswith("lbproxy: worker") for word in process.cmdline()):
                    pids.append(process.pid)
            except psutil.NoSuchProcess:
                continue
        return pids

    def wait_up(self, *backends: str) -> None:
        """Until the health check knows each of them to be up; before that, only those that it knows get requests."""
        for backend in backends:
            self.wait_event("backend.up", backend=backend)

    def wait_workers(self, count: int) -> list[int]:
        """The workers, once there are that many."""
        return eventually(lambda: found if len(found := self.workers()) == count else None, f"{count} workers") or []

    # ---- where it listens

    def port(self, listener: int = 0) -> int:
        """The port of a `[[listen]]`, in the order of the file."""
        return int(self.config["listen"][listener]["address"].rpartition(":")[2])


def run_cli(
    *arguments: str, cwd: Path = ROOT, within: float = 2 * PATIENCE, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`lbproxy VERB ...` run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "lbproxy", *arguments],
        capture_output=True,
        text=True,
        timeout=within,
        cwd=cwd,
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        check=False,
    )


def run_cli_under(under: Sequence[str], *arguments: str, within: float = 2 * PATIENCE) -> subprocess.CompletedProcess[str]:
    """The same, run by a command such as unshare(1)."""
    command = [*under, sys.executable, "-m", "lbproxy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=within, cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
