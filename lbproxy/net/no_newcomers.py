"""Turn newcomers away from a listening socket without losing those who are connecting.

Closing a listening socket resets every connection in its queue, and every one whose handshake ends between the last accept and the
close: clients who were told "connected". So first a filter on the socket drops SYN packets. Who sends one is not connected, tries
again a second later (RFC 6298), and by then is refused properly. Handshakes that had begun end normally, are accepted, and only
then the socket is closed. The filter belongs to the socket: it counts for all processes that share it, and for as long as
the socket lives. One that outlives us (the service manager's) must not get it.

The master does this, before it tells the workers: there are kernels that let only root attach filters.
"""

from __future__ import annotations

import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26  # asm-generic/socket.h; not in Python's socket module

# Classic BPF (linux/filter.h), struct sock_filter: code, jump if true, jump if false, operand. Offsets count from the TCP header.
_PROGRAM = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte of flags
        (0x54, 0, 0, 0x12),  # keep SYN and ACK
        (0x15, 0, 1, 0x02),  # SYN alone?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # keep the whole packet
    )
)


def drop_newcomers(listening: socket.socket) -> bool:
    """From now on no new connection can begin here; for good. False where the kernel has no such filter."""
    program = ctypes.create_string_buffer(_PROGRAM, len(_PROGRAM))
    fprog = struct.pack("@HP", len(_PROGRAM) // 8, ctypes.addressof(program))
    try:
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
    except OSError:  # another kernel under the same name (gVisor), or a security module
        return False
    return True
