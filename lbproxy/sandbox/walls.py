"""The walls around each process, and the words for those that stand."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import lbproxy
from lbproxy.sandbox import kernel
from lbproxy.sandbox.filter import SandboxNeeds, program
from lbproxy.sandbox.names import CALLS, FILES, MEMORY, PORTS

STREAM, DATAGRAM = int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM)
RESOLVER_FILES = ("/etc", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/var/lib/sss")
"""Whole folders: their files are replaced by others now and then."""
DNS = 53


class Needs(NamedTuple):
    """What one process needs in spite of the walls around it."""

    ports: frozenset[int]
    """TCP ports that it connects to."""
    unix: bool
    """It connects to Unix sockets."""
    names: bool
    """It looks names up."""
    writes: tuple[Path, ...] = ()
    """Folders for files of its own."""
    gevent_sockets: bool = False
    """It uses gevent's sockets."""


def build(needs: Needs) -> list[str]:
    """Build them, for good; those that stand. While there is one thread, after privileges were dropped."""
    stand = [MEMORY] if kernel.undumpable() else []
    reads = [*map(Path, (*_code(), f"/proc/{os.getpid()}", "/dev/null", "/dev/urandom", "/usr/share/zoneinfo"))]
    ports = set(needs.ports)
    if needs.names:
        reads += map(Path, (*RESOLVER_FILES, "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/proc/sys/net"))
        ports.add(DNS)
    files, by_port = kernel.restrict(reads, needs.writes, ports)
    stand += [FILES] if files else []
    stand += [PORTS] if by_port else []
    sockets = {int(socket.AF_INET): [STREAM], int(socket.AF_INET6): [STREAM]}
    if needs.unix or needs.names:
        sockets[int(socket.AF_UNIX)] = [STREAM, DATAGRAM] if needs.names else [STREAM]
    if needs.names:
        sockets = {family: [STREAM, DATAGRAM] for family in sockets} | {int(socket.AF_NETLINK): [DATAGRAM, int(socket.SOCK_RAW)]}
    wants = SandboxNeeds(sockets, os.getpid(), binds=needs.names, writes=bool(needs.writes), gevent_sockets=needs.gevent_sockets)
    wants = wants._replace(replaces=bool(needs.writes))
    stand += [CALLS] if kernel.filter_calls(program(os.uname().machine, wants)) else []
    return stand


def _code() -> Iterable[str]:
    """What may be imported late; not the folder that somebody started us in, where keys may lie."""
    yield str(Path(lbproxy.__file__).parent)
    yield str(Path(os.__file__).parent)
    yield from (place for place in sys.path if place.endswith(("site-packages", "dist-packages")))
