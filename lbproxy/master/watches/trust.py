"""The judge of what others are judged by, and of what backends are shown: authorities and lists of revoked certificates, of
listeners and pools, pools' own certificates, and authorities of servers that sets of keys are fetched from. What changed on disk
goes live without a reload.

Like listeners' certificates they are judged and read in a process apart, and live when whole and fitting. Lists and authorities go
live together, and apart from the pair beside them: a renewal that went half wrong keeps no revocation back. Workers are told where
a listener's stand in the generation's store; what is a pool's travels in a store of its own, of which workers and control get a
descriptor: control has no other.

Clients bring no session along that was begun under other authorities or lists, no session with a backend is resumed, and what is
open to it carries no new request. What is open to clients stays: the next handshake asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from lbproxy.config.model import PoolTlsConfig
from lbproxy.errors import StartError
from lbproxy.ipc.messages import NewKeyAuthorities, NewPoolFiles, Renewed
from lbproxy.ipc.pipe import MasterPipe
from lbproxy.master.files.looks import Difference, Files, Group, Marks, PairFolder
from lbproxy.master.files.watch import Batch
from lbproxy.master.fleet.child import Role
from lbproxy.master.processes.anew import checked_by_tls
from lbproxy.master.processes.child_pipes import ChildPipes
from lbproxy.master.resources.generation import GenerationResources, note_remarks
from lbproxy.observe.log import get_logger
from lbproxy.tls import contexts, edition, openssl, rereading
from lbproxy.tls.edition import Edition
from lbproxy.tls.keystore import KeyStore, Piece, Stamp, overwriting
from lbproxy.tls.pool_files import copied, told
from lbproxy.tls.rereading import Reread, TrustFiles

AGAIN_AFTER = 60.0
"""Seconds until what was refused is judged again as it is: a list may become good by waiting."""


@dataclass(slots=True)
class TrustGroup:
    """Files that go live together."""

    about: dict[str, str]
    """Whose they are, for the log."""
    files: tuple[Path, ...]
    marks: Marks
    """As they are live; of the first of the files: that of a passphrase behind them is none that goes live."""
    wanted: TrustFiles
    listener: int = -1
    policy: int = 0
    pool: str = ""
    seen: Marks = ()
    """As they differ, and were not read yet."""
    refused: Marks = ()
    """As they were when they were refused last; (): they were not."""
    why: str = ""
    again_at: float = 0.0

    @property
    def names(self) -> Files:
        """As whoever looks has them."""
        return tuple(map(str, self.files))


class TrustWatch:
    """Responsible for such files of the generation that serves."""

    def __init__(
        self,
        pipes: ChildPipes,
        forget: Callable[[KeyStore, Piece, float], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`forget`: wipes a piece of a store when everybody has read it."""
        self._pipes = pipes
        self._forget = forget
        self._wall = wall
        self._number = 0
        self._of: GenerationResources | None = None
        self._watched: tuple[TrustGroup, ...] = ()

    # ---- as a Judge

    def begin(self, number: int, resources: GenerationResources) -> None:
        """Another generation serves, with its files as they were when it read them."""
        assert resources.keys is not None
        self._number, self._of, self._watched = number, resources, tuple(_watched(resources, resources.keys.stamps))

    def watched(self) -> Iterator[Group]:
        """All of them."""
        for one in self._watched:
            yield Group(one.names, (*one.marks, *(None for _ in one.files[len(one.marks) :])))

    def folders(self) -> Iterable[PairFolder]:
        """None of its files come and go."""
        return ()

    def noted(self, difference: Difference) -> None:
        """One of its own, or another's."""
        for one in self._watched:
            if one.names != difference.files or difference.folder is not None:
                continue
            one.seen = difference.marks
            if one.seen[: len(one.marks)] == one.marks:
                one.seen = one.refused = ()
                one.why = ""

    def batch(self, now: float, free: Callable[[Files], bool]) -> Batch | None:
        """What differs, and what was refused and may have become good."""
        resources = self._of
        due = [one for one in self._watched if one.seen and (one.seen != one.refused or now >= one.again_at) and free(one.names)]
        if not due or resources is None:
            return None
        marks = [one.seen for one in due]
        work = partial(rereading.trusts, [one.wanted for one in due], datetime.fromtimestamp(self._wall(), UTC))
        return Batch(len(due), work, partial(self._done, resources, due, marks))

    def _done(
        self,
        resources: GenerationResources,
        due: Sequence[TrustGroup],
        marks: Sequence[Marks],
        told: Any,
        inbox: KeyStore,
        now: float,
    ) -> None:
        if resources is not self._of:
            return
        for one, mark, each in zip(due, marks, told, strict=True):
            verdict = Reread.of(*each)
            why = verdict.why
            if not why:
                if verdict.told is None:
                    continue  # somebody writes at it right now: it is read once more
                try:
                    self._renew(resources, one, verdict, inbox, now)
                except (StartError, OSError) as error:
                    why = str(error)
                else:
                    if one.seen == mark:
                        one.seen = ()
                    continue
            self._refuse(one, mark, why, now)

    def _refuse(self, one: TrustGroup, marks: Marks, why: str, now: float) -> None:
        again = one.refused == marks and one.why == why
        one.refused, one.why, one.again_at = marks, why, now + AGAIN_AFTER
        if not again:
            event = "certificate.refused" if one.wanted.shown else "trust.refused"
            get_logger().warning(event, **one.about, why=why, then="the old ones stay")

    def _renew(self, resources: GenerationResources, one: TrustGroup, verdict: Reread, inbox: KeyStore, now: float) -> None:
        """The generation has it from now on, and so have its children. Raises StartError, OSError; then all is as it was."""
        live = self._renew_listener if one.listener >= 0 else self._renew_pool if one.pool else self._renew_key_server
        live(resources, one, verdict, inbox, now)
        one.marks = tuple(map(verdict.stamps.get, one.files[: len(one.marks)]))
        one.refused, one.why = (), ""
        resources.digests |= verdict.digests
        note_remarks(resources)
        event = "certificate.renewed" if one.wanted.shown else "trust.renewed"
        get_logger().info(event, **one.about, files=[*one.names])

    def _renew_listener(
        self, resources: GenerationResources, one: TrustGroup, verdict: Reread, inbox: KeyStore, now: float
    ) -> None:
        listening, store = resources.listeners[one.listener], resources.keys
        before = listening.shown
        if openssl.functions() is None:
            raise StartError("this Python's OpenSSL is out of reach: lbproxy reload brings them in")
        assert before is not None
        assert store is not None
        found = rereading.authorities_of(verdict, inbox, store)
        authorities = (*before.authorities[: one.policy], found, *before.authorities[one.policy + 1 :])
        new = Edition(False, {}, authorities)
        piece = edition.write(store, new)
        shown = edition.applied(before, new, datetime.now(UTC))
        listeners = [*resources.listeners]
        listeners[one.listener] = listening._replace(shown=shown)
        resources.listeners = tuple(listeners)
        self._pipes.tell_workers(self._number, Renewed(one.listener, piece.offset, piece.size))
        old = before.authorities[one.policy]
        for waste in (piece, *(() if old is None else (old.piece, old.lists))):
            if waste is not None:
                self._forget(store, waste, now)

    def _renew_pool(
        self, resources: GenerationResources, one: TrustGroup, verdict: Reread, inbox: KeyStore, now: float
    ) -> None:
        store, before = resources.keys, resources.pool_pems[one.pool]
        pool = resources.config.pool(one.pool)
        pair = None if pool.tls is None else contexts.pool_pair(pool.tls)
        assert store is not None
        with overwriting():
            if one.wanted.shown and pair is not None:
                held = rereading.pair_of(verdict, pair, inbox, store, None)
                pems = before._replace(store=store, pair=held.pem)
            else:
                ca, crl = rereading.pool_trust_of(verdict, inbox, store)
                pems = before._replace(store=store, ca=ca, crl=crl)
            context = contexts.client_context(pool, pems)
        resources.pool_pems[pool.name] = pems
        resources.pool_contexts[pool.name] = context
        with closing(KeyStore()) as others:
            message = NewPoolFiles(pool.name, told(copied(pool, pems, context, others)))
            self._hand_out(message, others, (Role.WORKER, Role.CONTROL) if checked_by_tls(pool) else (Role.WORKER,))
        shown = before.pair if one.wanted.shown else None
        old = (before.ca, before.crl) if shown is None else (shown.cert, shown.key)
        for piece in old:
            if piece is not None:
                self._forget(before.store, piece, now)

    def _renew_key_server(
        self, resources: GenerationResources, one: TrustGroup, verdict: Reread, inbox: KeyStore, now: float
    ) -> None:
        assert resources.keys is not None
        [file] = one.files
        held = rereading.key_server_of(verdict, inbox, resources.keys)
        resources.key_authorities = {**resources.key_authorities, file: held}
        with closing(KeyStore()) as others:
            size = others.note(held).size
            for keys in resources.config.key_sets:
                if keys.ca == file:
                    self._hand_out(NewKeyAuthorities(keys.name, size), others, (Role.CONTROL,))

    def _hand_out(self, message: NewPoolFiles | NewKeyAuthorities, store: KeyStore, roles: Collection[Role]) -> None:
        """To all of these whose generation it is."""
        say = partial(MasterPipe.send_fd, message=message, descriptor=store.fileno())
        for running in [*self._pipes.running.values()]:
            if running.generation == self._number and running.role in roles:
                try:
                    self._pipes.talk(running, say)
                except OSError as error:
                    whose, why = message[0], error.strerror or str(error)
                    get_logger().error("trust.not_told", of=whose, pid=running.pid, why=why)


