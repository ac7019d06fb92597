"""The watch over certificate files: what was renewed on disk goes live in the workers, without a reload.

Every LOOK_EVERY seconds the files are looked at, by stat(2) alone (a symlink's target counts, as certbot swaps those). What is not
what was read is judged in a process apart (tls/apart.py) and read into the generation's store, and the workers are told where it
stands. It is pushed, and no generation is made of it: with many certificates some are renewed every hour, and each generation would
have tunnels and long downloads ended at its drain's limits.

A pair goes live when it is whole: a file that was just written is left to settle, what does not fit or cannot be read leaves the
old pair in place, which is told once. Of a folder, pairs that come and go are taken in and out likewise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from lbproxy.config.certificate_folder import pairs_in
from lbproxy.config.model import Certificate, Listen
from lbproxy.errors import StartError
from lbproxy.ipc.messages import CertificateDates, Renewed
from lbproxy.master.child_pipes import ChildPipes
from lbproxy.master.expiry import Expiry
from lbproxy.master.operator.certificates import dates
from lbproxy.master.prepare import GenerationResources, Listening, note_remarks
from lbproxy.observe.log import get_logger
from lbproxy.tls import edition
from lbproxy.tls.apart import judge_apart
from lbproxy.tls.contexts import Credentials, Held, held_of, read_pem
from lbproxy.tls.edition import Edition
from lbproxy.tls.keystore import KeyStore, Piece, Stamp

LOOK_EVERY = 2.0
SETTLING = 0.5
"""Seconds for which a file must have been as it is."""
MOST_AT_ONCE = 100
"""Pairs that are judged in one look; the others wait for the next."""
FEW = 1000
"""Pairs of a listener up to which a folder is listed at each look; a larger one when something has just come into it, or left."""
LIST_EVERY = 10.0
EXPIRY_EVERY = 60.0
KEPT = 15.0
"""Seconds for which the old pair stays in the store: a worker that has not heard of the new one by then is silent, and replaced."""

Marks = tuple[Stamp | None, ...]
"""Of certificate, key, and the file of the passphrase, if it has one."""


class Change(NamedTuple):
    """A pair that is not what is shown."""

    place: int
    """Its number; -1: a new one."""
    files: Certificate
    marks: Marks


class CertificateWatch:
    """Looks after the files of the generation that serves; `look` it from time to time."""

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
        self._list_at = 0.0
        self._of: GenerationResources | None = None
        self._live: list[dict[Certificate, Marks]] = []
        """By listener: certificate and key of each pair that it shows, as they were read. Several may show one pair."""
        self._refused: dict[tuple[int, Certificate], Marks] = {}
        """By listener and pair."""
        self._waste: list[tuple[float, KeyStore, Piece]] = []
        self._expiry = Expiry()
        self._expiry_at = 0.0
        self._changes = 0
        self._dates_told: tuple[object, ...] = ()

    def next_deadline(self) -> float:
        """When it wants to be looked after, monotonic seconds."""
        return self._look_at

    def look(self, now: float) -> None:
        """Everything that is due. Raises nothing: what cannot be seen to is told, and tried again."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        self._wipe(now)
        serving = self._serving()
        if serving is None or serving[1].keys is None:
            return
        number, resources = serving
        if self._of is not resources:
            self._of, self._live, self._refused = resources, _live(resources, serving[1].keys.stamps), {}
        whole_list = now >= self._list_at
        if whole_list:
            self._list_at = now + LIST_EVERY
        for index, listening in enumerate(resources.listeners):
            if listening.shown is not None:
                self._look_at_listener(number, resources, index, listening, now, whole_list)
        self._tell_dates(number, resources, now)

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

    def _look_at_listener(
        self, number: int, resources: GenerationResources, index: int, listening: Listening, now: float, whole_list: bool
    ) -> None:
        shown, store = listening.shown, resources.keys
        assert shown is not None
        assert store is not None
        files = [one.pem.files for one in shown.held]
        if whole_list:
            self._refused = {key: marks for key, marks in self._refused.items() if os.path.lexists(key[1].cert)}
        gone, come = self._listed(listening.listen, files, whole_list)
        changed: list[Change] = []
        for place, pair in [*enumerate(files), *((-1, pair) for pair in come)]:
            marks = (Stamp.at(pair.cert), Stamp.at(pair.key), *_of_passphrase(pair))
            if place >= 0 and pair not in gone and marks[:2] == self._live[index].get(pair):
                self._forgive(index, pair, resources.refused)
            elif pair not in gone and self._refused.get((index, pair)) != marks:
                changed.append(Change(place, pair, marks))
        settled = [one for one in changed if self._settled(one.marks)]
        if len(settled) < len(changed) or len(changed) > MOST_AT_ONCE:
            self._look_at = now + SETTLING
        fresh = self._judged(index, settled[:MOST_AT_ONCE], store, resources)
        if not fresh and not gone:
            return
        if gone and len(gone) == len(files) and all(one.place >= 0 for one, _ in fresh):
            return  # a folder that is empty, or not mounted, for a moment: whoever is shown serves on
        self._go_live(number, resources, index, _edition(shown, fresh, gone), now)
        for one, held in fresh:
            what = "certificate.renewed" if one.place >= 0 else "certificate.added"
            until = f"{held.candidate.end:%Y-%m-%dT%H:%M:%SZ}"
            where = str(listening.listen.address)
            get_logger().info(what, listener=where, file=str(one.files.cert), names=_names(held), until=until)
        for pair in gone:
            self._live[index].pop(pair, None)
            get_logger().info("certificate.removed", listener=str(listening.listen.address), file=str(pair.cert))

    def _listed(self, listen: Listen, files: Sequence[Certificate], whole_list: bool) -> tuple[set[Certificate], list[Certificate]]:
        """Of a folder: what is no longer there, and what is new."""
        if listen.folder is None or (len(files) > FEW and not whole_list and not self._busy(listen.folder)):
            return set(), []
        try:
            there = pairs_in(listen.folder, listen.folder_key_mode, listen.folder_passphrase).pairs
        except OSError:
            return set(), []
        known = set(files)
        come = [pair for pair in there if pair not in known]
        # A file that is being swapped is not there for a moment: only what is gone altogether is taken out.
        gone = {pair for pair in known - set(there) if not os.path.lexists(pair.cert) and not os.path.lexists(pair.key)}
        return gone, come

    def _busy(self, folder: Path) -> bool:
        """What a folder made in it gets is seen as well: a tool is done with that within the time of a whole list."""
        try:
            return abs(self._wall() - os.stat(folder).st_mtime) < LIST_EVERY
        except OSError:
            return False

    def _settled(self, marks: Marks) -> bool:
        newest = max((mark.modified for mark in marks if mark is not None), default=0) / 1e9
        return not 0 <= self._wall() - newest < SETTLING

    def _judged(
        self, index: int, changed: Sequence[Change], store: KeyStore, resources: GenerationResources
    ) -> list[tuple[Change, Held]]:
        """Those that may be shown, read into the store; the others are told of, once for each state of their files."""
        if not changed:
            return []
        refused, vault = resources.refused, resources.vault
        try:
            verdicts = judge_apart([one.files for one in changed], isolated=vault is not None)
        except (StartError, OSError) as error:
            get_logger().error("certificate.unjudged", why=str(error))
            return []
        good: list[tuple[Change, Held]] = []
        for one, verdict in zip(changed, verdicts, strict=True):
            why = verdict.why
            if not why:
                try:
                    held = held_of(read_pem(one.files, store, vault))
                    if verdict.digests == (store.digests[one.files.cert], store.digests[one.files.key]):
                        good.append((one, held))
                        self._live[index][one.files] = (store.stamps[one.files.cert], store.stamps[one.files.key])
                        self._forgive(index, one.files, refused)
                    # else somebody writes at it right now: the next look finds it
                    continue
                except StartError as error:
                    why = str(error)
            self._refuse(index, one, why, refused)
        return good

    def _refuse(self, index: int, one: Change, why: str, refused: dict[Certificate, str]) -> None:
        self._refused[index, one.files] = one.marks
        if refused.get(one.files) == why:
            return  # another listener shows it as well
        refused[one.files] = why
        then = "the old one stays" if one.place >= 0 else "it is left out"
        get_logger().warning("certificate.refused", file=str(one.files.cert), why=why, then=then)

    def _forgive(self, index: int, pair: Certificate, refused: dict[Certificate, str]) -> None:
        self._refused.pop((index, pair), None)
        refused.pop(pair, None)

    def _go_live(self, number: int, resources: GenerationResources, index: int, new: Edition, now: float) -> None:
        """The generation has it from now on, and so have its workers: those that live are told, others inherit it."""
        listening, store = resources.listeners[index], resources.keys
        assert listening.shown is not None
        assert store is not None
        piece = edition.write(store, new)
        before = listening.shown
        shown = edition.applied(before, new, datetime.now(UTC))
        listed = tuple(one.pem.files for one in shown.held) if listening.listen.listed else ()
        listen = replace(listening.listen, listed=listed)
        listeners = [*resources.listeners]
        listeners[index] = listening._replace(listen=listen, shown=shown._replace(listen=listen))
        resources.listeners = tuple(listeners)
        config = resources.config
        resources.config = replace(config, listen=tuple(one.listen for one in listeners))
        for one in new.held.values():
            resources.digests |= {path: store.digests[path] for path in (one.pem.files.cert, one.pem.files.key)}
        note_remarks(resources)
        kept = {each for one in shown.held for each in one.pem.pieces()}
        old = [each for one in before.held for each in one.pem.pieces() if each not in kept]
        self._waste += [(now + KEPT, *each) for each in (*old, (store, piece))]
        self._changes += 1
        self._expiry_at = now
        self._pipes.tell_workers(number, Renewed(index, piece.offset, piece.size))

    def forget(self, store: KeyStore, piece: Piece, now: float) -> None:
        """Wipe it when everybody has read it."""
        self._waste.append((now + KEPT, store, piece))

    def _wipe(self, now: float) -> None:
        for due, store, piece in self._waste:
            if due <= now and store.fileno() >= 0:  # else its generation is gone, and with it all that was there
                store.wipe(piece)
        self._waste = [one for one in self._waste if one[0] > now]


