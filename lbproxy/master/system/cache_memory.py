"""The cache's memory and its folder, as the master makes them: before the first fork, or in a reload that wants another size.

The memory is a memfd, which all workers map, and which outlives the master's program (succession/upgrade.py). Nothing is read out
of it before its form and size are known to be ours.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lbproxy.cache.layout import Word
from lbproxy.cache.memory import begin_anew, fits, forget_processes
from lbproxy.config.model import CacheStoreConfig, Config
from lbproxy.config.units import format_size
from lbproxy.errors import Complaint, StartError
from lbproxy.master.system import cache_kept, cores
from lbproxy.master.system.cache_kept import Unfit
from lbproxy.master.system.privileges import Account, account_for
from lbproxy.observe import log

NAME = "lbproxy-cache"
"""Of the memfd, and of the folder in the one that is configured."""
FILE = re.compile(r"[0-9a-f]{16}\Z")
SHARE = 0.8
"""Of the memory that there is, which the cache may have."""


class CacheMemory:
    """What all workers of one or more generations share; its descriptor closes with the last of them that is known here."""

    def __init__(self, descriptor: int, mapped: mmap.mmap, disk: int, folder: Path | None) -> None:
        """`folder`: where bodies are, in files; None: there are none."""
        self.descriptor = descriptor
        self.mapped = mapped
        self.disk = disk
        self.folder = folder

    def __del__(self) -> None:
        os.close(self.descriptor)

    def fileno(self) -> int:
        """Of the memory."""
        return self.descriptor

    def told(self) -> list[int | str]:
        """For `adopt` by the program after us."""
        return [self.descriptor, self.disk, str(self.folder or "")]

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self.mapped)

    def serves(self, wanted: CacheStoreConfig) -> bool:
        """Whether it is what the configuration wants."""
        return self.size == size_of(wanted) and self.disk == disk_of(wanted) and self.folder == folder_of(wanted)


def size_of(wanted: CacheStoreConfig) -> int:
    """Bytes of memory: whole pages, whatever number somebody wrote."""
    return wanted.memory - wanted.memory % mmap.PAGESIZE


def disk_of(wanted: CacheStoreConfig) -> int:
    """Bytes of files."""
    return 0 if wanted.files is None else wanted.disk


def folder_of(wanted: CacheStoreConfig) -> Path | None:
    """Where bodies go."""
    return None if wanted.files is None else wanted.files / NAME


def make(config: Config, wanted: CacheStoreConfig, account: Account | None, start: bool = False) -> CacheMemory:
    """An empty one, and what stands in the folder goes; or, at the `start`, what was kept. Raises StartError."""
    if found := faults(config, wanted, account):
        raise StartError("\n".join(map(str, found)))
    folder = folder_of(wanted)
    try:
        descriptor = os.memfd_create(NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.fchmod(descriptor, 0o600)  # another user's child does not open it anew, by /proc/self/fd
            os.ftruncate(descriptor, size_of(wanted))
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            mapped = mmap.mmap(descriptor, size_of(wanted))
            kept = start and wanted.keep is not None and _restored(wanted.keep, mapped, disk_of(wanted), folder, account)
            if folder is not None and not kept:
                empty(folder, account)
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise StartError(str(Complaint(config.source, 0, "cache", f"cannot make the cache: {error.strerror or error}"))) from error
    if not kept:
        begin_anew(mapped, disk_of(wanted), os.urandom(16))
    with memoryview(mapped).cast("Q") as words:
        words[Word.NEXT_FILE] = time.time_ns() // 1_000_000 << 16  # another memory's workers may still write into this folder
    return CacheMemory(descriptor, mapped, disk_of(wanted), folder)


def _restored(path: Path, mapped: mmap.mmap, disk: int, folder: Path | None, account: Account | None) -> bool:
    """Whether the memory has what was kept for it; else it is all zeros, and the log says why."""
    why = "" if folder is None else _strange(folder, account)
    with memoryview(mapped) as view:
        try:
            if not cache_kept.load(path, view, disk, str(folder or "")):
                return False
            if not why:
                forget_processes(view, disk)
                log.get_logger().info("cache.kept", file=str(path))
                return True
        except (Unfit, OSError) as error:
            why = str(error)
        for at in range(0, len(view), cache_kept.PIECE):
            if any(view[at : at + cache_kept.PIECE]):
                view[at : at + cache_kept.PIECE] = bytes(len(view[at : at + cache_kept.PIECE]))
    log.get_logger().warning("cache.kept_discarded", file=str(path), why=why)
    return False


def _strange(folder: Path, account: Account | None) -> str:
    """Why bodies that are there may be somebody else's; "": they are not."""
    try:
        facts = os.lstat(folder)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    mine = os.geteuid() if account is None else account.uid
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != mine or facts.st_mode & 0o077:
        return f"{folder} is not as it was left: of user {mine}, for nobody else"
    return ""


