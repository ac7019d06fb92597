"""Dangers of taps: what was decrypted is there for whoever reads them."""

from __future__ import annotations

import stat
from collections.abc import Iterable

from lbproxy.audit.checks.networks import listens_to_everybody, on_this_machine, too_wide
from lbproxy.audit.finding import Check, Evidence, Severity
from lbproxy.config.model import Config, TapConfig
from lbproxy.config.model.tapping import SECRETS


def _read_by_others(config: Config) -> Iterable[Evidence]:
    for tap in config.taps:
        if tap.listen is None or on_this_machine(tap.listen):
            continue
        strangers = [*too_wide(tap.allow, ("tap", tap.name, "allow"), tap.line)]
        everybody = listens_to_everybody(tap.listen) and bool(strangers)
        yield Evidence(("tap", tap.name, "listen"), str(tap.listen), tap.line, Severity.CRITICAL if everybody else None)
        yield from strangers


def _secrets(config: Config) -> Iterable[Evidence]:
    for tap in config.taps:
        blank = {name.lower().replace("_", "-").replace(".", "-") for name in tap.blank}
        if shown := [name for name in SECRETS if name.lower() not in blank]:
            yield Evidence(("tap", tap.name, "blank"), f"without {', '.join(shown)}", tap.line)


def _bodies(config: Config) -> Iterable[Evidence]:
    for tap in config.taps:
        if tap.max_body:
            yield Evidence(("tap", tap.name, "max_body"), f"{tap.max_body} bytes", tap.line)


def of_files(tap: TapConfig, folder: int | None, fifo: int | None) -> Iterable[tuple[Check, Evidence]]:
    """What their modes tell; None: it is not there. A group that reads a pipe is whom somebody has made it for; files are the
    owner's alone by themselves, unless they were there before, as anybody's who may make some in that folder."""
    if folder is not None and folder & (stat.S_IWGRP | stat.S_IWOTH):
        bad = None if folder & stat.S_IWOTH else Severity.MEDIUM
        yield READABLE, Evidence(("tap", tap.name, "folder"), f"{tap.folder} is {stat.S_IMODE(folder):04o}", tap.line, bad)
    if fifo is not None and fifo & (stat.S_IROTH | stat.S_IWOTH):
        yield READABLE, Evidence(("tap", tap.name, "fifo"), f"{tap.fifo} is {stat.S_IMODE(fifo):04o}", tap.line)


READABLE = Check(
    "tap-readable",
    Severity.HIGH,
    "Other accounts of this machine can read what was decrypted: from the pipe, or from files that they have put into the folder.",
    "chmod 700 the folder; chmod 600 the pipe, or 640 with the reader's group.",
    lambda config: (),
)
"""What a look at the files has found, which is not this floor's."""
CHECKS = (
    Check(
        "tap-public",
        Severity.HIGH,
        "Other machines can read what clients and backends said to each other, in the clear; nobody is asked for a password.",
        "Let tap.NAME.listen be on 127.0.0.1, with the reader beside it or at the end of a tunnel, or allow that reader alone.",
        _read_by_others,
    ),
    Check(
        "tap-secrets",
        Severity.HIGH,
        "Whoever reads the tap has passwords, tokens or sessions, and is your users with them.",
        "Take blank out, or name these fields in it as well.",
        _secrets,
    ),
    READABLE,
    Check(
        "tap-bodies",
        Severity.INFO,
        "Bodies are in the tap, passwords of log-in forms among them; blank takes fields of the head out alone.",
        "Let routes with forms of that kind have no tap, or one with max_body = 0.",
        _bodies,
    ),
)
