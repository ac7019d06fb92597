"""The filter as a program: well formed for both machines, and each rule where its call is."""

from __future__ import annotations

import errno
import struct

import pytest

from lbproxy.sandbox.filter import ALLOW, ARCHITECTURES, ERRNO, KILL, LAST, REFUSED, SandboxNeeds, program

REFUSE = ERRNO | errno.EPERM
MISSING = ERRNO | errno.ENOSYS
WANTS = SandboxNeeds({2: [1]}, pid=42)


def ask(machine: str, wants: SandboxNeeds, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the kernel would make of a call: the program, run."""
    steps = list(struct.iter_unpack("=HBBI", program(machine, wants) or b""))
    of = ARCHITECTURES[machine][1] if arch is None else arch
    data = struct.pack("=IIQ6Q", number, of, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    at = value = 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            [value] = struct.unpack_from("=I", data, operand)
        elif code == 0x54:
            value &= operand
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += yes if holds else no


@pytest.mark.parametrize(("machine", "column"), [("x86_64", 0), ("aarch64", 1)])
def test_both_machines(machine: str, column: int) -> None:
    numbers = {"x86_64": {"read": 0, "openat": 257, "clone": 56, "socket": 41, "clone3": 435}, "aarch64": {
        "read": 63, "openat": 56, "clone": 220, "socket": 198, "clone3": 435}}[machine]  # fmt: skip
    for name, places in REFUSED.items():
        if places[column] >= 0:
            assert ask(machine, WANTS, places[column]) == REFUSE, name
    assert ask(machine, WANTS, numbers["read"]) == ALLOW
    assert ask(machine, WANTS, numbers["clone3"]) == MISSING
    assert ask(machine, WANTS, LAST) == MISSING
    assert ask(machine, WANTS, 0x40000000) == MISSING  # x32
    assert ask(machine, WANTS, numbers["read"], arch=0x40000003) == KILL  # i386
    assert ask(machine, WANTS, numbers["openat"], 0, 0, 0o2000000) == ALLOW  # O_CLOEXEC
    assert ask(machine, WANTS, numbers["openat"], 0, 0, 0o1) == REFUSE
    assert ask(machine, WANTS._replace(writes=True), numbers["openat"], 0, 0, 0o1) == ALLOW
    assert ask(machine, WANTS, numbers["clone"], 0x10000) == ALLOW
    assert ask(machine, WANTS, numbers["clone"], 17) == REFUSE
    assert ask(machine, WANTS, numbers["socket"], 2, 1 | 0o2000000, 0) == ALLOW  # SOCK_CLOEXEC
    assert ask(machine, WANTS, numbers["socket"], 2, 2, 0) == REFUSE
    assert ask(machine, WANTS, numbers["socket"], 2, 1, 262) == REFUSE
    assert ask(machine, WANTS, numbers["socket"], 1, 1, 0) == REFUSE


def test_a_machine_that_is_not_known() -> None:
    assert program("pdp11", WANTS) is None
    assert len(program("x86_64", WANTS) or b"") // 8 < 4096  # BPF_MAXINSNS
