"""The names that [acme] obtains certificates for, and where these stand: decided by the configuration alone.

Each name has a certificate of its own, in one file with its key, NAME.pem: a renewal is one rename, and nobody ever sees half of
it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lbproxy.config.model import CertificateConfig, Config
from lbproxy.config.model.acme import DNS, AcmeNames, is_name

FOLDER = "acme"
"""Below state_dir."""
WILDCARD = "_wildcard"
"""In place of the star, in names of files; no host that anybody may ask for has a label that begins so."""


def wanted(config: Config) -> AcmeNames:
    """For the hosts of routes, in their order, and then for the names that [acme] says."""
    acme = config.acme
    if acme is None:
        return AcmeNames()
    hosts = list(dict.fromkeys([*(route.host for route in config.routes if route.host is not None), *acme.names]))
    good = [host for host in hosts if is_name(host) and (acme.challenge == DNS or not host.startswith("*."))]
    return AcmeNames(tuple(good), tuple(host for host in hosts if host not in good))


def folder_of(config: Config) -> Path | None:
    """Where accounts and certificates are kept; None: nowhere."""
    return None if config.proxy.state_dir is None else config.proxy.state_dir / FOLDER


def file_of(name: str) -> str:
    """A certificate and its key, in the folder."""
    return f"{name.replace('*', WILDCARD, 1)}.pem"


def pairs(config: Config) -> tuple[CertificateConfig, ...]:
    """All of them, in order; they need not be there yet."""
    folder = folder_of(config)
    if folder is None:
        return ()
    paths = (folder / file_of(name) for name in wanted(config).names)
    return tuple(CertificateConfig(path, path) for path in paths)


def with_pairs(config: Config) -> Config:
    """With the pairs that its listeners with acme = true show."""
    if config.acme is None:
        return config
    found = pairs(config)
    return replace(config, listen=tuple(replace(one, listed=found) if one.acme else one for one in config.listen))