def _edition(shown: Credentials, fresh: Sequence[tuple[Change, Held]], gone: set[Certificate]) -> Edition:
    """Pairs that came or went change all numbers; a renewed one has that of the old one."""
    renewed = {one.place: held for one, held in fresh if one.place >= 0}
    come = [held for one, held in fresh if one.place < 0]
    if not gone and not come:
        return Edition(False, renewed)
    held = [renewed.get(index, one) for index, one in enumerate(shown.held) if one.pem.files not in gone]
    in_order = sorted([*held, *come], key=lambda one: one.pem.files.cert)
    return Edition(True, dict(enumerate(in_order)))


def _names(held: Held) -> list[str]:
    return [*held.candidate.names.dns, *held.candidate.names.ips][:10]


def _of_passphrase(pair: Certificate) -> Marks:
    """A pair that did not open is tried again when that changes."""
    source = pair.passphrase
    return (Stamp.at(Path(source.words[0])),) if source is not None and source.way == "file" else ()


def _live(resources: GenerationResources, stamps: Mapping[Path, Stamp]) -> list[dict[Certificate, Marks]]:
    """As they were when the generation read them: by the stamps of then."""
    shown = [() if one.shown is None else one.shown.held for one in resources.listeners]
    return [{one.pem.files: tuple(map(stamps.get, (one.pem.files.cert, one.pem.files.key))) for one in held} for held in shown]
