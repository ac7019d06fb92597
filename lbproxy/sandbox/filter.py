"""The seccomp filter of workers and control as a BPF program (seccomp(2), linux/filter.h): what they may not ask of the kernel.

A list of what is refused rather than one of what is allowed: interpreter, allocator and TLS library ask for other things with every
version, and a worker that dies of a harmless call is no safer. Refused is what serves nobody here but an intruder: other programs
and processes, others' memory, sockets of other kinds, files to write, mounts, modules, keys, the wide interfaces (bpf, io_uring,
perf, userfaultfd). Calls younger than this list (LAST) do not exist for us, so libraries fall back on older ones.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
NUMBER, ARCH = 0, 4  # struct seccomp_data
LAST = 470
CLONE_THREAD = 0x00010000
CLONE_NAMESPACES = 0x7E020000
WRITING = 0o3 | 0o100 | 0o1000 | 0o20000000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE; open(2)."""
HARMLESS_PRCTL = (15, 16, 0x53564D41)
"""PR_SET_NAME, PR_GET_NAME, PR_SET_VMA."""
UDP = 17
SHUT_WR = 1
F_SETFL, O_NONBLOCK, O_ASYNC = 4, 0o4000, 0o20000
HARMLESS_FCNTL = (0, 1, 2, 3, 5, 6, 7, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, locks by process, F_DUPFD_CLOEXEC. Others would have the kernel send signals (F_SETOWN,
F_SETSIG: SIGKILL as well), or shrink, seal or lease what is shared."""
HARMLESS_IOCTL = (0x5451, 0x5450, 0x541B, 0x5411, 0x894B, 0x5401, 0x5413)
"""FIOCLEX, FIONCLEX, FIONREAD, SIOCOUTQ, SIOCOUTQNSD, TCGETS, TIOCGWINSZ. Others would type into the terminal that somebody started
us in (TIOCSTI), change its ways, or have signals sent (FIOSETOWN)."""
FIONBIO = 0x5421
"""O_NONBLOCK by another name, of which a filter does not see whether it is set or taken away."""
NAMES_IOCTL = (0x8933, 0x8910)
"""SIOCGIFINDEX, SIOCGIFNAME: name servers at link-local addresses."""
OPTIONS = {6: (1, 25)}
"""Of sockets, by level: TCP_NODELAY, TCP_NOTSENT_LOWAT. Others (filters, devices, hops, keys; buffers, time-outs and SO_LINGER,
which accepted connections inherit) would turn clients away from a listener that all workers and their successors share."""
NAMES_OPTIONS = {0: (10, 11), 41: (25, 26)}
"""What the C library's resolver wants to be told of."""

REFUSED: dict[str, tuple[int, int]] = {
    # name: number on x86-64, on aarch64 (-1: not there); include/uapi/asm-generic/unistd.h
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, -1), "vfork": (58, -1),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "tkill": (200, 130),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "swapon": (167, 224), "reboot": (169, 142), "acct": (163, 89),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "personality": (135, 92), "syslog": (103, 116),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "quotactl": (179, 60), "fanotify_init": (300, 262),
    "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1), "shmget": (29, 194), "shmat": (30, 196),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "sethostname": (170, 161), "creat": (85, -1), "link": (86, -1), "linkat": (265, 37),
    "symlink": (88, -1), "symlinkat": (266, 36), "rename": (82, -1), "renameat": (264, 38), "renameat2": (316, 276),
    "unlink": (87, -1), "unlinkat": (263, 35), "mknod": (133, -1), "mknodat": (259, 33), "mkdir": (83, -1), "mkdirat": (258, 34),
    "rmdir": (84, -1), "chmod": (90, -1), "fchmodat": (268, 53), "chown": (92, -1), "lchown": (94, -1), "fchownat": (260, 54),
    "truncate": (76, 45), "fchmod": (91, 52), "fchown": (93, 55), "fchmodat2": (452, 452),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "setxattrat": (463, 463), "removexattrat": (466, 466), "file_setattr": (469, 469),
    "utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1), "utimensat": (280, 88), "open_tree_attr": (467, 467),
    # what one process of a user may do to the others without a signal
    "setpriority": (141, 140), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274), "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "process_mrelease": (448, 448), "shmctl": (31, 195), "semctl": (66, 191), "semop": (65, 193), "semtimedop": (220, 192),
    "msgctl": (71, 187), "msgsnd": (69, 189), "msgrcv": (70, 188), "mq_unlink": (241, 181),
    # a pair of sockets that know each other already: one for datagrams takes any other address
    "socketpair": (53, 199),
    # what is counted by user, and what makes a whole machine wait for its disks
    "inotify_init": (253, -1), "inotify_init1": (294, 26), "sync": (162, 81), "syncfs": (306, 267),
    # of root's, where workers stay root
    "setdomainname": (171, 162), "clock_adjtime": (305, 266), "swapoff": (168, 225), "vhangup": (153, 58),
    "quotactl_fd": (443, 443), "uselib": (134, -1),
}  # fmt: skip
REPLACING = ("link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat")
MISSING = {"clone3": (435, 435), "openat2": (437, 437)}
"""Their arguments stand where a filter cannot look: as if the kernel did not have them."""
ASKED = {
    "clone": (56, 220), "socket": (41, 198), "kill": (62, 129), "tgkill": (234, 131), "prctl": (157, 167),
    "openat": (257, 56), "open": (2, -1), "bind": (49, 200), "listen": (50, 201), "prlimit64": (302, 261), "fcntl": (72, 25),
    "ioctl": (16, 29), "shutdown": (48, 210), "setsockopt": (54, 208),
}  # fmt: skip
SENDING = {"sendto": (44, 206, 3), "sendmsg": (46, 211, 2), "sendmmsg": (307, 269, 3)}
"""With the place of their flags. They come first, since every answer is sent."""
MSG_FASTOPEN = 0x20000000
"""A connect by another name, which Landlock does not hear of (Linux 6.18)."""
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

