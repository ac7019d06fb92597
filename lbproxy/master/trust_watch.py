"""The watch over what others are judged by, and what we show backends: authorities and lists of revoked certificates, of listeners
and pools, and pools' own certificates. What changed on disk goes live without a reload.

Like listeners' certificates they are looked at by stat(2), judged in a process apart, and live when whole and fitting. Lists and
authorities go live together, and apart from the pair beside them: a renewal that went half wrong keeps no revocation back. Workers
are told where a listener's stand in the generation's store; what is a pool's travels in a store of its own, of which workers and
control get a descriptor: control has no other.

Clients bring no session along that was begun under other authorities or lists, no session with a backend is resumed, and what is
open to it carries no new request. What is open to clients stays: the next handshake asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from lbproxy.config.model import Certificate
from lbproxy.errors import StartError
from lbproxy.ipc.messages import NewPoolFiles, Renewed
from lbproxy.ipc.pipe import MasterPipe
from lbproxy.master.anew import checked_by_tls
from lbproxy.master.child_pipes import ChildPipes
from lbproxy.master.fleet.child import Role
from lbproxy.master.prepare import GenerationResources, note_remarks
from lbproxy.observe.log import get_logger
from lbproxy.tls import contexts, edition, openssl
from lbproxy.tls.apart import judge_apart, judge_trust_apart
from lbproxy.tls.client_authorities import read_policy
from lbproxy.tls.edition import Edition
from lbproxy.tls.keystore import KeyStore, Piece, Stamp, overwriting
from lbproxy.tls.pool_files import copied, told
from lbproxy.tls.trust_audit import Trust

LOOK_EVERY = 2.0
SETTLING = 0.5
"""Seconds for which a file must have been as it is."""
AGAIN_AFTER = 60.0
"""Seconds until what was refused is judged again as it is: a list may become good by waiting."""

Marks = tuple[Stamp | None, ...]


@dataclass(slots=True)
class Watched:
    """Files that go live together."""

    about: dict[str, str]
    """Whose they are, for the log."""
    files: tuple[Path, ...]
    marks: Marks
    """As they are live."""
    trust: Trust | None = None
    pair: Certificate | None = None
    """What a pool shows backends, where it is no trust."""
    listener: int = -1
    policy: int = 0
    pool: str = ""
    refused: Marks = ()
    """As they were when they were refused last; (): they were not."""
    why: str = ""
    again_at: float = 0.0


class TrustWatch:
    """Looks after the files of the generation that serves; `look` it from time to time."""

    def __init__(
        self,
        serving: Callable[[], tuple[int, GenerationResources] | None],
        pipes: ChildPipes,
        forget: Callable[[KeyStore, Piece, float], None],
        wall: Callable[[], float] = time.time,
        stamp: Callable[[Path], Stamp | None] | None = None,
    ) -> None:
        """`serving`: number and resources of what clients meet; `forget`: wipes a piece of a store when everybody has read it;
        `stamp`: of a file, as it is now."""
        self._serving = serving
        self._pipes = pipes
        self._forget = forget
        self._wall = wall
        self._stamp = stamp or Stamp.at
        self._look_at = 0.0
        self._of: GenerationResources | None = None
        self._watched: tuple[Watched, ...] = ()

    def look(self, now: float) -> None:
        """Everything that is due. Raises nothing: what cannot be seen to is told, and tried again."""
        serving = self._serving()
        if now < self._look_at or serving is None or serving[1].keys is None:
            return
        self._look_at = now + LOOK_EVERY
        number, resources = serving
        if self._of is not resources:
            self._of, self._watched = resources, tuple(_watched(resources, serving[1].keys.stamps))
        changed = [(one, marks) for one in self._watched if self._differs(one, marks := self._marks(one.files), now)]
        settled = [(one, marks) for one, marks in changed if self._settled(marks)]
        if len(settled) < len(changed):
            self._look_at = now + SETTLING
        for one, marks, why, digests in self._judged(settled, resources):
            if not why:
                try:
                    self._renew(number, resources, one, digests, now)
                except (StartError, OSError) as error:
                    why = str(error)
                else:
                    continue
            self._refuse(one, marks, why, now)

    def _marks(self, files: Iterable[Path]) -> Marks:
        return tuple(map(self._stamp, files))

    def _differs(self, one: Watched, marks: Marks, now: float) -> bool:
        if marks == one.marks:
            one.refused, one.why = (), ""
            return False
        return marks != one.refused or now >= one.again_at

    def _settled(self, marks: Marks) -> bool:
        newest = max((mark.modified for mark in marks if mark is not None), default=0) / 1e9
        return not 0 <= self._wall() - newest < SETTLING

    def _judged(
        self, changed: Sequence[tuple[Watched, Marks]], resources: GenerationResources
    ) -> Iterator[tuple[Watched, Marks, str, dict[Path, bytes]]]:
        trusts = [(one, marks, one.trust) for one, marks in changed if one.trust is not None]
        pairs = [(one, marks, one.pair) for one, marks in changed if one.pair is not None]
        try:
            if trusts:
                found = judge_trust_apart([trust for _, _, trust in trusts], datetime.fromtimestamp(self._wall(), UTC))
                for (one, marks, _), verdict in zip(trusts, found, strict=True):
                    yield one, marks, verdict.why, verdict.digests
            if pairs:
                verdicts = judge_apart([pair for _, _, pair in pairs])
                for (one, marks, pair), each in zip(pairs, verdicts, strict=True):
                    yield one, marks, each.why, dict(zip((pair.cert, pair.key), each.digests, strict=True))
        except (StartError, OSError) as error:
            get_logger().error("certificate.unjudged", why=str(error))

    def _refuse(self, one: Watched, marks: Marks, why: str, now: float) -> None:
        again = one.refused == marks and one.why == why
        one.refused, one.why, one.again_at = marks, why, now + AGAIN_AFTER
        if not again:
            event = "trust.refused" if one.trust is not None else "certificate.refused"
            get_logger().warning(event, **one.about, why=why, then="the old ones stay")

    def _renew(
        self, number: int, resources: GenerationResources, one: Watched, digests: dict[Path, bytes], now: float
    ) -> None:
        """The generation has it from now on, and so have its children. Raises StartError, OSError; then all is as it was."""
        marks = self._marks(one.files)
        live = self._renew_pool if one.pool else self._renew_listener
        if not live(number, resources, one, digests, now):
            self._look_at = now + SETTLING  # somebody writes at it right now: the next look finds it
            return
        one.marks, one.refused, one.why = marks, (), ""
        resources.digests |= digests
        note_remarks(resources)
        event = "trust.renewed" if one.trust is not None else "certificate.renewed"
        get_logger().info(event, **one.about, files=[*map(str, one.files)])

    def _renew_listener(
        self, number: int, resources: GenerationResources, one: Watched, digests: dict[Path, bytes], now: float
    ) -> bool:
        """False: the files are not those that were judged."""
        listening, store = resources.listeners[one.listener], resources.keys
        before = listening.shown
        if openssl.functions() is None:
            raise StartError("this Python's OpenSSL is out of reach: lbproxy reload brings them in")
        if before is None or store is None:
            return False
        found = read_policy(listening.listen.tls.policies[one.policy], store)
        if found is None or any(store.digests.get(path) != digests[path] for path in one.files):
            return False
        authorities = (*before.authorities[: one.policy], found, *before.authorities[one.policy + 1 :])
        new = Edition(False, {}, authorities)
        piece = edition.write(store, new)
        shown = edition.applied(before, new, datetime.now(UTC))
        listeners = [*resources.listeners]
        listeners[one.listener] = listening._replace(shown=shown)
        resources.listeners = tuple(listeners)
        self._pipes.tell_workers(number, Renewed(one.listener, piece.offset, piece.size))
        old = before.authorities[one.policy]
        for waste in (piece, *(() if old is None else (old.piece, old.lists))):
            if waste is not None:
                self._forget(store, waste, now)
        return True

    def _renew_pool(
        self, number: int, resources: GenerationResources, one: Watched, digests: dict[Path, bytes], now: float
    ) -> bool:
        store, before = resources.keys, resources.pool_pems[one.pool]
        pool = resources.config.pool(one.pool)
        if store is None or pool.tls is None:
            return False
        with overwriting():
            if one.pair is not None:
                pems = before._replace(store=store, pair=contexts.read_pem(one.pair, store))
            else:
                ca, crl = contexts.read_pool_trust(pool.tls, store)
                pems = before._replace(store=store, ca=ca, crl=crl)
            if any(store.digests.get(path) != digest for path, digest in digests.items()):
                return False
            context = contexts.client_context(pool, pems)
        resources.pool_pems[pool.name] = pems
        resources.pool_contexts[pool.name] = context
        with closing(KeyStore()) as others:
            message = NewPoolFiles(pool.name, told(copied(pool, pems, context, others)))
            self._hand_out(number, message, others, checked=checked_by_tls(pool))
        pair = before.pair if one.pair is not None else None
        old = (before.ca, before.crl) if pair is None else (pair.cert, pair.key)
        for piece in old:
            if piece is not None:
                self._forget(before.store, piece, now)
        return True

    def _hand_out(self, number: int, message: NewPoolFiles, store: KeyStore, *, checked: bool) -> None:
        """To all who speak TLS to the pool's backends; `checked`: control does."""
        say = partial(MasterPipe.send_fd, message=message, descriptor=store.fileno())
        roles = (Role.WORKER, Role.CONTROL) if checked else (Role.WORKER,)
        for running in [*self._pipes.running.values()]:
            if running.generation == number and running.role in roles:
                try:
                    self._pipes.talk(running, say)
                except OSError as error:
                    get_logger().error("pool.not_told", pool=message.pool, pid=running.pid, why=error.strerror or str(error))


