"""Root is for binding ports and reading keys; the children that talk to the network give it up, with no way back."""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import struct
from typing import NamedTuple

from lbproxy.config.model import Config
from lbproxy.errors import Complaint, StartError
from lbproxy.tls.fork import apart

FALLBACKS = ("lbproxy", "nobody")
PR_SET_NO_NEW_PRIVS = 38  # include/uapi/linux/prctl.h
CAPABILITIES_3 = 0x20080522  # include/uapi/linux/capability.h


class Account(NamedTuple):
    """The account that children change to."""

    name: str
    uid: int
    gid: int


def account_for(config: Config) -> Account | None:
    """Whom to drop to; None when there is nothing to drop (not started as root). Raises StartError for an unknown `user`."""
    if os.geteuid() != 0:
        return None
    wanted = config.proxy.user
    for name in (wanted,) if wanted is not None else FALLBACKS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    key, names = ("proxy.user", f'"{wanted}"') if wanted else ("proxy.user", " or ".join(f'"{name}"' for name in FALLBACKS))
    hint = f"`useradd --system --no-create-home {wanted or FALLBACKS[0]}`, or set another user"
    raise StartError(str(Complaint(config.source, 0, key, f"there is no account {names} for the workers to run as", hint)))


def try_drop(config: Config, account: Account) -> None:
    """Drop once in a process that ends then, before there are children that could only die of it. Raises StartError.

    Root of a user namespace (rootless containers) knows no other user, and a container may be without CAP_SETUID: that "root" is
    one in name only.
    """
    try:
        apart(lambda: drop(account))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
            return  # no process for it is no answer: the children's own forks tell
        message = f'cannot become "{account.name}" (uid {account.uid}): {error.strerror or error}'
        hint = (
            "this root may not change its user: it is root of a user namespace, or without CAP_SETUID and CAP_SETGID. "
            'Start lbproxy as the user it is to run as, or grant the capabilities, or set user = "root", which drops nothing'
        )
        raise StartError(str(Complaint(config.source, 0, "proxy.user", message, hint))) from error


def drop(account: Account) -> None:
    """Become `account` for good: groups first, user last, then make sure that it worked. Raises OSError."""
    if account.uid != 0:
        os.initgroups(account.name, account.gid)
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
        if os.getresuid() != (account.uid,) * 3 or os.getresgid() != (account.gid,) * 3:
            raise PermissionError(f"still {os.getresuid()}, {os.getresgid()} after dropping to {account}")
        try:
            os.setuid(0)
        except PermissionError:
            pass
        else:
            raise PermissionError(f"could become root again after dropping to {account}")
    no_new_privileges()


def give_up(account: Account | None) -> bool:
    """All that a child has no use for, for good. `account`: whom to become; None: nobody else. False where the kernel does not know
    how to keep it from coming back. Raises OSError.

    Who is not root may hold capabilities as well, for ports below 1024 or a tap's interface (AmbientCapabilities= of systemd,
    setcap). They are the master's, and every process that it makes would inherit them. Root that was told to stay so
    (user = "root") stays.
    """
    if account is not None:
        drop(account)
    if os.geteuid() != 0:
        keep_capabilities(0)
    return no_new_privileges()


def keep_capabilities(mask: int) -> bool:
    """These alone; ambient ones go with them (capabilities(7)). False: they are not there to be kept, and all is as before."""
    header = struct.pack("=Ii", CAPABILITIES_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    held = struct.pack("=6I", low, low, 0, high, high, 0)
    return int(ctypes.CDLL(None, use_errno=True).capset(header, held)) == 0


def no_new_privileges() -> bool:
    """No set-user-ID program run from here gains anything any more. False where the kernel does not know it."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) == 0
