"""Configurations to read in tests, and what was said about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

from lbproxy.config.load import load_text
from lbproxy.config.model import Config, ListenTlsConfig
from lbproxy.errors import Complaint, ConfigError

BASE = Path("/base")

LEAST = """
[[listen]]
address = ":8443"
[[route]]
pool = "app"
[pool.app]
backends = ["10.0.0.1:80"]
"""
"""The smallest configuration there is; tests add to it."""


def read(text: str) -> Config:
    """Accepted, or the test fails with the complaints."""
    return load_text(dedent(text), "test.toml", BASE)


def refused(text: str) -> list[Complaint]:
    """What is complained about; the test fails when nothing is."""
    try:
        read(text)
    except ConfigError as error:
        return error.complaints
    raise AssertionError("accepted")


def complaint(text: str) -> Complaint:
    """The only complaint."""
    complaints = refused(text)
    assert len(complaints) == 1, complaints
    return complaints[0]


def line_of(text: str, part: str) -> int:
    """The number of the first line with `part`."""
    return next(number for number, line in enumerate(dedent(text).split("\n"), 1) if part in line)


def _names_without_lines(tls: ListenTlsConfig) -> ListenTlsConfig:
    return replace(tls, names=tuple(replace(name, line=0) for name in tls.names))


def without_lines(config: Config) -> Config:
    """What a configuration says, apart from where it says it."""
    return replace(
        config,
        source="",
        listen=tuple(replace(listen, line=0, tls=_names_without_lines(listen.tls)) for listen in config.listen),
        routes=tuple(replace(route, line=0) for route in config.routes),
        taps=tuple(replace(tap, line=0) for tap in config.taps),
        pools=tuple(
            replace(pool, line=0, backends=tuple(replace(backend, line=0) for backend in pool.backends)) for pool in config.pools
        ),
    )
