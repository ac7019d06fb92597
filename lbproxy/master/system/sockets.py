"""Bind what the configuration names, once, before anything is forked; the sockets live as long as the master.

All workers accept on the same socket, so a new generation or a dead worker loses no connection of the backlog. SO_REUSEPORT would
give each worker a queue of its own, whose connections are reset when that worker goes: it is never set, which also makes a second
lbproxy on the same port an error instead of a silent half of the traffic.

A socket that is there already (from the service manager, see inherited.py) is taken instead of binding another.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import psutil

from lbproxy.config.model import Address, Config, ListenConfig
from lbproxy.errors import Complaint, NotYet, StartError
from lbproxy.master.system.socketfile import Occupied
from lbproxy.master.system.unix_listener import UnixListener, UnknownAccount, discard
from lbproxy.observe import process

MAX_BACKLOG = 4096  # what nginx (511) and HAProxy (maxconn) lack in bursts, and Linux' own default since 5.4
PATIENCE = 0.5
"""Seconds, for all of them together, in which a port may become free: workers whose master was killed, or a listener that a reload
removed a moment ago, close theirs within a tenth of that."""
PAUSE = 0.02
READER_IDLE = 60
"""Seconds."""
SOMAXCONN = Path("/proc/sys/net/core/somaxconn")

PRIVILEGE_HINT = (
    "run as root (the workers then drop to `user`), or allow it: "
    "`sysctl net.ipv4.ip_unprivileged_port_start={port}`, "
    "`setcap cap_net_bind_service=+ep {interpreter}`, "
    "or AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit"
)


Inherited = Mapping[Address, socket.socket]
"""Sockets that are there already; they stay their owner's: none is closed here, whatever fails."""
NONE: Inherited = MappingProxyType({})


def open_listeners(config: Config, interpreter: str, inherited: Inherited = NONE) -> list[socket.socket]:
    """A listening socket for each of config.listen, in order. Raises StartError with a line for each that cannot be had."""
    places = [(listen, listen.line, "listen.address") for listen in config.listen]
    return _open_all(config.source, places, interpreter, inherited)


def open_metrics(config: Config, interpreter: str, inherited: Inherited = NONE) -> socket.socket | None:
    """The listening socket of [metrics], if it is wanted. Raises StartError."""
    address = config.metrics.address
    if address is None:
        return None
    return _open_all(config.source, [(ListenConfig(address), 0, "metrics.address")], interpreter, inherited)[0]


def open_taps(config: Config, interpreter: str, inherited: Inherited = NONE) -> dict[Address, socket.socket]:
    """Those that readers of taps connect to. Raises StartError."""
    places = [(ListenConfig(tap.listen), tap.line, f"tap.{tap.name}.listen") for tap in config.taps if tap.listen is not None]
    opened = _open_all(config.source, places, interpreter, inherited)
    for sock in opened:  # what accepts from it may set no options, and they are inherited: readers that are gone are found out
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, READER_IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, READER_IDLE // 4)
    return {listen.address: sock for (listen, _, _), sock in zip(places, opened, strict=True)}


