"""Loads what children otherwise load at first use.

Before the first fork (`modules`): a package that is replaced on disk while lbproxy runs, by pip or apt, must not come into a worker
that takes the place of a dead one, neither in parts nor as a whole; and the account that children drop to need not be able to read
the interpreter's library. In each child (`loop`): what cannot be had before a fork, gevent's hub.
"""

from __future__ import annotations

import codecs
import importlib
import pkgutil
from collections.abc import Iterator

import gevent
from gevent.hub import get_hub

import lbproxy

NOT_OURS = ("lbproxy.cli", "lbproxy.demo", "lbproxy.__main__")
"""Whom only a person at a terminal needs."""
LATE = (
    "encodings.idna",  # server names of TLS and hosts are encoded with it
    "encodings.punycode",
    "stringprep",
    "unicodedata",
    "gevent.resolver.thread",
    "gevent.socket",
    "gevent.ssl",
    "gevent.server",
    "gevent.threadpool",
    "linecache",  # the last five for an event with a traceback
    "traceback",
    "tokenize",
    "textwrap",
    "structlog.dev",
)
"""Modules that the standard library, gevent and structlog import inside functions."""
OF_WORKERS = ("lbproxy.worker", "lbproxy.proxy", "lbproxy.audit")
"""A quarter of the time that loading takes, which a process that forks control alone can do without."""
ON_EXTRAS = ("lbproxy.acme",)
"""Stand on libraries of an extra, and on what these stand on: a third of all that a start loads, and for one process that most
configurations do not ask for."""
CODECS = ("ascii", "latin-1", "utf-8", "utf-8-sig", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "cp437")


def modules(*, workers: bool = True, acme: bool = False) -> None:
    """Once, in the process that forks. No hub comes of it: that would be shared by all children.

    All of this package: a reload after its files were replaced, too, is carried out by what runs. `workers`, `acme`: are to be
    forked; an ACME process that only a reload asks for loads its own while it may still read them."""
    left_out = NOT_OURS + (() if workers else OF_WORKERS) + (() if acme else ON_EXTRAS)
    for name in (*_ours(left_out), *LATE):
        importlib.import_module(name)
    for name in CODECS:
        codecs.lookup(name)
    settings = gevent.config  # each of these imports what it names
    _ = settings.loop, settings.resolver, settings.threadpool


def _ours(left_out: tuple[str, ...]) -> Iterator[str]:
    for found in pkgutil.walk_packages(lbproxy.__path__, "lbproxy."):  # which loads the packages among them
        if not found.name.startswith(left_out):
            yield found.name


def loop() -> None:
    """In each child, before privileges are dropped."""
    hub = get_hub()
    hub.loop.io(0, 1).close()
    hub.loop.timer(0).close()
