"""What we run on, and who gets which core."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.macro.errors import BenchError
from bench.macro.interpreter import interpreter

DESCRIPTORS_WANTED = 16384  # 2,000 idle connections, doubled towards backends, and room


PACKAGES = "nginx-light haproxy wrk nghttp2-client gcc libssl-dev"


@dataclass(frozen=True, slots=True)
class Cores:
    """None means wherever the scheduler likes."""

    proxy: str | None = None
    """taskset -c list for the proxy under test."""
    load: str | None = None
    """The same for wrk, the backends and the harness."""
    usable: tuple[int, ...] = ()
    """All that there are for both, empty when nobody is pinned."""


def pinned(command: list[str], core_list: str | None) -> list[str]:
    """taskset becomes the command by exec, so the process id is the command's."""
    return command if core_list is None else ["taskset", "-c", core_list, *command]


def cores(pin: bool) -> Cores:
    """The first core we may use for the proxy, all others for the load; pins the calling process to the latter."""
    usable = sorted(os.sched_getaffinity(0))
    if not pin or len(usable) < 2:
        return Cores()
    os.sched_setaffinity(0, set(usable[1:]))
    return Cores(proxy=str(usable[0]), load=_listed(usable[1:]), usable=tuple(usable))


def widened(chosen: Cores, workers: int) -> Cores:
    """A core for each worker. Where that leaves none for the load, both share all cores, as the scheduler likes."""
    if workers == 1 or not chosen.usable:
        return chosen
    if len(chosen.usable) > workers:
        return replace(chosen, proxy=_listed(chosen.usable[:workers]), load=_listed(chosen.usable[workers:]))
    # Said aloud: children would inherit where the harness has been pinned to.
    return replace(chosen, proxy=_listed(chosen.usable), load=_listed(chosen.usable))


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def installed(tool: str) -> bool:
    return _path(tool) is not None


def _path(tool: str) -> str | None:
    return shutil.which(tool, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


def require(tool: str, why: str) -> str:
    path = _path(tool)
    if path is None:
        raise BenchError(f"{tool} is not installed ({why}); on Debian: apt-get install {PACKAGES}")
    return path


def raise_descriptor_limit() -> int:
    """The soft limit goes to the hard one; children inherit it. Returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return soft


def require_schedstat() -> None:
    path = Path("/proc/self/schedstat")
    if not path.exists():
        raise BenchError(f"{path} is missing: CPU times need Linux with CONFIG_SCHED_INFO")


def facts(chosen: Cores) -> dict[str, str]:
    """For the head of the report: what somebody needs to judge or repeat the figures."""
    processors = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in processors if line.startswith("model name")), platform.machine())
    if chosen.proxy is None:
        placing = "not pinned"
    else:
        placing = f"proxy on core {chosen.proxy}, load and backends on {chosen.load}"
    return {
        "cpu": f"{model}, {os.cpu_count()} cores, {placing}",
        "kernel": platform.release(),
        "python": f"{interpreter().version}, {ssl.OPENSSL_VERSION}",
        "load before": load_average(),
    }


def load_average() -> str:
    """Runnable processes over the last 1, 5 and 15 minutes: others' work when read before a run."""
    return " ".join(f"{x:.2f}" for x in os.getloadavg())


def version(command: list[str]) -> str:
    """The first line that a tool says about itself; nginx says it on stderr."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10, check=False)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "unknown"
