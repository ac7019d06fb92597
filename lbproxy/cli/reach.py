"""Reaching the running lbproxy: where it is (its control socket, its pid file), asking it, waiting for its end.

The configuration file is read for two keys of [proxy] only, and leniently: whoever wants to stop lbproxy, to see how it does, or
to hear from it what is wrong with the file, has a file that may be broken at that moment.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import struct
import time
import tomllib
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lbproxy.cli.answered import answered
from lbproxy.config.load import load_file
from lbproxy.config.read import Passing
from lbproxy.config.units import ValueRefused
from lbproxy.config.values import file_below
from lbproxy.errors import ConfigError, StartError
from lbproxy.master.operator.requests import Request, encode

PATIENCE = 10.0
"""Seconds for an answer that the master can give at once."""
ARRIVAL = 3.0
"""Seconds in which a master that lives, as its pid file says, comes to listen: at its start, or after a SIGUSR2."""
LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes. A thousand backends need half of one."""
LOOK_EVERY = 0.05

UCRED = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
TIMEVAL = struct.Struct("ll")

CONTROL_LINE = 'control = "/run/lbproxy/control.sock"'


class Unreachable(StartError):
    """Nobody can be asked; the text says what to do about it."""


class NobodyThere(Unreachable):
    """No control socket is named, or nobody listens on it. A process may live all the same: see `living_pid`."""


class Instance(NamedTuple):
    """Where the lbproxy that is meant can be found."""

    name: str  # as the person called it
    control: Path | None
    pid_file: Path | None


class Reply(NamedTuple):
    answer: dict[str, Any]
    pid: int  # the master's; 0 when it cannot be told (another pid namespace)


def instance(arguments: argparse.Namespace) -> Instance:
    """What -c or --control names. Raises Unreachable when the file cannot be understood."""
    if arguments.control is not None:
        return Instance(str(arguments.control), arguments.control, None)
    path: Path = arguments.config
    try:
        proxy, fault = answered(partial(_proxy_of, path))
    except OSError as error:
        raise Unreachable(f"{path}: cannot be read: {error.strerror or error}") from error
    except ConfigError as error:
        raise Unreachable("\n".join(map(str, error.complaints))) from error
    control, pid_file = (_file(proxy, key, path) for key in ("control", "pid_file"))
    if fault and control is None:
        raise Unreachable(f"{path}: not valid TOML: {fault}\nit does not tell where lbproxy is: name its socket by --control PATH")
    return Instance(str(path), control, pid_file)


def _proxy_of(path: Path, passing: Passing) -> tuple[object, str]:
    """[proxy], and what is wrong with the file. Raises OSError."""
    passing(str(path))
    text = path.read_bytes().decode("utf-8-sig", "replace")
    passing("")
    proxy, fault = _proxy_table(text)
    if not fault and ("include" in text or "${" in text):
        proxy = _in_effect(path, passing) or proxy
    return proxy, fault


def _in_effect(path: Path, passing: Passing) -> dict[str, object] | None:
    """[proxy] as lbproxy itself reads it, from other files and the environment, too; None while it would not read it."""
    try:
        proxy = load_file(path, environ=os.environ, passing=passing).proxy
    except ConfigError:
        return None
    return {key: str(value) for key, value in (("control", proxy.control), ("pid_file", proxy.pid_file)) if value is not None}


def _proxy_table(text: str) -> tuple[object, str]:
    """[proxy], and what is wrong with the file. Of a broken one, those lines of [proxy] that can be understood by themselves."""
    try:
        return tomllib.loads(text).get("proxy"), ""
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        fault = str(error)
    found: dict[str, object] = {}
    inside = False
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            inside = line.replace(" ", "").startswith("[proxy]")
        elif inside:
            try:
                found.update(tomllib.loads(line))
            except (tomllib.TOMLDecodeError, RecursionError):
                pass  # perhaps the line that is broken
    return found, fault


def _file(proxy: object, key: str, source: Path) -> Path | None:
    value = proxy.get(key) if isinstance(proxy, dict) else None
    if value is None:
        return None
    try:
        return file_below(source.absolute().parent)(value)
    except ValueRefused as refused:
        raise Unreachable(f"{source}: proxy.{key}: {refused}") from refused


def nobody(where: Instance) -> NobodyThere:
    """Why nothing can be asked of this instance."""
    if where.control is None:
        return NobodyThere(
            f"{where.name} names no control socket: add this line to its [proxy], and restart lbproxy\n    {CONTROL_LINE}"
        )
    if pid := living_pid(where):
        why = "it was started with another `control`, which it keeps until a restart, or it is just starting"
        return NobodyThere(f"lbproxy runs as pid {pid}, says {where.pid_file}, but does not listen on {where.control}: {why}")
    beside = "" if where.name == str(where.control) else f" (nobody listens on its control socket {where.control})"
    return NobodyThere(f"no lbproxy is running with {where.name}{beside}")


