"""A proxy without a configuration file: what `quick` and `demo` serve with, and what they tell when it runs."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lbproxy.config.model import (
    Address,
    BackendConfig,
    CertificateConfig,
    Config,
    HealthConfig,
    LimitsConfig,
    ListenConfig,
    LogConfig,
    PoolConfig,
    ProcessConfig,
    RouteConfig,
)
from lbproxy.config.units import ValueRefused, parse_name
from lbproxy.errors import StartError
from lbproxy.tls.selfsigned import SelfSigned

POOL = "quick"
ANY = ("0.0.0.0", "::")
CHECKS = HealthConfig(interval=1.0, fast_interval=0.5, down_interval=1.0)
"""Quicker than by default: somebody is watching."""


def quick_config(listen: Address, backends: Sequence[Address], certificate: SelfSigned, workers: int = 0) -> Config:
    """TLS on `listen`, every request to the least busy of `backends`. Quiet: problems only, no access log."""
    return Config(
        source="",
        listen=(ListenConfig(listen, (CertificateConfig(certificate.cert, certificate.key),)),),
        routes=(RouteConfig(POOL),),
        pools=(PoolConfig(POOL, tuple(BackendConfig(address) for address in backends), health=CHECKS),),
        proxy=ProcessConfig(workers=workers, drain_timeout=5.0),
        log=LogConfig(level="warning", access="off"),
        limits=LimitsConfig(connections_per_worker=4096),  # within the usual hard limit on open files
    )


def certificate_names(listen: Address) -> list[str]:
    """Every name this machine may be called by: localhost, its host name, the loopback addresses, and the one listened on."""
    names = ["localhost", "127.0.0.1", "::1"]
    try:
        names.append(parse_name(socket.gethostname()))
    except ValueRefused:
        pass  # a host name that is no DNS name cannot stand in a certificate
    if listen.host not in ANY:
        names.append(listen.host)
    return list(dict.fromkeys(names))


# ---------------------------------------------------------------- where the certificate is kept


def state_directory(given: Path | None, environ: Mapping[str, str]) -> Path:
    """A private directory (0700, ours) that outlives this run; made when missing.

    `given`, or $XDG_STATE_HOME/lbproxy, or ~/.local/state/lbproxy; or, where there is no home to write to, one of this user's own
    in the directory for temporary files. Raises StartError when the given one cannot be used.
    """
    if given is not None:
        try:
            return _private(given.resolve())
        except OSError as error:
            raise StartError(f"cannot keep a certificate in {given}: {error.strerror or error}") from error
    for candidate in _usual_places(environ):
        try:
            return _private(candidate)
        except OSError:
            continue  # no home, a read-only one, somebody else's: the next place
    return Path(tempfile.mkdtemp(prefix="lbproxy-"))


def _usual_places(environ: Mapping[str, str]) -> list[Path]:
    homes = [Path(environ.get("XDG_STATE_HOME", "")), Path(environ.get("HOME", ""), ".local", "state")]
    places = [home / "lbproxy" for home in homes if home.is_absolute()]  # relative ones are to be ignored (XDG base directories)
    return [*places, Path(tempfile.gettempdir(), f"lbproxy-{os.getuid()}")]


def _private(directory: Path) -> Path:
    """The directory, made where missing: nobody else's to look into, whatever the umask. Raises OSError unless it is ours alone and
    can be written."""
    for parent in reversed(directory.parents):
        _make(parent)
    _make(directory)
    found = os.lstat(directory)  # not stat: in a shared place somebody may have put a link there
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(0, "it is not a directory of this user's own")
    if found.st_mode & 0o022:
        raise PermissionError(0, "others may write there (chmod go-w)")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(0, "it cannot be written")
    return directory


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        return
    directory.chmod(0o700)  # a umask may have taken from it, too


# ---------------------------------------------------------------- what is told


def url(listen: Address) -> str:
    """Where a browser on this machine finds it, by a name that the certificate carries."""
    host = {"0.0.0.0": "localhost", "127.0.0.1": "localhost", "::": "[::1]"}.get(listen.host)
    if host is None:
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"https://{host}/" if listen.port == 443 else f"https://{host}:{listen.port}/"


def banner(listen: Address, backends: Sequence[str], certificate: SelfSigned) -> str:
    """Printed when everything serves."""
    made = "made just now" if certificate.fresh else "kept from an earlier run"
    label = "backends" if len(backends) > 1 else "backend"
    listed = "\n             ".join(backends)
    return (
        f"lbproxy is serving {url(listen)}\n"
        f"  {label:<10} {listed}\n"
        f"  identity   {certificate.cert}\n"
        f"             self-signed, {made}, good until {certificate.expires:%Y-%m-%d}\n"
        f"  SHA-256    {certificate.fingerprint}\n"
        f"  try        curl --cacert {_quoted(certificate.cert)} {url(listen)}\n"
        f"  stop       Ctrl-C, or kill {os.getpid()}"
    )


def _quoted(path: Path) -> str:
    from shlex import quote

    return quote(str(path))
