"""What a child may write in the ledger, and that it has no way to more."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import mmap
import os
from collections.abc import Callable

import pytest

from lbproxy.balance.ledger import (
    WHOLE_SIZE,
    WORKERS_STATES,
    Header,
    Ledger,
    PerSlot,
    Scalar,
    SlotState,
    cell_at,
    scalar_at,
    state_at,
    writable,
)
from lbproxy.master.resources.shared import LEDGER_NAME, shared_memory
from lbproxy.master.system.ledger_map import protect

pytestmark = pytest.mark.skipif(mmap.PAGESIZE > 4096, reason="parts of the ledger share pages here")

MINE, OTHERS = 3, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def dies_of(child: Callable[[Ledger], None], *, worker: bool = True) -> int:
    """What a process that has its part of the ledger ends with, doing that: 0, or the number of a signal."""
    memory, ledger, _ = shared_memory()
    pid = os.fork()
    if pid == 0:
        try:
            faulthandler.disable()
            protect(ledger, memory, writable(MINE, worker=worker))
            child(ledger)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(memory)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code <= 0
    return -code


def writes(*cells: int) -> Callable[[Ledger], None]:
    def write(ledger: Ledger) -> None:
        for cell in cells:
            ledger.cells[cell] = 42
            assert ledger.cells[cell] == 42

    return write


def test_a_worker_writes_its_row_and_what_all_share() -> None:
    """Counts, the state of turns and queues, rates, and what its clients have under way."""
    assert not dies_of(writes(scalar_at(MINE, Scalar.REQUESTS), cell_at(MINE, PerSlot.RETRYING, 1023)))
    assert not dies_of(writes(*(state_at(state, 5) for state in WORKERS_STATES)))

    def count(ledger: Ledger) -> None:
        ledger.rates[0] = ledger.rates[-1] = 1
        row = len(ledger.counts) // 192
        ledger.counts[MINE * row] = ledger.counts[MINE * row + row - 1] = 1

    assert not dies_of(count)


@pytest.mark.parametrize("cell", [
    Header.MAGIC, Header.CHILDREN_HIGH, Header.SECRET,
    state_at(SlotState.HEALTH, 0), state_at(SlotState.ADMIN, 1023), state_at(SlotState.SHARE, 7),
    scalar_at(OTHERS, Scalar.CONNECTIONS), cell_at(OTHERS, PerSlot.RETRYING, 1023), scalar_at(MINE + 1, 0),
])  # fmt: skip
def test_what_a_worker_only_reads_it_cannot_write(cell: int) -> None:
    """It dies of the attempt."""
    assert dies_of(writes(cell)) == 11


def test_counts_of_others_clients() -> None:
    def write(ledger: Ledger) -> None:
        ledger.counts[OTHERS * (len(ledger.counts) // 192)] = 1

    assert dies_of(write) == 11


@pytest.mark.parametrize(
    "cell", [Header.CHILDREN_HIGH, state_at(SlotState.ADMIN, 0), scalar_at(MINE, 0), state_at(SlotState.TIE, 0)]
)
def test_control_writes_health_and_nothing_else(cell: int) -> None:
    assert not dies_of(writes(state_at(SlotState.HEALTH, 3), state_at(SlotState.EJECTIONS, 1023)), worker=False)
    assert dies_of(writes(cell), worker=False) == 11


def test_there_is_no_way_back() -> None:
    """Neither by asking for the page again, nor through a descriptor."""
    gc.collect()
    others = {name for name in os.listdir("/proc/self/fd") if is_ledger(name)}  # of other tests

    def attempt(ledger: Ledger) -> None:
        begin = ctypes.addressof(ctypes.c_char.from_buffer(ledger.cells))
        page = ctypes.c_void_p(begin)
        assert LIBC.mprotect(page, ctypes.c_size_t(4096), mmap.PROT_READ | mmap.PROT_WRITE) == -1
        ours = [int(name) for name in os.listdir("/proc/self/fd") if is_ledger(name) and name not in others]
        assert ours
        for descriptor in ours:
            with pytest.raises(PermissionError):
                mmap.mmap(descriptor, WHOLE_SIZE)
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.pwrite(descriptor, b"x", 0)

    assert not dies_of(attempt)


def is_ledger(name: str) -> bool:
    try:
        return LEDGER_NAME in os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return False


def test_what_others_write_is_seen() -> None:
    """It is the same memory still."""
    memory, ledger, _ = shared_memory()
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        protect(ledger, memory, writable(MINE, worker=True))
        os.read(ours, 1)
        os._exit(0 if ledger.cells[Header.CHILDREN_HIGH] == 9 else 1)
    ledger.cells[Header.CHILDREN_HIGH] = 9
    os.write(theirs, b"x")
    assert os.waitpid(pid, 0)[1] == 0
    for descriptor in (ours, theirs, memory):
        os.close(descriptor)
