"""The folder of ACME's accounts and certificates, made before anything is read from it, with a self-signed certificate for each
name whose first one is still to come.

The folder belongs to the account of the processes, since the one that writes there has no privileges. So nothing is written there
with the master's: a process apart drops them first.
"""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lbproxy.config.acme_names import file_of, folder_of, pairs, wanted
from lbproxy.config.model import CertificateConfig, Config
from lbproxy.errors import Complaint, StartError
from lbproxy.master.system.privileges import Account, account_for, drop
from lbproxy.tls.apart import PER_PAIR
from lbproxy.tls.fork import PATIENCE, apart
from lbproxy.tls.selfsigned import placeholder, write_private

ASIDE = ".unusable"


def provide(config: Config) -> None:
    """Before a configuration with [acme] is audited, at start and at each reload. Raises StartError."""
    folder = folder_of(config)
    if config.acme is None or folder is None or not any(listen.acme for listen in config.listen):
        return
    account = account_for(config)
    try:
        _make(folder.parent, None)
        _make(folder, account)
        names = wanted(config).names
        apart(lambda: _fill(folder, names, account), PATIENCE + PER_PAIR * len(names))
    except OSError as error:
        about = f"{folder}: {error.strerror or error}"
        hint = f"it has to be writable for {account.name if account is not None else 'whoever starts lbproxy'}"
        raise StartError(str(Complaint(config.source, 0, "proxy.state_dir", about, hint))) from error


def stand_in(config: Config, folder: Path) -> Config:
    """For `check`, which writes nothing where a start would: the configuration with certificates in `folder` in place of those that
    are still to come. Raises OSError."""
    coming = dict(zip((pair.cert for pair in pairs(config)), wanted(config).names, strict=True))
    made: dict[Path, CertificateConfig] = {}
    for path, name in coming.items():
        if not os.path.lexists(path):
            there = folder / file_of(name)
            write_private(there, placeholder(name, datetime.now(UTC)))
            made[path] = CertificateConfig(there, there)
    if not made:
        return config
    listens = (replace(one, listed=tuple(made.get(pair.cert, pair) for pair in one.listed)) for one in config.listen)
    return replace(config, listen=tuple(listens))


def _make(folder: Path, account: Account | None) -> None:
    """For its owner alone. A parent that is missing is a mistake in the name. Raises OSError."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if account is not None:
            facts = os.fstat(descriptor)
            if facts.st_uid != account.uid:
                os.fchown(descriptor, account.uid, account.gid)
            if stat.S_IMODE(facts.st_mode) & 0o077:
                os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _fill(folder: Path, names: tuple[str, ...], account: Account | None) -> int:
    """In a process apart; how many were made. Raises OSError."""
    os.chdir(folder)  # which stands below folders that are closed to the account
    missing = [name for name in names if not _usable(Path(file_of(name)))]
    made = {file_of(name): placeholder(name, datetime.now(UTC)) for name in missing}  # by modules that it may have no right to read
    if account is not None:
        drop(account)
    for name, text in made.items():
        if os.path.lexists(name):
            os.rename(name, f"{name}{ASIDE}")
        write_private(Path(name), text)
    return len(made)


def _usable(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password="")
    except (OSError, ValueError):  # ssl.SSLError among them
        return False
    return True