def keep(memory: CacheMemory, path: Path) -> None:
    """For the next start; no worker lives any more. What cannot be kept is told."""
    try:
        cache_kept.save(path, memory.descriptor, memory.size, memory.disk, str(memory.folder or ""))
    except OSError as error:
        why = error.strerror or str(error)
        log.get_logger().warning("cache.not_kept", file=str(path), why=why, then="the next start begins empty")


def adopt(descriptor: int, disk: int, folder: str) -> CacheMemory | None:
    """What the program before us had; closed, and None, where it is of another form."""
    try:
        mapped = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        if fits(mapped, disk):
            os.set_inheritable(descriptor, False)
            return CacheMemory(descriptor, mapped, disk, Path(folder) if folder else None)
    except (OSError, ValueError):
        pass  # not even memory
    os.close(descriptor)
    return None


def provide(config: Config, there: Sequence[CacheMemory | None], account: Account | None) -> CacheMemory | None:
    """What a configuration wants, one of those that are `there` if it fits; None: it wants none. Raises StartError."""
    wanted = config.cache
    if wanted is None:
        return None
    memory = next((one for one in there if one is not None and one.serves(wanted)), None)
    if memory is None:
        return make(config, wanted, account, not any(there))
    mend(memory, account)
    return memory


def mend(memory: CacheMemory, account: Account | None) -> None:
    """A folder that somebody has removed is there again for those who begin to serve now; where that cannot be, they say so."""
    folder = memory.folder
    if folder is None or os.path.lexists(folder) or _unfit(folder.parent, account):
        return
    with suppress(OSError):
        empty(folder, account)


def empty(folder: Path, account: Account | None) -> None:
    """The folder is there, for the processes' user alone, with no body in it. Raises OSError."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name in os.listdir(descriptor):
            if FILE.match(name):
                os.unlink(name, dir_fd=descriptor)
        os.fchmod(descriptor, 0o700)
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
    finally:
        os.close(descriptor)


def faults(config: Config, wanted: CacheStoreConfig, account: Account | None) -> list[Complaint]:
    """What start would refuse: more memory than there is, a folder that is none, or that is open to others."""
    found = []
    there = memory_there()
    if wanted.memory > there * SHARE:
        most = format_size(int(there * SHARE) // 2**20 * 2**20)
        message = f"wanted at most {most} of the {there // 2**20} MiB that may be used here, got {format_size(wanted.memory)}"
        found.append(_complaint(config, "memory", message, "processes need memory as well"))
    if wanted.files is not None and (why := _unfit(wanted.files, account)):
        found.append(_complaint(config, "files", *why))
    if wanted.keep is not None and (why := _unfit(wanted.keep.parent, None)):
        found.append(_complaint(config, "keep", *why))
    return found


def complaints(config: Config) -> list[Complaint]:
    """The same for `check`, which may be run by another user."""
    if config.cache is None:
        return []
    try:
        account = account_for(config)
    except StartError:
        account = None  # start says that
    return faults(config, config.cache, account)


def _complaint(config: Config, key: str, message: str, hint: str = "") -> Complaint:
    return Complaint(config.source, 0, f"cache.{key}", message, hint)


def _unfit(folder: Path, account: Account | None) -> tuple[str, str] | None:
    """Why bodies must not be kept there, and what helps."""
    try:
        facts = os.stat(folder)
    except OSError as error:
        return f"{folder}: {error.strerror}", f"make it: install -d -m 700 {folder}"
    mine = {os.geteuid(), 0} | ({account.uid} if account is not None else set())
    if not stat.S_ISDIR(facts.st_mode):
        return f"{folder}: wanted a folder, it is a file", ""
    if facts.st_uid not in mine:
        return f"{folder} belongs to user {facts.st_uid}", "whoever has it decides what is served from it: chown it"
    if facts.st_mode & 0o022 and not facts.st_mode & stat.S_ISVTX:
        return f"{folder} is writable by others than its owner", f"chmod go-w {folder}"
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        return f"cannot write into {folder}", "chown it, or name another one"
    return None


def memory_there() -> int:
    """Bytes of the machine's memory, or of what our cgroups may have of it."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    try:
        membership = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        membership = ""
    for folder, version in cores.quota_folders(membership):
        if version == 2:
            try:
                said = (Path(folder) / "memory.max").read_text(encoding="utf-8").strip()
            except OSError:
                continue
            found += [int(said)] if said.isdecimal() else []
    return min(found)