def _watched(resources: GenerationResources, stamps: Mapping[Path, Stamp]) -> Iterator[Watched]:
    """`stamps`: of the files when they were read."""

    def live(files: Iterable[Path]) -> Marks:
        return tuple(map(stamps.get, files))

    for index, listening in enumerate(resources.listeners):
        for number, policy in enumerate(listening.listen.tls.policies if listening.shown is not None else ()):
            trust = Trust(policy.client_ca, policy.client_crl)
            if policy.client_ca is not None:
                about = {"listener": str(listening.listen.address)}
                yield Watched(about, trust.files, live(trust.files), trust, listener=index, policy=number)
    for pool in resources.config.pools:
        if pool.tls is None:
            continue
        trust = Trust(pool.tls.ca if pool.tls.verify else None, pool.tls.crl)
        if trust.files:
            yield Watched({"pool": pool.name}, trust.files, live(trust.files), trust, pool=pool.name)
        pair = contexts.pool_pair(pool.tls)
        if pair is not None:
            source = pair.passphrase
            word = (Path(source.words[0]),) if source is not None and source.way == "file" else ()
            files = (pair.cert, pair.key, *word)
            marks = (*live(files[:2]), *map(Stamp.at, word))
            yield Watched({"pool": pool.name, "file": str(pair.cert)}, files, marks, pair=pair, pool=pool.name)
