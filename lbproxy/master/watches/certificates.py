"""The judge of certificate files: what was renewed on disk goes live in the workers, without a reload.

What differs (files/watch.py) is judged and read in a process apart, taken into the generation's store, and the workers are told
where it stands. It is pushed, and no generation is made of it: with many certificates some are renewed every hour, and each
generation would have tunnels and long downloads ended at its drain's limits.

A pair goes live when it is whole; what does not fit or cannot be read leaves the old pair in place, which is told once. Of a
folder, pairs that come and go are taken in and out likewise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lbproxy.config.model import CertificateConfig, ListenConfig
from lbproxy.ipc.messages import CertificateDates, Renewed
from lbproxy.master.files.looks import LOOK_EVERY, Difference, Files, Group, Marks, PairFolder
from lbproxy.master.files.watch import Batch
from lbproxy.master.operator.certificates import dates
from lbproxy.master.processes.child_pipes import ChildPipes
from lbproxy.master.resources.generation import GenerationResources, note_remarks
from lbproxy.master.watches.expiry import Expiry
from lbproxy.observe.log import get_logger
from lbproxy.tls import edition, rereading
from lbproxy.tls.contexts import Credentials, HeldPair
from lbproxy.tls.edition import Edition
from lbproxy.tls.keystore import KeyStore, Piece, Stamp
from lbproxy.tls.rereading import Reread

MOST_AT_ONCE = 100
"""Pairs that one process reads; the others wait for the next."""
EXPIRY_EVERY = 60.0
KEPT = 15.0
"""Seconds for which the old pair stays in the store: a worker that has not heard of the new one by then is silent, and replaced."""


class PairChange(NamedTuple):
    """A pair that is not what a listener shows."""

    listener: int
    """Its number."""
    pair: CertificateConfig
    marks: Marks


class CertificateWatch:
    """Responsible for what listeners of the generation that serves show; `look` from time to time, too."""

    def __init__(
        self,
        serving: Callable[[], tuple[int, GenerationResources] | None],
        pipes: ChildPipes,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`serving`: number and resources of what clients meet."""
        self._pipes = pipes
        self._serving = serving
        self._wall = wall
        self._look_at = 0.0
        self._number = 0
        self._resources: GenerationResources | None = None
        self._live: list[dict[Files, tuple[CertificateConfig, Marks]]] = []
        """By listener and files of a pair that it shows: the pair, and marks of certificate and key as they were read. Several may
        show one pair."""
        self._refused: dict[tuple[int, Files], Marks] = {}
        self._pending: dict[tuple[PairFolder | None, Files], Marks] = {}
        """What differs, and was not read yet."""
        self._gone: set[tuple[PairFolder, Files]] = set()
        self._waste: list[tuple[float, KeyStore, Piece]] = []
        self._expiry = Expiry()
        self._expiry_at = 0.0
        self._changes = 0
        self._dates_told: tuple[object, ...] = ()

    def look(self, now: float) -> None:
        """What is due beside files."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        self._wipe(now)
        serving = self._serving()
        if serving is not None and serving[1].keys is not None:
            self._tell_dates(*serving, now)

    # ---- as a Judge

    def begin(self, number: int, resources: GenerationResources) -> None:
        """Another generation serves, with its files as they were when it read them."""
        self._number, self._resources = number, resources
        assert resources.keys is not None
        self._live = _live(resources, resources.keys.stamps)
        self._refused, self._pending, self._gone = {}, {}, set()

    def watched(self) -> Iterator[Group]:
        """All pairs that are shown."""
        for listen, live in zip(self._listens(), self._live, strict=True):
            folder = _folder(listen)
            for files, (_, marks) in live.items():
                yield Group(files, (*marks, *(None for _ in files[2:])), folder)

    def folders(self) -> Iterator[PairFolder]:
        """Those of listeners that have one."""
        yield from (folder for listen in self._listens() if (folder := _folder(listen)) is not None)

    def noted(self, difference: Difference) -> None:
        """Of a pair that is shown, or of a folder."""
        folder, files, marks = difference.folder, difference.files, difference.marks
        if folder is None and not any(files in live for live in self._live):
            return
        if folder is not None:
            self._gone.discard((folder, files))
            if not marks:
                self._pending.pop((folder, files), None)
                self._gone.add((folder, files))
                self._refused = {key: marks for key, marks in self._refused.items() if key[1] != files}
                return
        self._pending[folder, files] = marks

    def batch(self, now: float, free: Callable[[Files], bool]) -> Batch | None:
        """Pairs that are to be judged and read; what has gone needs neither."""
        resources = self._resources
        if resources is None or resources.keys is None:
            return None
        self._take_out(now)
        changes: list[PairChange] = []
        some: dict[CertificateConfig, None] = {}
        for (folder, files), marks in [*self._pending.items()]:
            found = [*self._changes_of(folder, files, marks)]
            if not found:
                del self._pending[folder, files]
            elif free(files) and len(some) < MOST_AT_ONCE:
                changes += found
                some |= dict.fromkeys(one.pair for one in found)
        if not some:
            return None
        pairs = [*some]
        work = partial(rereading.pairs, pairs, isolated=resources.vault is not None)
        return Batch(len(pairs), work, partial(self._done, resources, pairs, changes))

    def _listens(self) -> Sequence[ListenConfig]:
        return () if self._resources is None else [one.listen for one in self._resources.listeners]

    def _changes_of(self, folder: PairFolder | None, files: Files, marks: Marks) -> Iterator[PairChange]:
        """By listener, unless it shows, or has refused, just that."""
        assert self._resources is not None
        for index, listening in enumerate(self._resources.listeners):
            if listening.shown is None or _folder(listening.listen) != folder:
                continue
            pair, live = self._live[index].get(files) or (_pair(listening.listen, files), ())
            if folder is None and not live:
                continue
            if live and marks[:2] == live:
                self._forgive(index, files, pair)
            elif self._refused.get((index, files)) != marks:
                yield PairChange(index, pair, marks)

    def _done(
        self, resources: GenerationResources, pairs: Sequence[CertificateConfig], changes: Sequence[PairChange], told: Any,
        inbox: KeyStore, now: float,
    ) -> None:  # fmt: skip
        """What can be shown is shown; the others are told of, once for each state of their files. What somebody writes at right now
        is read again."""
        if resources is not self._resources:
            return
        verdicts = {pair: Reread.of(*each) for pair, each in zip(pairs, told, strict=True)}
        fresh: dict[int, dict[CertificateConfig, HeldPair]] = {}
        for one in changes:
            verdict, files = verdicts[one.pair], _files(one.pair)
            if verdict.why:
                self._refuse(one, verdict.why, resources.refused)
            elif verdict.told is not None:
                fresh.setdefault(one.listener, {})[one.pair] = self._taken(resources, one, verdict, inbox)
                self._forgive(one.listener, files, one.pair)
            at = _folder(resources.listeners[one.listener].listen), files
            if (verdict.why or verdict.told is not None) and self._pending.get(at) == one.marks:
                del self._pending[at]
        for index, held in fresh.items():
            self._go_live(resources, index, held, set(), now)
        self._take_out(now)

    def _taken(self, resources: GenerationResources, one: PairChange, verdict: Reread, inbox: KeyStore) -> HeldPair:
        assert resources.keys is not None
        held = rereading.pair_of(verdict, one.pair, inbox, resources.keys, resources.vault)
        marks = tuple(verdict.stamps.get(path) for path in (one.pair.cert, one.pair.key))
        self._live[one.listener][_files(one.pair)] = (one.pair, marks)
        return held

    def _take_out(self, now: float) -> None:
        """Pairs that have gone from their folder; not all of them at once."""
        resources = self._resources
        if resources is None or not self._gone:
            return
        for index, listening in enumerate(resources.listeners):
            folder = _folder(listening.listen)
            gone = {self._live[index][files][0] for at, files in self._gone if at == folder and files in self._live[index]}
            if gone and len(gone) < len(self._live[index]):
                # else it is a folder that is empty, or not mounted, for a moment: whoever is shown serves on
                self._go_live(resources, index, {}, gone, now)
        shown = [(_folder(listen), live) for listen, live in zip(self._listens(), self._live, strict=True)]
        self._gone = {(at, files) for at, files in self._gone if any(at == folder and files in live for folder, live in shown)}

    def _tell_dates(self, number: int, resources: GenerationResources, now: float) -> None:
        """To the log what ends, and to control, which has pages and metrics, when."""
        if now >= self._expiry_at:
            self._expiry_at = now + EXPIRY_EVERY
            held = [one for listening in resources.listeners if listening.shown is not None for one in listening.shown.held]
            for one, days in self._expiry.due(held, datetime.fromtimestamp(self._wall(), UTC)):
                event = "certificate.expired" if days == 0 else "certificate.expires"
                until = f"{one.candidate.end:%Y-%m-%dT%H:%M:%SZ}"
                get_logger().warning(event, file=str(one.pem.files.cert), names=_names(one), until=until, days=days)
        control = self._pipes.control_of(number)
        about = (number, control and control.pid, self._changes)
        if control is not None and about != self._dates_told:
            self._dates_told = about
            self._pipes.tell(control.row, CertificateDates(dates(resources.listeners)))

    def _refuse(self, one: PairChange, why: str, refused: dict[CertificateConfig, str]) -> None:
        files = _files(one.pair)
        self._refused[one.listener, files] = one.marks
        if refused.get(one.pair) == why:
            return  # another listener shows it as well
        refused[one.pair] = why
        then = "the old one stays" if files in self._live[one.listener] else "it is left out"
        get_logger().warning("certificate.refused", file=str(one.pair.cert), why=why, then=then)

    def _forgive(self, index: int, files: Files, pair: CertificateConfig) -> None:
        self._refused.pop((index, files), None)
        if self._resources is not None:
            self._resources.refused.pop(pair, None)

    def _go_live(
        self,
        resources: GenerationResources,
        index: int,
        fresh: Mapping[CertificateConfig, HeldPair],
        gone: set[CertificateConfig],
        now: float,
    ) -> None:
        """The generation has it from now on, and so have its workers: those that live are told, others inherit it."""
        listening, store = resources.listeners[index], resources.keys
        before = listening.shown
        assert before is not None
        assert store is not None
        places = {one.pem.files: place for place, one in enumerate(before.held)}
        new = _edition(before, places, fresh, gone)
        piece = edition.write(store, new)
        shown = edition.applied(before, new, datetime.now(UTC))
        listed = tuple(one.pem.files for one in shown.held) if listening.listen.listed else ()
        listen = replace(listening.listen, listed=listed)
        listeners = [*resources.listeners]
        listeners[index] = listening._replace(listen=listen, shown=shown._replace(listen=listen))
        resources.listeners = tuple(listeners)
        resources.config = replace(resources.config, listen=tuple(one.listen for one in listeners))
        for one in new.held.values():
            resources.digests |= {path: store.digests[path] for path in (one.pem.files.cert, one.pem.files.key)}
        note_remarks(resources)
        kept = {each for one in shown.held for each in one.pem.pieces()}
        old = [each for one in before.held for each in one.pem.pieces() if each not in kept]
        self._waste += [(now + KEPT, *each) for each in (*old, (store, piece))]
        self._changes += 1
        self._expiry_at = now
        self._pipes.tell_workers(self._number, Renewed(index, piece.offset, piece.size))
        where = str(listening.listen.address)
        for pair, held in fresh.items():
            what = "certificate.renewed" if pair in places else "certificate.added"
            until = f"{held.candidate.end:%Y-%m-%dT%H:%M:%SZ}"
            get_logger().info(what, listener=where, file=str(pair.cert), names=_names(held), until=until)
        for pair in gone:
            self._live[index].pop(_files(pair), None)
            get_logger().info("certificate.removed", listener=where, file=str(pair.cert))

    def forget(self, store: KeyStore, piece: Piece, now: float) -> None:
        """Wipe it when everybody has read it."""
        self._waste.append((now + KEPT, store, piece))

    def _wipe(self, now: float) -> None:
        for due, store, piece in self._waste:
            if due <= now and store.fileno() >= 0:  # else its generation is gone, and with it all that was there
                store.wipe(piece)
        self._waste = [one for one in self._waste if one[0] > now]


def _edition(
    shown: Credentials,
    places: Mapping[CertificateConfig, int],
    fresh: Mapping[CertificateConfig, HeldPair],
    gone: set[CertificateConfig],
) -> Edition:
    """Pairs that came or went change all numbers; a renewed one has that of the old one."""
    renewed = {places[pair]: held for pair, held in fresh.items() if pair in places}
    come = [held for pair, held in fresh.items() if pair not in places]
    if not gone and not come:
        return Edition(False, renewed)
    held = [renewed.get(index, one) for index, one in enumerate(shown.held) if one.pem.files not in gone]
    in_order = sorted([*held, *come], key=lambda one: one.pem.files.cert)
    return Edition(True, dict(enumerate(in_order)))


def _names(held: HeldPair) -> list[str]:
    return [*held.candidate.names.dns, *held.candidate.names.ips][:10]


def _files(pair: CertificateConfig) -> Files:
    """With the file of its passphrase: one that did not open is tried again when that changes."""
    return (str(pair.cert), str(pair.key), *_beside(pair))


def _beside(pair: CertificateConfig) -> Files:
    source = pair.passphrase
    return (source.words[0],) if source is not None and source.way == "file" else ()


def _pair(listen: ListenConfig, files: Files) -> CertificateConfig:
    """Of its folder."""
    return CertificateConfig(Path(files[0]), Path(files[1]), listen.folder_key_mode, listen.folder_passphrase)


def _folder(listen: ListenConfig) -> PairFolder | None:
    if listen.folder is None:
        return None
    return PairFolder(str(listen.folder), _beside(CertificateConfig(Path(), Path(), passphrase=listen.folder_passphrase)))


def _live(resources: GenerationResources, stamps: Mapping[Path, Stamp]) -> list[dict[Files, tuple[CertificateConfig, Marks]]]:
    """As they were when the generation read them: by the stamps of then."""
    shown = [() if one.shown is None else one.shown.held for one in resources.listeners]
    return [
        {_files(pair): (pair, (stamps.get(pair.cert), stamps.get(pair.key))) for pair in (one.pem.files for one in held)}
        for held in shown
    ]