def _watched(resources: GenerationResources, stamps: Mapping[Path, Stamp]) -> Iterator[TrustGroup]:
    """`stamps`: of the files when they were read."""

    def live(files: Iterable[Path]) -> Marks:
        return tuple(map(stamps.get, files))

    for index, listening in enumerate(resources.listeners):
        for number, policy in enumerate(listening.listen.tls.policies if listening.shown is not None else ()):
            wanted = TrustFiles(policy)
            if policy.client_ca is not None:
                about = {"listener": str(listening.listen.address)}
                files = wanted.trust.files
                yield TrustGroup(about, files, live(files), wanted, listener=index, policy=number)
    for pool in resources.config.pools:
        if pool.tls is not None:
            yield from _of_pool(pool.name, pool.tls, live)
    servers = {keys.ca: keys.url for keys in resources.config.key_sets if keys.ca is not None and keys.verify}
    for file, url in servers.items():
        yield TrustGroup({"jwks": url}, (file,), live((file,)), TrustFiles(None, key_server=file))


def _of_pool(name: str, tls: PoolTlsConfig, live: Callable[[Iterable[Path]], Marks]) -> Iterator[TrustGroup]:
    trusting = TrustFiles(None, tls)
    if files := trusting.trust.files:
        yield TrustGroup({"pool": name}, files, live(files), trusting, pool=name)
    pair = contexts.pool_pair(tls)
    if pair is not None:
        source = pair.passphrase
        word = (Path(source.words[0]),) if source is not None and source.way == "file" else ()
        files = (pair.cert, pair.key)
        about = {"pool": name, "file": str(pair.cert)}
        yield TrustGroup(about, (*files, *word), live(files), TrustFiles(None, tls, shown=True), pool=name)
