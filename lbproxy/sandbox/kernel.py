"""The system calls that build walls: prctl(2), seccomp(2), landlock(7), by way of the C library. All answer whether it is done: a
kernel that knows nothing of them is no error."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from collections.abc import Iterable
from pathlib import Path

PR_SET_DUMPABLE = 4
SECCOMP, SET_MODE_FILTER, TSYNC, SPEC_ALLOW = {"x86_64": 317, "aarch64": 277}, 1, 1, 4
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION = 1
PATH_BENEATH, NET_PORT = 1, 2

READ_FILE, READ_DIR, WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All that each version of the interface handles, by the version that brought more."""
BIND_TCP, CONNECT_TCP = 1, 2
SCOPES = 0b11
"""Abstract Unix sockets and signals: of nobody outside (version 6)."""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def undumpable() -> bool:
    """Nobody but root looks into this process's memory, and it leaves no core file."""
    no_core_files()
    return not_dumpable()


def dumpable() -> bool:
    """The opposite, as far as memory goes: the kernel closes it to the process's own user when that changes. Core files are left as
    the limit that we were started with says."""
    return int(_libc().prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)) == 0


def not_dumpable() -> bool:
    """Not this one; what it forks may decide otherwise."""
    return int(_libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) == 0


def no_core_files() -> None:
    """Nor of what it forks: they would hold private keys and requests."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def no_more_processes() -> bool:
    """From here on no process and no thread is made (root is not held by it)."""
    try:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    except (ValueError, OSError):
        return False
    return True


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def filter_calls(program: bytes | None) -> bool:
    """All threads of this process, for good."""
    number = SECCOMP.get(os.uname().machine)
    if program is None or number is None:
        return False
    told = _Filter(len(program) // 8, program)
    libc = _libc()
    ways = (TSYNC | SPEC_ALLOW, TSYNC)  # without the second, kernels before 5.16 slow the whole process down
    return any(libc.syscall(number, SET_MODE_FILTER, flags, ctypes.byref(told)) == 0 for flags in ways)


def landlock_version() -> int:
    """0: there is none."""
    return max(0, int(_libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)))


def restrict(
    reads: Iterable[Path], writes: Iterable[Path], ports: Iterable[int], lists: Iterable[str] = ()
) -> tuple[bool, bool]:
    """This thread and those it starts: files (nothing is opened but below these; `lists`: folders alone), ports (no TCP connection
    but to these). To be called while there is one thread."""
    version = landlock_version()
    if version < 1:
        return False, False
    rights = max(mask for since, mask in FILE_RIGHTS.items() if since <= version)
    by_port = version >= 4
    attributes = struct.pack("=QQQ", rights, BIND_TCP | CONNECT_TCP if by_port else 0, SCOPES if version >= 6 else 0)
    attributes = attributes[: 24 if version >= 6 else 16 if by_port else 8]
    libc = _libc()
    rules = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False, False
    try:
        for path in reads:
            _allow(libc, rules, path, READ_FILE | READ_DIR)
        for path in writes:
            _allow(libc, rules, path, rights)
        for folder in lists:
            _allow(libc, rules, Path(folder), READ_DIR)
        for port in set(ports) if by_port else ():
            libc.syscall(ADD_RULE, rules, NET_PORT, struct.pack("=QQ", CONNECT_TCP, port), 0)
        done = libc.syscall(RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)
    return done, done and by_port


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this machine
    try:
        if not path.is_dir():
            rights &= READ_FILE | WRITE_FILE
        libc.syscall(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
