"""Dangers of private keys: key_mode = "any" lets files pass that others than their owner can read."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path as File

from lbproxy.audit.finding import Check, Evidence, Path, Severity
from lbproxy.config.model import Config

MOST = 20
"""Of one configuration: a folder may hold thousands."""


def unguarded(config: Config) -> Iterator[tuple[File, Path, int]]:
    """(file, where the configuration lets it pass, that table's line) of the keys whose modes nobody minds."""
    for index, listen in enumerate(config.listen):
        for number, pair in enumerate(listen.certificates):
            if pair.key_mode == "any":
                yield pair.key, ("listen", index, "certificates", number, "key_mode"), listen.line
        if listen.folder is not None and listen.folder_key_mode == "any":
            for pair in listen.listed:
                yield pair.key, ("listen", index, "key_mode"), listen.line
    for pool in config.pools:
        if pool.tls is not None and pool.tls.key is not None and pool.tls.key_mode == "any":
            yield pool.tls.key, ("pool", pool.name, "tls", "key_mode"), pool.line


def of_keys(modes: Iterable[tuple[File, Path, int, int | None]]) -> Iterator[tuple[Check, Evidence]]:
    """Of files as `unguarded` has them, with their modes; None: it is not there. A group that may read is one that somebody has
    made for it, as Debian's ssl-cert."""
    told = 0
    for file, path, line, mode in modes:
        if mode is not None and mode & (stat.S_IRWXO | stat.S_IWGRP) and told < MOST:
            told += 1
            yield READABLE, Evidence(path, f"{file} is {stat.S_IMODE(mode):04o}", line)


READABLE = Check(
    "key-readable",
    Severity.HIGH,
    "Other accounts of this machine can read a private key, or put their own in its place: whoever has it can be this site.",
    "chmod 600 the key and take key_mode out; accept it where a container has no other accounts.",
    lambda config: (),
)
"""What a look at the files has found, which is not this floor's."""
CHECKS = (READABLE,)
