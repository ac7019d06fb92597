"""The handover from the master to a child at fork: everything that needs privileges, files or names, already opened and
resolved."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import Ledger, RawLock
from lbproxy.config.model import Config, ListenConfig
from lbproxy.http.misdirected import Agreement


class Shows(Protocol):
    """What a TLS listener shows (tls/showcase.py)."""

    on_fault: Callable[[str], None]
    on_made: Callable[[ssl.SSLContext], object]
    addressed: bool
    asks: bool
    def at_address(self, address: str, /) -> ssl.SSLContext | None: ...
    def agreement(self, tls: Any, /) -> Agreement | None: ...
    def renew(self, at: int, size: int, /) -> None: ...


class KeysElsewhere(Protocol):
    """Where a worker's signatures come from when it has no keys (tls/remote_key.py)."""

    on_silence: Callable[[], None]

    def reconnect(self, sock: socket.socket, /) -> None: ...


KeyReader = Callable[[int, int], bytes]
"""What stands at a place of the store of keys."""


@dataclass(slots=True)
class BoundListener:
    """A listener of the configuration with its bound, listening, non-blocking socket and, for TLS, its context."""

    listen: ListenConfig
    socket: socket.socket
    context: ssl.SSLContext | None
    slot: int
    """Its slot in the ledger."""
    shows: Shows | None = None
    asks: object = None
    """What its context is made of (tls.contexts.OuterKey)."""


class SharedCache(NamedTuple):
    """The memory of stored answers (cache/memory.py)."""

    buffer: Any
    descriptor: int
    """Of the same, for locks; open as long as the worker lives."""
    disk: int
    folder: Path | None
    """Where bodies are, in files."""


@dataclass(slots=True)
class Handover:
    """One generation's inheritance; equal for all its children but for `child` and `pipe`."""

    config: Config
    generation: int
    child: int
    """This child's row in the ledger."""
    worker: int
    """0-based number of the worker in its generation; -1 for control."""
    ledger: Ledger
    pick_lock: RawLock
    listeners: tuple[BoundListener, ...]
    backends: dict[str, tuple[Backend, ...]]
    """By pool name, in the order of the configuration."""
    pool_contexts: dict[str, ssl.SSLContext]
    """By name of each pool that re-encrypts."""
    access_fd: int
    """Open for appending; -1 when access logging is off."""
    metrics_socket: socket.socket | None
    """Bound and listening; for control only."""
    pipe: socket.socket
    """This child's end of a Unix stream socket pair to the master, blocking mode as created; frames both ways."""
    walls: list[str] = field(default_factory=list)
    """Those that stand around this child (sandbox/walls.py)."""
    scratch_fd: int = -1
    """A worker's file for what pools buffer beyond memory (net/scratch.py), opened in its own process; -1: there is none."""
    taps: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """A worker's: descriptors of the files of each tap, by its name, the oldest in front (net/capture_files.py)."""
    tap_link: socket.socket | None = None
    """A worker's end of the socket to whoever sends taps' conversations on; None: they go into files alone."""
    ticket_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    """A worker's: with which session tickets are made and taken (tls/tickets.py)."""
    keys: KeyReader | None = None
    """A worker's: reads what the master puts into the store of keys later."""
    documents: tuple[bytes, ...] = field(default=(), repr=False)
    """A worker's: what the configuration's documents held, by their number."""
    inspectors: socket.socket | None = None
    """A worker's end of the socket to whoever looks at requests; None: nobody does."""
    key_set_contexts: dict[str, ssl.SSLContext] = field(default_factory=dict)
    """Control's: by name of each set of keys that is fetched over TLS."""
    remote_keys: KeysElsewhere | None = None
    """A worker's, with key_isolation."""
    cache: SharedCache | None = None
    """A worker's."""
    wakeups: tuple[int, ...] = ()
    """Descriptors of eventfds, the same in all workers; number `child % len(wakeups)` is watched by the worker of that row."""


@runtime_checkable
class Staged(Protocol):
    """A child's main function with something to do on the way there."""

    def privileged(self, config: Config, /) -> None:
        """Before privileges are dropped."""

    def unwalled(self, config: Config, /) -> None:
        """Before the walls are built."""


ChildMain = Callable[[Handover], int]
"""Runs a child to its end inside the forked process and returns its exit code."""

ChildLoader = Callable[[], ChildMain]
"""Imports all that the child runs, gevent included, inside the forked process and before privileges are dropped: the account that
the child drops to need not be able to read the files of this program or of its interpreter."""
