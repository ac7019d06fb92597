"""Documents: files that steps of routes go by (users and their passwords), looked at as certificates are: by `check`, before a
start and before a reload, and not when the configuration is read."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from lbproxy.config.model import Config
from lbproxy.config.passwords import Users, parse
from lbproxy.errors import Complaint

LARGEST = 16 * 1024 * 1024
"""Bytes of a file of users."""
FAULTS_TOLD = 20
"""Of one file; more is a file of something else."""
_EXTRA = "pip install 'lbproxy[auth]'"
_MAKE_ONE = "htpasswd -B -c FILE USER makes one"
LIBRARIES = {"bcrypt": "bcrypt", "argon2": "argon2"}


def available(library: str) -> bool:
    """Whether it is installed. It is loaded, where a configuration that wants it is looked at: in the master, before workers are
    forked that may not read its files, nor those of the standard library that it stands on."""
    try:
        import_module(library)
    except ImportError:
        return False
    return True


class Look(NamedTuple):
    users: Users | None
    """None: it cannot be read."""
    complaints: list[Complaint]


def complaints(config: Config) -> list[Complaint]:
    """What is wrong with any of them, and what is missing to go by them."""
    found = []
    for route in config.routes:
        if route.basic_auth is not None and route.basic_auth.file is not None:
            looked = look_at(route.basic_auth.file, config.source, route.line)
            there = {kind for kind, library in LIBRARIES.items() if available(library)}  # all: the file may have others tomorrow
            found += looked.complaints
            for kind in sorted(looked.users.kinds) if looked.users is not None else ():
                if kind not in there:
                    message = f"passwords in {route.basic_auth.file} are hashed by {kind}, which nothing here can check"
                    found.append(Complaint(config.source, route.line, "route.basic_auth.file", message, _EXTRA))
        if route.jwt is not None and not available("jwt"):
            message = "tokens cannot be checked: PyJWT is not installed"
            found.append(Complaint(config.source, route.line, "route.jwt", message, _EXTRA))
    return found


def look_at(path: Path, source: str, line: int) -> Look:
    """A file of users; where it is named, for complaints about it as a whole."""

    def no(message: str) -> Look:
        return Look(None, [Complaint(source, line, "route.basic_auth.file", message, _MAKE_ONE)])

    try:
        if path.exists() and not path.is_file():  # a FIFO would hold whoever reads it, a device feed us for ever
            return no(f"{path} is no regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            return no(f"wanted a file of at most {LARGEST} bytes, {path} is longer")
        users, faults = parse(content.decode())
    except OSError as error:
        return no(f"{path} cannot be read: {error.strerror or error}")
    except UnicodeDecodeError:
        return no(f"{path} is no text")
    return Look(users, [Complaint(str(path), fault.line, "", fault.message, fault.hint) for fault in faults[:FAULTS_TOLD]])
