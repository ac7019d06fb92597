"""Sockets that the service manager has bound for us: socket activation, sd_listen_fds(3).

The manager hands over descriptors from 3 on and says in LISTEN_FDS how many, in LISTEN_PID to whom. What a socket is for is told by
the address it is bound to: the [[listen]] or [metrics] of the same address gets it, so one configuration serves with and without
socket activation. LISTEN_FDNAMES only makes complaints easier to read.

A socket that we cannot serve is refused here, at start, and not found out by clients that nobody answers. Above all the wildcard of
IPv6 that takes IPv4 too, which is what `ListenStream=443` alone makes: clients of IPv4 would have addresses like ::ffff:192.0.2.1
there, which no trusted_proxies matches and no backend expects.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import MutableMapping

from lbproxy.config.model import UNIX, Address
from lbproxy.errors import StartError

VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
FIRST = 3  # SD_LISTEN_FDS_START
MOST = 1024
"""Descriptors; more is no socket unit but a mistake."""

FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6", socket.AF_UNIX: "Unix", socket.AF_NETLINK: "netlink"}
TYPES = {socket.SOCK_STREAM: "stream", socket.SOCK_DGRAM: "datagram", socket.SOCK_SEQPACKET: "packet", socket.SOCK_RAW: "raw"}
PROTOCOLS = (socket.IPPROTO_TCP, 262)  # IPPROTO_MPTCP, include/uapi/linux/in.h: SocketProtocol=mptcp; looks like TCP from here
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class DescriptorRefused(Exception):
    """A descriptor is not what we can serve; says what came instead and what to do."""


def inherit(
    environ: MutableMapping[str, str] = os.environ, pid: int | None = None, first: int = FIRST
) -> dict[Address, socket.socket]:
    """The listening TCP and Unix sockets handed over to this process, by address, as listeners have to be: non-blocking and
    close-on-exec.

    Takes the variables away, so that no child believes that they are meant for it. Raises StartError naming every descriptor that
    is something else; all are closed then.
    """
    given = {name: environ.pop(name) for name in VARIABLES if name in environ}
    if given.get("LISTEN_PID") != str(os.getpid() if pid is None else pid):
        return {}  # a shell or `env` in between that did not `exec`: they are not ours to touch
    names = given.get("LISTEN_FDNAMES", "").split(":")
    sockets: dict[Address, socket.socket] = {}
    faults: list[str] = []
    for index in range(_count(given.get("LISTEN_FDS", ""))):
        fd, name = first + index, names[index] if index < len(names) else ""
        try:
            _adopt(fd, sockets)
        except DescriptorRefused as why:
            faults.append(f"LISTEN_FDS: descriptor {fd}{f' ({name})' if name else ''}: {why}")
    if faults:
        for sock in sockets.values():
            sock.close()
        raise StartError("\n".join(faults))
    return sockets


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > MOST:
        raise StartError(f'LISTEN_FDS: wanted the number of descriptors handed over, up to {MOST}, came "{text}"')
    return int(text)


def _adopt(fd: int, sockets: dict[Address, socket.socket]) -> None:
    """Make a socket of the descriptor and put it where it belongs. Raises Refused, having closed it."""
    _require_socket(fd)
    sock = socket.socket(fileno=fd)
    try:
        _require_listening_stream(sock)
        address = _address_of(sock)
        _require_one_family(sock, address)
        if address in sockets:
            raise DescriptorRefused(
                f"a second socket for {address}: each would get some of the connections (ReusePort= in the socket unit?)"
            )
    except DescriptorRefused:
        sock.close()
        raise
    sock.setblocking(False)
    sock.set_inheritable(False)
    sockets[address] = sock


def _address_of(sock: socket.socket) -> Address:
    """As the configuration writes it. Raises Refused for a Unix socket without a file."""
    if sock.family != socket.AF_UNIX:
        return Address(*sock.getsockname()[:2])
    path = sock.getsockname()
    if not isinstance(path, str) or not path.startswith("/"):
        raise DescriptorRefused("wanted a Unix socket with a file, came one without (ListenStream=/PATH in the socket unit)")
    return Address(UNIX + path, 0)


def _require_socket(fd: int) -> None:
    try:
        mode = os.fstat(fd).st_mode
    except OSError as error:
        raise DescriptorRefused(f"wanted a listening stream socket, came none: {error.strerror}") from error
    if not os.get_inheritable(fd):  # then it did not come through exec(2): we have opened it, and need it
        raise DescriptorRefused("wanted a listening stream socket, came none")
    if not stat.S_ISSOCK(mode):
        os.close(fd)
        raise DescriptorRefused(f"wanted a listening stream socket, came {KINDS.get(stat.S_IFMT(mode), 'something else')}")


def _require_listening_stream(sock: socket.socket) -> None:
    known = sock.family == socket.AF_UNIX or (sock.family in (socket.AF_INET, socket.AF_INET6) and sock.proto in PROTOCOLS)
    if not known or sock.type != socket.SOCK_STREAM:
        family, kind = FAMILIES.get(sock.family, f"family {int(sock.family)}"), TYPES.get(sock.type, f"type {int(sock.type)}")
        came = f"one of {family}, {kind}, protocol {sock.proto}"
        raise DescriptorRefused(
            f"wanted a listening stream socket, came {came} (ListenStream=ADDRESS:PORT or =/PATH in the socket unit)"
        )
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise DescriptorRefused("wanted a listening stream socket, came one that does not listen (Accept=no in the socket unit)")


def _require_one_family(sock: socket.socket, address: Address) -> None:
    if sock.family == socket.AF_INET6 and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) and address.host == "::":
        raise DescriptorRefused(
            f"{address} takes IPv4 too (in the socket unit: BindIPv6Only=ipv6-only, "
            f"and ListenStream=0.0.0.0:{address.port} for IPv4, which then is a [[listen]] of its own)"
        )
