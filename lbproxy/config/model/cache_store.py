"""The table [cache]: where answers are kept that routes with [route.cache] store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lbproxy.config.atoms import GIB, MIB
from lbproxy.config.key import key
from lbproxy.config.kinds import FILE, size

LEAST_MEMORY = 4 * MIB
LEAST_DISK = 16 * MIB
MOST_MEMORY = 1024 * GIB


@dataclass(frozen=True, slots=True)
class CacheStoreConfig:
    """[cache], what all routes and workers have in common of the cache."""

    memory: int = key(
        size(LEAST_MEMORY, MOST_MEMORY),
        64 * MIB,
        "shared by all workers, kept over reloads and SIGUSR2; in use as far as answers fill it. Another size begins empty",
        example="256MiB",
    )
    files: Path | None = key(
        FILE,
        None,
        "a folder, of root's or of the processes' user and writable by nobody else, for bodies over 64KiB. A folder "
        '"lbproxy-cache" is made in it, and emptied at each start, unless what is in it is kept. Default: such answers are not '
        "stored",
        example="/var/cache/lbproxy",
    )
    disk: int = key(
        size(LEAST_DISK, 1024 * GIB),
        GIB,
        "what bodies in files may take together",
        example="10GiB",
        needs={"files": "/var/cache/lbproxy"},
    )
    keep: Path | None = key(
        FILE,
        None,
        "a file in which the memory is kept from a clean end to the next start, in a folder of root's or of the master's user "
        "that nobody else writes. It is used once, and discarded where anything does not fit: version, size, folder, owner, "
        "mode, another boot of the machine. Default: empty after a restart",
        example="/var/lib/lbproxy/cache",
    )
