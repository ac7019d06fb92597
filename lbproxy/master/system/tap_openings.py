"""Open what a tap's conversations go to, as only the master may: named pipes, sockets on interfaces."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from lbproxy.config.model import Address, Config, TapConfig
from lbproxy.errors import Complaint, StartError
from lbproxy.master.system import capture
from lbproxy.master.system.sockets import open_taps
from lbproxy.observe.pcap import LEAST_MTU

SIOCGIFMTU, SIOCGIFFLAGS = 0x8921, 0x8913
IFF_UP = 1
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
SNDBUF = 1024 * 1024
_REQUEST = struct.Struct("16s16x8x")
_CAPABILITY = (
    "start as root (what sends gets the socket alone), or give it the capability: "
    "`setcap cap_net_raw=+ep {interpreter}`, or AmbientCapabilities=CAP_NET_RAW in the systemd unit, and CAP_NET_RAW in its "
    "CapabilityBoundingSet="
)


def fifo(path: Path | None) -> int:
    """A descriptor that writes into it, or -1: nobody reads. Never waits, follows no link. Raises OSError."""
    if path is None:
        return -1
    place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISFIFO(os.fstat(place).st_mode):
            raise OSError(errno.EINVAL, "it is no named pipe")
        found = os.open(f"/proc/self/fd/{place}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return -1
        raise
    finally:
        os.close(place)
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)  # two that write into one pipe tear each other's records
    except OSError as error:
        os.close(found)
        if error.errno == errno.EWOULDBLOCK:
            return -1  # ours, since a moment, or of the lbproxy before this one, which still drains
        raise
    return found


def interface(name: str) -> tuple[int, int]:
    """A socket that sends frames there and receives none, and the interface's MTU. Raises OSError."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0) as sock:
        sock.bind((name, 0))
        mtu = _asked(sock, name, SIOCGIFMTU)
        if mtu < LEAST_MTU:
            raise OSError(errno.EMSGSIZE, f"its MTU is {mtu}, wanted {LEAST_MTU} or more")
        if not _asked(sock, name, SIOCGIFFLAGS) & IFF_UP:
            raise OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))
        sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)  # no queue of the kernel's behind ours
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SNDBUF)
        return sock.detach(), mtu


def _asked(sock: socket.socket, name: str, what: int) -> int:
    answer = fcntl.ioctl(sock.fileno(), what, _REQUEST.pack(name.encode("ascii")))
    return int.from_bytes(answer[16:20] if what == SIOCGIFMTU else answer[16:18], sys.byteorder)


def provide(
    config: Config, interpreter: str, held: Mapping[Address, socket.socket], running: Collection[Config], undo: ExitStack
) -> dict[Address, socket.socket]:
    """What readers connect to, by address, those of `held` among it; whatever else taps need can be had. Raises StartError."""
    opened = open_taps(config, interpreter, held)
    for sock in opened.values():
        if sock not in held.values():
            undo.callback(sock.close)
    capture.try_out(config)
    try_out(config, running)
    return opened


def try_out(config: Config, running: Collection[Config] = ()) -> None:
    """Before a generation is forked: can they be had? A pipe that is not there is made, for the master's account alone. Raises
    StartError. What serves in `running` already refuses no reload: it is tried again and again anyway."""
    known = {tap.interface for each in running for tap in each.taps}
    faults = []
    for tap in config.taps:
        faults += [*_pipe(config, tap), *_interface(config, tap, known)]
    if faults:
        raise StartError("\n".join(map(str, faults)))


def _pipe(config: Config, tap: TapConfig) -> Iterator[Complaint]:
    path, place = tap.fifo, f"tap.{tap.name}.fifo"
    if path is None:
        return
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        pass  # made by somebody who knows who is to read it
    except OSError as error:
        hint = f"install -d {path.parent}" if error.errno == errno.ENOENT else f"mkfifo -m 600 {path}, where it may be written to"
        yield Complaint(config.source, tap.line, place, f"cannot make {path}: {error.strerror}", hint)
        return
    try:
        found = fifo(path)
    except OSError as error:
        hint = f"move away what is there, or name another one; mkfifo -m 600 {path} makes one"
        yield Complaint(config.source, tap.line, place, f"cannot write into {path}: {error.strerror}", hint)
        return
    if found >= 0:
        os.close(found)


def _interface(config: Config, tap: TapConfig, known: Collection[str | None]) -> Iterator[Complaint]:
    if tap.interface is None:
        return
    try:
        found, _ = interface(tap.interface)
    except OSError as error:
        if error.errno == errno.ENETDOWN or (tap.interface in known and error.errno == errno.ENODEV):
            return  # it may be up in a moment; that it is not is told (tap/taps.py), and counted
        hint = _hint(tap.interface, error)
        message = f"cannot send frames on {tap.interface}: {error.strerror}"
        yield Complaint(config.source, tap.line, f"tap.{tap.name}.interface", message, hint)
        return
    os.close(found)


def _hint(name: str, error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        return _CAPABILITY.format(interpreter=sys.executable)
    if error.errno == errno.EMSGSIZE:
        return f"ip link set {name} mtu 1500"
    there = ", ".join(one for _, one in socket.if_nameindex())
    return f"here are {there}; a pair of them: ip link add {name} type veth peer name ids0"
