"""The kernel's texts, and who belongs to a proxy."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from bench.macro import procfs
from bench.macro.procfs import Stat

STAT = (
    "4242 (lbproxy: worker) 1 (x)) S 17 4242 4200 0 -1 4194560 100 200 0 0 31 12 7 5 20 0 1 0 987654 1000 50 18446744073709551615"
)


def stat(pid: int, parent: int, session: int) -> Stat:
    return Stat(pid=pid, parent=parent, session=session, started=0, reaped_ns=0)


def test_a_command_with_brackets_and_blanks_does_not_shift_the_fields() -> None:
    assert procfs.parse_stat(STAT) == Stat(pid=4242, parent=17, session=4200, started=987654, reaped_ns=12 * procfs.TICK_NS)


def test_the_first_number_of_schedstat_is_the_time_on_a_cpu() -> None:
    assert procfs.parse_schedstat("1084401 77 2\n") == 1084401


@pytest.mark.parametrize("text", ["", "1 2", "1 2 3 4", "a 2 3"])
def test_another_schedstat_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"schedstat|invalid literal"):
        procfs.parse_schedstat(text)


def test_pss_is_read_past_its_neighbours() -> None:
    text = "564d70b07000-7fff2002e000 ---p 00000000 00:00 0  [rollup]\nRss:   1664 kB\nPss:    393 kB\nPss_Dirty:  112 kB\n"
    assert procfs.parse_pss(text) == 393 * 1024


def test_a_rollup_without_pss_is_refused() -> None:
    with pytest.raises(ValueError, match="no Pss"):
        procfs.parse_pss("Rss:   1664 kB\nPss_Dirty:  112 kB\n")


def test_a_family_is_descent_and_session_and_nobody_else() -> None:
    processes = [
        stat(30, parent=20, session=20),  # grandchild, listed before its parent, in the session of its parent
        stat(10, parent=1, session=10),
        stat(20, parent=10, session=20),  # child that made a session of its own
        stat(40, parent=1, session=10),  # orphan that stayed in the session
        stat(50, parent=1, session=50),
    ]
    assert {p.pid for p in procfs.family(10, processes)} == {10, 20, 30, 40}


def test_the_time_of_a_real_process_grows_while_it_works() -> None:
    before = procfs.cpu_ns(os.getpid())
    assert before is not None
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    after = procfs.cpu_ns(os.getpid())
    assert after is not None
    assert after - before >= 40_000_000  # the kernel books at ticks and switches: up to 4 ms may be outstanding


def test_a_process_that_is_gone_has_no_time() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert procfs.cpu_ns(gone.pid) is None


def test_a_child_in_a_session_of_its_own_is_found_with_its_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as child:
        assert child.pid in {p.pid for p in procfs.family(os.getpid(), procfs.all_processes())}
        assert procfs.pss(child.pid) > 100 * 1024
        child.communicate(b"\n")
