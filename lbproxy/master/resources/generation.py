"""Resources of one generation: what its children inherit, read and opened for it alone."""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lbproxy.balance.backend import Backend
from lbproxy.config.model import Address, CertificateConfig, Config, ListenConfig
from lbproxy.errors import Complaint, by_place
from lbproxy.master.fleet.events import FleetTerms
from lbproxy.master.inspection.inspectors import InspectionProcess, Loading
from lbproxy.master.system.cache_memory import CacheMemory
from lbproxy.tls import contexts
from lbproxy.tls.keystore import KeyStore, Piece
from lbproxy.tls.remarks import NO_REMARKS, Remarks, remarks
from lbproxy.tls.stored import sources

KIB = 1024


class Listening(NamedTuple):
    """A listener of the configuration: its socket, and for TLS the context it has for life and the certificates of this
    generation."""

    listen: ListenConfig
    socket: socket.socket
    outer: ssl.SSLContext | None
    shown: contexts.Credentials | None
    slot: int = -1
    """Its slot in the ledger; -1 where nobody is forked for it any more."""
    key: contexts.OuterKey | None = None
    """What the context is made of."""


@dataclass(slots=True)
class GenerationResources:
    """What one generation inherits. Its listening sockets are the master's."""

    config: Config
    workers: int
    listeners: tuple[Listening, ...]
    backends: dict[str, tuple[Backend, ...]]
    pool_contexts: dict[str, ssl.SSLContext]
    metrics_socket: socket.socket | None
    access_fd: int
    digests: dict[Path, bytes]
    """What the files of certificates, keys and authorities held when they were read."""
    slots: frozenset[int]
    """Of the ledger, where it counts."""
    remarks: Remarks = NO_REMARKS
    """What is odd about its certificates."""
    keys: KeyStore | None = None
    """What its certificate and key files held; None where nobody is forked for it any more."""
    pool_pems: dict[str, contexts.PoolPem] = field(default_factory=dict)
    """By pool that re-encrypts: what its context was made of."""
    notes: tuple[Complaint, ...] = ()
    """What was odd about its names."""
    ticket_secrets: tuple[bytes, ...] = field(default=(), repr=False)
    vault: KeyStore | None = None
    """With key_isolation, what the listeners' key files held, for the processes that have them alone."""
    refused: dict[CertificateConfig, str] = field(default_factory=dict)
    """Pairs that changed on disk and are not shown as they are there, and why."""
    documents: tuple[Piece, ...] = ()
    """Where the configuration's documents, and then its sets of keys, stand in the store, by number."""
    inspectors: InspectionProcess | None = None
    """Whoever looks at requests of its routes."""
    loading: Loading | None = None
    """Whoever loads their rules yet; nobody is forked before."""
    key_authorities: dict[Path, bytes] = field(default_factory=dict)
    """By file: authorities that servers of such sets may have their certificates of, in DER, one behind the other."""
    cache: CacheMemory | None = None

    @property
    def addresses(self) -> set[Address]:
        """Where it listens."""
        others = {self.config.metrics.address, *(tap.listen for tap in self.config.taps)}
        return {listening.listen.address for listening in self.listeners} | {one for one in others if one is not None}

    def warnings(self) -> list[Complaint]:
        """What its operator should know now, and what kept nothing from serving; by lines of the file."""
        return by_place([*self.notes, *self.remarks.at()])

    @property
    def terms(self) -> FleetTerms:
        """For the fleet."""
        proxy = self.config.proxy
        return FleetTerms(
            self.workers,
            proxy.drain_timeout,
            self.config.longest_tunnel(),
            proxy.worker_memory // KIB,
            proxy.worker_memory_hard // KIB,
            proxy.worker_requests,
            self.config.acme is not None,
        )

    def close(self) -> None:
        """Close what only this generation had."""
        self.close_access()
        self.cache = None
        for rules in (self.inspectors, self.loading):
            if rules is not None:
                rules.close()
        for store in (self.keys, self.vault):
            if store is not None:
                store.close()

    def close_access(self) -> None:
        """The access log alone."""
        if self.access_fd >= 0:
            os.close(self.access_fd)
            self.access_fd = -1


def note_remarks(resources: GenerationResources) -> None:
    """Anew, after what it serves with has changed."""
    shown = [one.shown for one in resources.listeners]
    resources.remarks = remarks(resources.config, sources(resources.config, shown, resources.pool_pems))
