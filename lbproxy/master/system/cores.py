"""The number of workers that "auto" means: the cores this process may use, honouring a cgroup's CPU quota."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")


def auto_workers() -> int:
    """For this process, now."""
    try:
        membership = Path("/proc/self/cgroup").read_text()
    except OSError:  # no /proc: no cgroups either
        membership = ""
    quotas = [quota for folder, version in quota_folders(membership) if (quota := _read_quota(folder, version)) is not None]
    return usable_cores(len(os.sched_getaffinity(0)), quotas)


def usable_cores(affinity: int, quotas: list[float]) -> int:
    """At least 1. A quota of 1.5 cores keeps two workers busy: rounded up, like the JVM and .NET do."""
    return max(1, min([affinity, *(math.ceil(quota) for quota in quotas)]))


def quota_folders(membership: str) -> list[tuple[PurePosixPath, int]]:
    """Where quotas that bind us may stand, with the cgroup version: our group and every group above it.

    `membership`: /proc/self/cgroup. In a container the path may be the host's and not exist below the mount; the mount's root,
    which is always in the list, is our own group then.
    """
    folders: dict[tuple[PurePosixPath, int], None] = {}
    for line in membership.splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        group = PurePosixPath(path if ".." not in path.split("/") else "/")  # a namespace's way to say "outside"
        if number == "0" and controllers == "":
            mounts, version = ["", "unified"], 2
        elif "cpu" in controllers.split(","):
            mounts, version = ["cpu", controllers], 1
        else:
            continue
        for mount in mounts:
            for above in (group, *group.parents):
                folders[(PurePosixPath(str(CGROUPS)) / mount / str(above).lstrip("/"), version)] = None
    return list(folders)


def quota_v2(cpu_max: str) -> float | None:
    """Cores of a cpu.max ("150000 100000"); None: no limit ("max 100000") or not understood."""
    quota, _, period = cpu_max.strip().partition(" ")
    return _cores(quota, period or "100000")


def quota_v1(quota: str, period: str) -> float | None:
    """Cores of cpu.cfs_quota_us and cpu.cfs_period_us; a quota of -1 is none."""
    return _cores(quota.strip(), period.strip())


def _cores(quota: str, period: str) -> float | None:
    if not (quota.isdecimal() and period.isdecimal()) or int(quota) == 0 or int(period) == 0:
        return None
    return int(quota) / int(period)


def _read_quota(folder: PurePosixPath, version: int) -> float | None:
    here = Path(folder)
    try:
        if version == 2:
            return quota_v2((here / "cpu.max").read_text())
        return quota_v1((here / "cpu.cfs_quota_us").read_text(), (here / "cpu.cfs_period_us").read_text())
    except OSError:  # no such group, or no limit can be set there
        return None
