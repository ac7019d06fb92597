"""A [[listen]] on a Unix socket: the socket, its file, and who may connect.

The file is made once, like a port is bound once, and lives as long as the listener: a reload gives it another mode or owner, the
removal of the listener or the end of lbproxy removes it. Children and SIGUSR2's next program get the socket without the file being
touched; so only the master, and only by name (`discard`), removes it.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
from collections.abc import Callable
from pathlib import Path

from lbproxy.config.model import ListenConfig, SocketAccessConfig
from lbproxy.master.system import socketfile

_NOBODYS = 2**32 - 1
"""The number that chown(2) takes for "as it is"."""


class UnknownAccount(OSError):
    """No such user or group on this machine."""


class UnixListener(socket.socket):
    """Knows its file. Closing it leaves the file where it is."""

    path: Path
    file: os.stat_result

    @classmethod
    def open(cls, listen: ListenConfig, backlog: int) -> UnixListener:
        """Listening at its path. Raises OSError, socketfile.Occupied."""
        sock = cls(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            owner = account_of(listen.access)
            sock.path = Path(listen.address.path)
            sock.file = socketfile.listen_at(sock, sock.path, listen.access.mode, backlog, owner)
        except BaseException:
            sock.close()
            raise
        return sock

    @classmethod
    def adopt(cls, descriptor: int, path: Path) -> UnixListener:
        """One that the program before us made; whatever socket is at its path now is taken for its file."""
        sock = cls(fileno=descriptor)
        sock.setblocking(False)
        sock.path = path
        try:
            sock.file = os.lstat(path)
        except OSError:
            sock.file = os.fstat(descriptor)  # the socket itself, which no file is
        return sock

    def grant(self, access: SocketAccessConfig) -> None:
        """Another mode and owner, for our file. Raises OSError, also when another one is in its place."""
        socketfile.grant(self.path, self.file, account_of(access), access.mode)


def discard(sock: socket.socket) -> None:
    """Close a listener of the master's for good: its file goes, too."""
    if isinstance(sock, UnixListener):
        socketfile.remove(sock.path, sock.file)
    sock.close()


def account_of(access: SocketAccessConfig) -> tuple[int, int]:
    """(user, group) as chown wants them. Raises UnknownAccount."""
    user, group = socketfile.UNCHANGED
    if access.owner is not None:
        user = _number(access.owner, lambda name: pwd.getpwnam(name).pw_uid, "account")
    if access.group is not None:
        group = _number(access.group, lambda name: grp.getgrnam(name).gr_gid, "group")
    return user, group


def _number(name: str, known: Callable[[str], int], kind: str) -> int:
    """By its name, or as chown takes it: in a container that has no names."""
    try:
        return known(name)
    except KeyError as error:
        if name.isascii() and name.isdigit() and int(name) < _NOBODYS:
            return int(name)
        raise UnknownAccount(f'there is no {kind} "{name}"') from error