def listen_on(listen: ListenConfig) -> socket.socket:
    """One bound, listening, non-blocking, close-on-exec socket. Raises OSError, Occupied."""
    address = listen.address
    if address.path:
        return UnixListener.open(listen, backlog())
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    place = socket.getaddrinfo(address.host, address.port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the past in TIME_WAIT do not hold the port
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # "[::]:443" and "0.0.0.0:443" side by side
        sock.bind(place)
        sock.listen(backlog())
    except OSError:
        sock.close()
        raise
    return sock


def restore(held: Mapping[Address, socket.socket]) -> list[tuple[Address, str]]:
    """Let all of them listen that should. What had to be done: the socket is its processes' in common, and one that was taken over
    can end it for all (a connect to nowhere does), its successors included, or make accepting from it block."""
    done: list[tuple[Address, str]] = []
    for address, sock in held.items():
        try:
            if os.get_blocking(sock.fileno()):
                os.set_blocking(sock.fileno(), False)
                done.append((address, "it was made to block"))
            if not address.path and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sock.listen(backlog())
                done.append((address, "it did not listen any more"))
        except OSError as error:
            done.append((address, f"it does not listen, and cannot: {error.strerror}"))
    return done


def backlog() -> int:
    """As many waiting connections as the kernel allows, up to MAX_BACKLOG."""
    try:
        return min(int(SOMAXCONN.read_text()), MAX_BACKLOG)
    except (OSError, ValueError):  # no /proc
        return socket.SOMAXCONN


def _open_all(
    source: str, places: Iterable[tuple[ListenConfig, int, str]], interpreter: str, inherited: Inherited
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    opened: list[socket.socket] = []
    faults: list[Complaint] = []
    lasting = False
    patience = time.monotonic() + PATIENCE
    for listen, line, key in places:
        address = listen.address
        sock = inherited.get(address)
        if sock is None:
            try:
                sock = _listen_patiently(listen, patience)
            except (OSError, Occupied) as error:
                ports = {other.port for other in inherited}
                if isinstance(error, Occupied) or address.path:
                    message, hint = explain_file(error, listen)
                elif error.errno == errno.EADDRINUSE and address.port in ports:
                    message, hint = _ours(address)
                else:
                    message, hint = explain(error, address, interpreter)
                faults.append(Complaint(source, line, key, message, hint))
                # An address that no interface has: DHCP, IPv6 and keepalived may bring it in a moment.
                lasting = lasting or getattr(error, "errno", 0) != errno.EADDRNOTAVAIL
                continue
            opened.append(sock)
        sockets.append(sock)
    if faults:
        for sock in opened:
            discard(sock)
        raise (StartError if lasting else NotYet)("\n".join(map(str, faults)))
    return sockets


def _listen_patiently(listen: ListenConfig, until: float) -> socket.socket:
    """`listen_on`, again and again while the port, or the socket file, is in use."""
    while True:
        try:
            return listen_on(listen)
        except (OSError, Occupied) as error:
            in_use = error.living if isinstance(error, Occupied) else error.errno == errno.EADDRINUSE
            if not in_use or time.monotonic() >= until:
                raise
            time.sleep(PAUSE)


def explain_file(error: Exception, listen: ListenConfig) -> tuple[str, str]:
    """What went wrong with a Unix socket's file, and what to do about it."""
    what = f"cannot listen on {listen.address}"
    if isinstance(error, Occupied):
        if error.living:
            return f"{what}: another process listens there", "stop that process or choose another path"
        return f"{what}: a file that is no socket is in its place", "take it away or choose another path"
    if isinstance(error, UnknownAccount):
        return f"{what}: {error}", "see `owner` and `group` of the listener"
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EACCES, errno.EPERM):
        return f"{what}: permission denied", "the folder must be writable; `owner` and another's `group` need root"
    if number == errno.ENOENT:
        folder = Path(listen.address.path).parent.parent
        return f"{what}: there is no folder {folder}", "make it first (RuntimeDirectory= in systemd)"
    return f"{what}: {(error.strerror if isinstance(error, OSError) else '') or error}", ""


def explain(error: OSError, address: Address, interpreter: str) -> tuple[str, str]:
    """What went wrong with binding, and what to do about it."""
    known = EXPLAIN.get(error.errno or 0)
    if known is None:
        return f"cannot listen on {address}: {error.strerror or error}", ""
    return known(address, interpreter)


def _ours(address: Address) -> tuple[str, str]:
    return (
        f"cannot listen on {address}: this lbproxy listens on port {address.port} already, at another address",
        "a reload cannot exchange the two: go over another port in between, or restart",
    )


def _in_use(address: Address, _: str) -> tuple[str, str]:
    holder = port_holder(address.port)
    who = f" by {process.describe(holder)}" if holder else ""
    return f"cannot listen on {address}: the port is in use{who}", "stop that process or choose another port"


def _forbidden(address: Address, interpreter: str) -> tuple[str, str]:
    what = f"cannot listen on {address}: permission denied"
    if address.port >= 1024:
        return what, "a security module (SELinux, AppArmor, seccomp) or the container forbids it"
    return f"{what}: ports below 1024 need a privilege", PRIVILEGE_HINT.format(port=address.port, interpreter=interpreter)


def _not_here(address: Address, _: str) -> tuple[str, str]:
    return (
        f"cannot listen on {address}: no interface of this machine has it",
        f"it has {', '.join(local_addresses())}",
    )


def _no_family(address: Address, _: str) -> tuple[str, str]:
    return f"cannot listen on {address}: IPv6 is switched off on this machine", "listen on an IPv4 address"


EXPLAIN: dict[int, Callable[[Address, str], tuple[str, str]]] = {
    errno.EADDRINUSE: _in_use,
    errno.EACCES: _forbidden,
    errno.EPERM: _forbidden,
    errno.EADDRNOTAVAIL: _not_here,
    errno.EAFNOSUPPORT: _no_family,
}


def port_holder(port: int) -> int:
    """The process that listens on a TCP port; 0 when it cannot be told (without root, processes of others are hidden)."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return 0
    holders = (c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port and c.pid)
    return next(holders, 0)


def local_addresses() -> list[str]:
    """Addresses one can listen on here, at most eight, without interface suffixes."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = [a.address.split("%")[0] for nics in psutil.net_if_addrs().values() for a in nics if a.family in families]
    return list(dict.fromkeys(found))[:8]