Program = list[tuple[int, int, int, int]]


class SandboxNeeds(NamedTuple):
    """What a kind of process needs."""

    sockets: Mapping[int, Sequence[int]]
    """Families, and the types of sockets of each."""
    pid: int
    """Its own."""
    binds: bool = False
    """It may bind sockets (name servers are asked from ports of one's own)."""
    writes: bool = False
    """It may open files for writing."""
    gevent_sockets: bool = False
    """It uses them, or sockets with time-outs; they ask for O_NONBLOCK by FIONBIO."""
    replaces: bool = False
    """It replaces and removes files (of its own: where is Landlock's to say)."""


def program(machine: str, wants: SandboxNeeds) -> bytes | None:
    """The program as struct sock_filter's; None for a machine that is not known."""
    if machine not in ARCHITECTURES:
        return None
    column, arch = ARCHITECTURES[machine]
    made: Program = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, arch), (RETURN, 0, 0, KILL)]
    made += [(LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, LAST), _refuse(errno.ENOSYS)]
    fast_open: Program = [(ANY_BIT, 0, 1, MSG_FASTOPEN), _refuse(), (RETURN, 0, 0, ALLOW)]
    for *numbers, place in SENDING.values():
        made += _when(numbers[column], [_argument(place), *fast_open])
    made += [step for numbers in MISSING.values() for step in _when(numbers[column], [_refuse(errno.ENOSYS)])]
    refused = [numbers for name, numbers in REFUSED.items() if not (wants.replaces and name in REPLACING)]
    made += [step for numbers in refused for step in _when(numbers[column], [_refuse()])]
    for name, rule in _rules(wants).items():
        made += _when(ASKED[name][column], rule)
    made.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in made)


NEEDED = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "poll": (7, -1), "ppoll": (271, 73), "lseek": (8, 62),
    "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "pread64": (17, 67), "preadv": (295, 69), "preadv2": (327, 286),
    "mremap": (25, 216), "madvise": (28, 233), "getpid": (39, 172), "gettid": (186, 178),
    "sendto": (44, 206), "recvfrom": (45, 207), "futex": (202, 98), "clock_gettime": (228, 113), "clock_nanosleep": (230, 115),
    "exit": (60, 93), "exit_group": (231, 94), "getrandom": (318, 278), "restart_syscall": (219, 128), "sched_yield": (24, 124),
}  # fmt: skip
"""All that a process that answers on one socket asks for. Descriptors that somebody sends are not taken (recvmsg)."""
NOT_TO_EXECUTE = {"mmap": (9, 222), "mprotect": (10, 226)}
PROT_EXEC = 4


LOOKING = {
    "stat": (4, -1), "lstat": (6, -1), "newfstatat": (262, 79), "statx": (332, 291), "getdents64": (217, 61), "pwrite64": (18, 68),
}  # fmt: skip
"""What somebody asks for besides who looks at files, and opens none."""
O_DIRECTORY = (0o200000, 0o40000)
"""On x86-64, on aarch64."""


