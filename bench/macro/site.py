"""What a proxy is told to serve, and how it is started. The words that recipes (proxies/) and the rest of the harness share."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bench.macro.certificate import Files

KEPT = 256
"""Idle connections to backends that a proxy keeps at least: 16 connections of 16 streams ask for that many at once."""


class Site(NamedTuple):
    """What a proxy is to serve, and where it may write."""

    folder: Path
    https: int
    http: int
    backends: tuple[int, ...]
    """Ports on 127.0.0.1."""
    certificate: Files
    access_log: Path
    workers: int = 1
    backend_ca: Path | None = None
    """With it the backends speak TLS, as "localhost", and are to be verified by it."""
    backend_http2: bool = False
    """The backends speak HTTP/2 alone, without TLS."""
    steps: bool = False
    """There are routes with one step each (steps.py)."""
    icap: int = 0
    """The port of an ICAP server on 127.0.0.1; 0: there is none."""
    cache: bool = False
    """What may be stored is, and given out again."""
    compress: bool = False
    """Text leaves in gzip for those who want that."""


class Recipe(NamedTuple):
    """How a proxy is started."""

    command: list[str]
    env: dict[str, str]
    cwd: Path
    log_is_stdout: bool = False
    """Its standard output is its access log: it has no other way to write one to a file by itself."""