# ---------------------------------------------------------------- by the control socket


def ask(where: Instance, request: Request, patience: float = PATIENCE) -> Reply:
    """One question and its answer, "ok" or not. Raises Unreachable."""
    with _connected(where) as sock:
        pid, uid, _gid = UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))
        if uid not in (0, os.geteuid()):
            raise Unreachable(f"who listens on {where.control} is uid {uid}, neither root nor you: be that user to ask it")
        who = f"the master (pid {pid})" if pid else "the master"
        try:
            line = _exchange(sock, encode(request), patience)
        except TimeoutError:
            raise Unreachable(f"{who} has not answered within {patience:g} s") from None
        except OSError as error:
            raise Unreachable(f"{who} broke off: {error.strerror or error}") from error
    if not line:
        raise Unreachable(f"{who} went away before it answered")
    return Reply(_answer(line, who), pid)


def _connected(where: Instance) -> socket.socket:
    if where.control is None:
        raise nobody(where)
    deadline = time.monotonic() + ARRIVAL
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _connect(sock, where)
            return sock
        except NobodyThere:
            sock.close()
            if time.monotonic() >= deadline or not living_pid(where):
                raise
        except Unreachable:
            sock.close()
            raise
        time.sleep(LOOK_EVERY)


def _connect(sock: socket.socket, where: Instance) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, TIMEVAL.pack(int(PATIENCE), 0))  # a full queue: a time-out of Python's
    try:  # would make the socket non-blocking, which for a Unix socket means that connect fails at once instead of waiting
        sock.connect(os.fspath(where.control or ""))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise nobody(where) from error
    except PermissionError as error:
        raise Unreachable(f"{where.control}: not yours to use: be root, or the user that started lbproxy") from error
    except BlockingIOError as error:
        raise Unreachable(f"the lbproxy behind {where.control} is too busy to be asked, or stopped") from error
    except OSError as error:
        raise Unreachable(f"{where.control}: {error.strerror or error}") from error


def _exchange(sock: socket.socket, question: bytes, patience: float) -> bytes:
    """The line that answers; empty when the other side closes first. Raises OSError, TimeoutError."""
    deadline = time.monotonic() + patience
    sock.settimeout(patience)
    try:
        sock.sendall(question)
    except BrokenPipeError:
        pass  # it has answered already: no
    data = bytearray()
    while not data.endswith(b"\n") and len(data) < LONGEST_ANSWER:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            more = sock.recv(262_144)
        except ConnectionResetError:
            break  # it has closed with something of ours unread
        if not more:
            break
        data += more
    return bytes(data)


def _answer(line: bytes, who: str) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise Unreachable(f"{who} gave an answer that is no JSON; is it an lbproxy?") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise Unreachable(f"{who} gave an answer without a verdict; is it an lbproxy?")
    return answer


# ---------------------------------------------------------------- by the process


def living_pid(where: Instance) -> int:
    """The pid of the master that holds the pid file; 0 when there is none."""
    if where.pid_file is None:
        return 0
    from lbproxy.master.system.pidfile import living_master

    return living_master(where.pid_file)


def signal_master(where: Instance, pid: int, *numbers: int) -> None:
    """`pid`: as `living_pid` told. Raises Unreachable when we may not."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # gone already
    except OSError as error:
        raise Unreachable(f"lbproxy (pid {pid}) cannot be sent signals: {error.strerror}") from error
    try:
        if living_pid(where) != pid:
            return  # gone, and its number may be somebody else's
        for number in numbers:
            signal.pidfd_send_signal(process, number)
    except PermissionError as error:
        raise Unreachable(f"lbproxy (pid {pid}) takes no signals from you: be root, or the user that started it") from error
    except ProcessLookupError:
        pass  # gone already
    finally:
        os.close(process)


class Presence:
    """A master's process, to be made while it lives: whether it is still there, also when its number is given to another."""

    def __init__(self, pid: int, where: Instance) -> None:
        """`pid` 0: unknown; then its socket tells."""
        import psutil

        self._where = where
        self._process: psutil.Process | None = None
        self._known = pid > 0
        try:
            self._process = psutil.Process(pid) if pid > 0 else None
        except psutil.NoSuchProcess:
            pass  # as quick as that
        self._zombie = psutil.STATUS_ZOMBIE
        self._no_such = psutil.NoSuchProcess

    def gone(self) -> bool:
        """It has exited (whether or not its parent has taken note)."""
        if self._known:
            try:
                return self._process is None or not self._process.is_running() or self._process.status() == self._zombie
            except self._no_such:
                return True
        from lbproxy.master.system.socketfile import listens

        return self._where.control is None or not listens(self._where.control)

    def wait(self, seconds: float) -> bool:
        """Until it is gone, or so long; whether it is."""
        deadline = time.monotonic() + seconds
        while not self.gone():
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_EVERY)
        return True