def only_what_is_needed(machine: str, *, looks: bool = False) -> bytes | None:
    """The opposite, for processes that hold keys, or look at files: a list of what is allowed, which is short since they run
    little. `looks`: folders are opened, and nothing else."""
    if machine not in ARCHITECTURES:
        return None
    column, arch = ARCHITECTURES[machine]
    allow: tuple[int, int, int, int] = (RETURN, 0, 0, ALLOW)
    made: Program = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, arch), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    made += [step for numbers in NEEDED.values() for step in _when(numbers[column], [allow])]
    if looks:
        made += [step for numbers in LOOKING.values() for step in _when(numbers[column], [allow])]
        only: Program = [(ANY_BIT, 0, 1, O_DIRECTORY[column]), allow, _refuse()]
        for name, flags in (("openat", 2), ("open", 1)):
            folder: Program = [_argument(flags), (ANY_BIT, 0, 1, WRITING), _refuse(), *only]
            made += _when(ASKED[name][column], folder)
    for numbers in NOT_TO_EXECUTE.values():
        made += _when(numbers[column], [_argument(2), (ANY_BIT, 0, 1, PROT_EXEC), _refuse(), allow])
    made.append(_refuse())
    return b"".join(struct.pack("=HBBI", *step) for step in made)


def _rules(wants: SandboxNeeds) -> dict[str, Program]:
    refuse, allow = _refuse(), (RETURN, 0, 0, ALLOW)
    rules: dict[str, Program] = {
        "clone": [_argument(0), (ANY_BIT, 0, 1, CLONE_NAMESPACES), refuse, (ANY_BIT, 0, 1, CLONE_THREAD), allow, refuse],
        "socket": _sockets(wants.sockets),
        "kill": [_argument(0), (EQUAL, 0, 1, wants.pid), allow, refuse],
        "tgkill": [_argument(0), (EQUAL, 0, 1, wants.pid), allow, refuse],
        "prctl": [_argument(0), *_one_of(HARMLESS_PRCTL, allow), refuse],
        "prlimit64": [_argument(0), (EQUAL, 0, 1, 0), allow, (EQUAL, 0, 1, wants.pid), allow, refuse],
        "fcntl": [_argument(1), *_one_of(HARMLESS_FCNTL, allow), *_flags(), refuse],
        "ioctl": [_argument(1), *_one_of(HARMLESS_IOCTL, allow), *_one_of(_more_ioctl(wants), allow), refuse],
        "shutdown": [_argument(1), (EQUAL, 0, 1, SHUT_WR), allow, refuse],  # reading is shut for all who share a listener
        "setsockopt": _options({**OPTIONS, **NAMES_OPTIONS} if wants.binds else OPTIONS),
    }
    if not wants.writes:
        rules["openat"] = [_argument(2), (ANY_BIT, 0, 1, WRITING), refuse, allow]
        rules["open"] = [_argument(1), (ANY_BIT, 0, 1, WRITING), refuse, allow]
    if not wants.binds:
        rules["bind"] = rules["listen"] = [refuse]
    return rules


def _flags() -> Program:
    """F_SETFL: a description that others have too stays one that keeps nobody waiting."""
    refuse, allow = _refuse(), (RETURN, 0, 0, ALLOW)
    rule: Program = [_argument(2), (ANY_BIT, 0, 1, O_ASYNC), refuse, (ANY_BIT, 0, 1, O_NONBLOCK), allow, refuse]
    return [(EQUAL, 0, len(rule), F_SETFL), *rule]


def _more_ioctl(wants: SandboxNeeds) -> Sequence[int]:
    return (*((FIONBIO,) if wants.gevent_sockets else ()), *(NAMES_IOCTL if wants.binds else ()))


def _sockets(wanted: Mapping[int, Sequence[int]]) -> Program:
    """By family and type; and of protocols nothing younger than UDP (of TCP's kind, MPTCP would pass by Landlock)."""
    rule: Program = [_argument(2), (AT_LEAST, 0, 1, UDP + 1), _refuse()]
    for family, types in wanted.items():
        allowed = [step for kind in types for step in ((EQUAL, 0, 1, kind), (RETURN, 0, 0, ALLOW))]
        inside: Program = [_argument(1), (AND, 0, 0, 0xF), *allowed, _refuse()]
        rule += [_argument(0), (EQUAL, 0, len(inside), family), *inside]
    return [*rule, _refuse()]


def _options(allowed: Mapping[int, Sequence[int]]) -> Program:
    rule: Program = []
    for level, options in allowed.items():
        inside: Program = [_argument(2), *_one_of(options, (RETURN, 0, 0, ALLOW)), _refuse()]
        rule += [_argument(1), (EQUAL, 0, len(inside), level), *inside]
    return [*rule, _refuse()]


def _one_of(values: Sequence[int], then: tuple[int, int, int, int]) -> Program:
    return [step for value in values for step in ((EQUAL, 0, 1, value), then)]


def _when(number: int, steps: Program) -> Program:
    return [] if number < 0 else [(EQUAL, 0, len(steps), number), *steps]


def _argument(index: int) -> tuple[int, int, int, int]:
    """The lower half of one, on machines that store it first, as both do."""
    return (LOAD, 0, 0, 16 + 8 * index)


def _refuse(number: int = errno.EPERM) -> tuple[int, int, int, int]:
    return (RETURN, 0, 0, ERRNO | number)
