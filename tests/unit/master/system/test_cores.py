"""How many workers "auto" is."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest

from lbproxy.master.system.cores import auto_workers, quota_folders, quota_v1, quota_v2, usable_cores


@pytest.mark.parametrize(
    ("affinity", "quotas", "cores"),
    [(8, [], 8), (8, [2.0], 2), (8, [1.5], 2), (8, [0.25], 1), (2, [16.0], 2), (8, [4.0, 3.0], 3), (1, [0.5], 1)],
)
def test_the_smallest_limit_counts(affinity: int, quotas: list[float], cores: int) -> None:
    assert usable_cores(affinity, quotas) == cores


@pytest.mark.parametrize(
    ("content", "cores"),
    [("max 100000\n", None), ("150000 100000\n", 1.5), ("200000", 2.0), ("", None), ("50000 0\n", None), ("rubbish 100000", None)],
)
def test_cgroup_2(content: str, cores: float | None) -> None:
    assert quota_v2(content) == cores


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [("-1\n", "100000\n", None), ("400000\n", "100000\n", 4.0), ("25000", "50000", 0.5), ("", "", None)],
)
def test_cgroup_1(quota: str, period: str, cores: float | None) -> None:
    assert quota_v1(quota, period) == cores


def folders(membership: str) -> list[tuple[str, int]]:
    return [(str(folder), version) for folder, version in quota_folders(membership)]


def test_version_2_looks_at_the_group_and_all_above_it() -> None:
    assert folders("0::/system.slice/lbproxy.service\n") == [
        ("/sys/fs/cgroup/system.slice/lbproxy.service", 2),
        ("/sys/fs/cgroup/system.slice", 2),
        ("/sys/fs/cgroup", 2),
        ("/sys/fs/cgroup/unified/system.slice/lbproxy.service", 2),
        ("/sys/fs/cgroup/unified/system.slice", 2),
        ("/sys/fs/cgroup/unified", 2),
    ]


def test_version_1_looks_only_at_the_cpu_controller() -> None:
    membership = "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/x\n"
    assert folders(membership) == [
        ("/sys/fs/cgroup/cpu/docker/abc", 1),
        ("/sys/fs/cgroup/cpu/docker", 1),
        ("/sys/fs/cgroup/cpu", 1),
        ("/sys/fs/cgroup/cpu,cpuacct/docker/abc", 1),
        ("/sys/fs/cgroup/cpu,cpuacct/docker", 1),
        ("/sys/fs/cgroup/cpu,cpuacct", 1),
    ]


@pytest.mark.parametrize("membership", ["", "\n", "rubbish", "1:name=systemd:/init.scope\n"])
def test_no_cpu_controller_no_folders(membership: str) -> None:
    assert quota_folders(membership) == []


def test_a_path_never_climbs_out_of_the_mount() -> None:
    """In a container with a cgroup namespace the path may start with /.. ."""
    assert quota_folders("0::/../sibling\n")[0] == (PurePosixPath("/sys/fs/cgroup"), 2)


def test_here_and_now_it_is_some_of_the_cores() -> None:
    assert 1 <= auto_workers() <= len(os.sched_getaffinity(0))
