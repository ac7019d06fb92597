"""Time spent in a window by a family whose members come and go."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.macro.cpu import CpuMeter, Snapshot, spent

MASTER, OLD, NEW = (1, 100), (2, 100), (3, 200)


def test_the_living_count_what_they_added() -> None:
    first = Snapshot({MASTER: 1000, OLD: 5000})
    last = Snapshot({MASTER: 1100, OLD: 9000})
    assert spent(first, {**first.used, **last.used}, last) == 4100


def test_a_member_born_in_the_window_counts_whole() -> None:
    assert spent(Snapshot({MASTER: 1000}), {}, Snapshot({MASTER: 1000, NEW: 300})) == 300


def test_a_dead_member_counts_up_to_its_last_poll() -> None:
    first = Snapshot({MASTER: 0, OLD: 5000})
    assert spent(first, {MASTER: 0, OLD: 7000}, Snapshot({MASTER: 0})) == 2000


def test_what_a_dead_member_used_after_its_last_poll_comes_from_its_parent() -> None:
    first = Snapshot({MASTER: 0, OLD: 5000}, reaped=40)
    assert spent(first, {MASTER: 0, OLD: 7000}, Snapshot({MASTER: 0}, reaped=9040)) == 4000


def test_a_member_that_lived_between_two_polls_is_known_through_its_parent() -> None:
    assert spent(Snapshot({MASTER: 0}), {MASTER: 0}, Snapshot({MASTER: 0}, reaped=600)) == 600


def test_the_same_pid_started_later_is_another_process() -> None:
    first = Snapshot({(2, 100): 5000})
    assert spent(first, {(2, 100): 5000, (2, 300): 10}, Snapshot({(2, 300): 10})) == 10


def test_a_real_child_that_works_and_ends_inside_the_window_is_charged() -> None:
    work = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    with CpuMeter(os.getpid()) as meter:
        subprocess.run([sys.executable, "-c", work], check=True)
    assert meter.ns + 20_000_000 >= 200_000_000  # both sums are truncated to ticks of 10 ms
