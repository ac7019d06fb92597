"""The steps of routes that ask who a client is and whether its requests may pass, as a worker's objects."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from lbproxy.balance.ledger import Scalar, scalar_at
from lbproxy.balance.path_tally import PathTally
from lbproxy.balance.tally import Tally
from lbproxy.config import model
from lbproxy.config.model import BasicAuthConfig, ClientLimitConfig, Config, Document, JwtConfig, KeySet, RouteConfig, WafConfig
from lbproxy.filter.limiter import Limiter, LimiterMemory
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import KeysWanted
from lbproxy.net.capture_files import CaptureFiles, wall_clock
from lbproxy.net.inspector_link import InspectorLink
from lbproxy.net.password_thread import PasswordThread
from lbproxy.net.tap_link import Alarm, TapLink
from lbproxy.observe.log import Noisy
from lbproxy.observe.metrics import INSPECTIONS
from lbproxy.observe.tapped import Tapped
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.icap.server import Tell
from lbproxy.proxy.steps.authorize import Authorize, Count
from lbproxy.proxy.steps.basic_auth import BasicAuth as BasicAuthStep
from lbproxy.proxy.steps.basic_auth import Verify
from lbproxy.proxy.steps.folded_path import folded
from lbproxy.proxy.steps.icap import Icap
from lbproxy.proxy.steps.jwt import Jwt as JwtStep
from lbproxy.proxy.steps.mirror import ComparedAnswer, Differs, Mirror, differing
from lbproxy.proxy.steps.step import Step
from lbproxy.proxy.steps.tap import Take, Tap
from lbproxy.proxy.steps.waf import WafStep
from lbproxy.proxy.steps.waf_asking import Copies, Inspectors, Told
from lbproxy.waf.messages import WafVerdict

Renew = Callable[[bytes], None]
WISH_EVERY = 1.0
"""Seconds, of each set of keys."""


class Documents:
    """What a worker's steps go by, and who is to be told of a new one."""

    def __init__(self, config: Config, contents: Sequence[bytes]) -> None:
        """`contents`: of the configuration's documents, by number; then of its sets of keys."""
        self._all: tuple[Document | KeySet, ...] = (*config.documents, *config.key_sets)
        self._contents = list(contents)
        self._followers: list[list[Renew]] = [[] for _ in self._all]

    def follow(self, document: Document | KeySet, renew: Renew) -> None:
        """Told what it holds now, and whenever that changes."""
        number = self._all.index(document)
        self._followers[number].append(renew)
        if number < len(self._contents):
            renew(self._contents[number])

    def renew(self, number: int, content: bytes) -> None:
        """It holds something else from now on."""
        for renew in self._followers[number] if number < len(self._followers) else ():
            renew(content)


class KeyWishes:
    """Tells the master of sets of keys that lack one, now and then: strangers make tokens that name any key."""

    def __init__(self, send: Callable[[KeysWanted], None], clock: Callable[[], float]) -> None:
        self._send = send
        self._clock = clock
        self._told: dict[str, float] = {}

    def wish(self, name: str) -> None:
        """Of that set."""
        now = self._clock()
        if now - self._told.get(name, -WISH_EVERY) >= WISH_EVERY:
            self._told[name] = now
            self._send(KeysWanted(name))


class Means(NamedTuple):
    """What such steps are made with."""

    told: Count
    """What they make of requests."""
    documents: Documents | None = None
    memory: LimiterMemory | None = None
    """What limits count in."""
    verify: Verify | None = None
    """Checks a password; None: nobody is asked for one."""
    differs: Differs = lambda path, own, other: None
    """Told where a mirror answers otherwise."""
    wanted: Callable[[str], None] = lambda name: None
    """Told of a set of keys, by name, that lacks one."""
    suspended: Tell = lambda why: None
    """Told that ICAP servers are left alone, and why."""
    taps: Mapping[str, tuple[model.TapConfig, Take]] = MappingProxyType({})
    """By name, and who gets their conversations."""
    wafs: tuple[WafConfig, ...] = ()
    """Sets of rules, by number."""
    inspectors: Inspectors | None = None
    attacked: Told = lambda path, client, verdict: None
    """Told of requests in which rules found something, or in the answers to them."""
    copies: Copies | None = None
    """Room for what is copied to be looked at. None: each route has its own."""
    no_verdict: Tell = lambda why: None
    """Told of messages that ICAP servers have told no verdict about, and why."""
    settle: Callable[[float], None] = lambda until: None
    """Waits until taps have passed on what they have, or until that moment: the process is about to end."""
    mirror_left: Tell = lambda why: None
    """Told that a mirror is left alone, and why."""


NO_MEANS = Means(lambda step, outcome: None)


def make_means(
    handover: Handover, documents: Documents, memory: LimiterMemory, noisy: Noisy, send: Callable[[KeysWanted], None], alarm: Alarm
) -> Means:
    """In a worker; `send`: tells the master; `alarm`: calls something in so many seconds.

    The thread is there where a route asks for passwords, and lives as long as the process.
    """
    cells, begin = handover.ledger.cells, scalar_at(handover.child, Scalar.INSPECTED)
    places = {kind: begin + number for number, kind in enumerate(INSPECTIONS)}

    def count(step: str, outcome: str) -> None:
        cells[places[step, outcome]] += 1

    differences = PathTally(cells, scalar_at(handover.child, Scalar.MIRRORED))

    def differs(path: str, own: ComparedAnswer, other: ComparedAnswer) -> None:
        noisy.info("mirror.differs", path=path, own=own._asdict(), mirror=other._asdict())
        differences.count(folded(path), differing(own, other), settle=own.status // 100 != 4 or other.status // 100 != 4)

    hits = Tally(cells, scalar_at(handover.child, Scalar.RULE_HITS))

    def attacked(path: str, client: str, verdict: WafVerdict) -> None:
        for rule, _ in verdict.rules:
            hits.count(int(rule))
        rules = [f"{rule}@{variable}" if variable else rule for rule, variable in verdict.rules]
        noisy.warning("waf.found", path=path, client=client, blocked=verdict.blocked, score=verdict.score, rules=rules)

    def suspended(why: str) -> None:
        noisy.warning("icap.suspended", why=why, then="left alone for a while")

    def mirror_left(why: str) -> None:
        noisy.warning("mirror.suspended", why=why, then="one request a second tries it")

    def no_verdict(why: str) -> None:
        noisy.warning("icap.no_verdict", why=why)

    wishes = KeyWishes(send, time.monotonic)
    passwords = any(route.basic_auth is not None for route in handover.config.routes)
    verify = PasswordThread().verify if passwords else None
    wafs, looks = handover.config.wafs, handover.inspectors
    under_way, unanswered = (scalar_at(handover.child, scalar) for scalar in (Scalar.INSPECTED_NOW, Scalar.UNANSWERED))

    def waiting(number: int, late: bool) -> None:
        cells[under_way] = number
        cells[unanswered] += late

    link = None if looks is None else InspectorLink(looks, waiting)
    taps, settle = make_taps(handover, count, alarm)
    return Means(
        count, documents, memory, verify, differs, wishes.wish, suspended, taps, wafs, link, attacked, Copies(), no_verdict, settle,
        mirror_left,
    )  # fmt: skip


TapsByName = dict[str, tuple[model.TapConfig, Take]]


def make_taps(handover: Handover, count: Count, alarm: Alarm) -> tuple[TapsByName, Callable[[float], None]]:
    """Those that a route names, each with files with a thread of its own; and Means.settle."""
    wanted = {route.tap for route in handover.config.routes}
    lock = threading.Lock()

    def lost() -> None:
        with lock:
            count("tap", "lost")

    taps = [settings for settings in handover.config.taps if settings.name in wanted]
    link = None
    if handover.tap_link is not None and (rooms := [settings.queue for settings in taps if settings.sinks]):
        link = TapLink(handover.tap_link, max(rooms), lost, alarm)
    opened = ((settings, handover.taps.get(settings.name, ())) for settings in taps)
    files = {settings.name: CaptureFiles(fds, settings.file_size, settings.queue, lost) for settings, fds in opened if fds}

    def settle(until: float) -> None:
        for each in (*files.values(), *(() if link is None else (link,))):
            each.settle(until)

    return {settings.name: (settings, _tapped_into(settings, files.get(settings.name), link)) for settings in taps}, settle


def _tapped_into(settings: model.TapConfig, files: CaptureFiles | None, link: TapLink | None) -> Take:
    into_files, sent_on = settings.folder is not None, bool(settings.sinks)

    def take(client: str, server: str, port: int, request: bytes, answer: bytes) -> bool:
        tapped = Tapped(client, server, port, request, answer, wall_clock())
        taken = not into_files or (files is not None and files.take(tapped))
        return (not sent_on or (link is not None and link.take(settings.name, tapped))) and taken

    return take


def inspections(route: RouteConfig, means: Means, asked: Callable[[str, float], Destination]) -> list[Step]:
    """Those of one route, in order. `asked`: a pool by name as it gets requests of our own, which take so many seconds at most."""
    found: list[Step] = []
    if route.tap:  # first: it tells of what others refuse, too, and of answers as backends give them
        found.append(Tap(*means.taps[route.tap], means.told, inspects=route.inspects))
    if route.basic_auth is not None:
        found.append(_basic_auth(route, route.basic_auth, means))
    if route.jwt is not None:
        found.append(_jwt(route, route.jwt, means))
    if route.authorize is not None:
        found.append(Authorize(route.authorize, asked(route.authorize.pool, route.authorize.timeout), means.told))
    if route.waf is not None:  # behind those who say who it is: strangers cost nothing more than that
        assert means.inspectors is not None
        found.append(WafStep(route.waf, means.wafs.index(route.waf), means.inspectors, means.told, means.attacked, means.copies))
    if route.icap is not None:
        found.append(Icap(route.icap, asked(route.icap.pool, route.icap.timeout), means.told, means.suspended, means.no_verdict))
    if route.mirror is not None:  # last: what others refuse is not mirrored
        asked_as_well = asked(route.mirror.pool, route.mirror.timeout)
        found.append(Mirror(route.mirror, asked_as_well, means.told, means.differs, means.mirror_left))
    return found


def _jwt(route: RouteConfig, settings: JwtConfig, means: Means) -> Step:
    assert means.documents is not None
    keys = settings.key_set
    step = JwtStep(settings, means.told) if keys is None else JwtStep(settings, means.told, partial(means.wanted, keys.name))
    if keys is not None:
        means.documents.follow(keys, step.renew)
    for document in route.documents:
        if document.kind == "jwks":
            means.documents.follow(document, step.renew)
    return step


def _basic_auth(route: RouteConfig, settings: BasicAuthConfig, means: Means) -> Step:
    assert means.memory is not None
    assert means.verify is not None
    assert means.documents is not None
    limiters = (
        Limiter(f"basic_auth addresses {route.name}", ClientLimitConfig(settings.rate), means.memory),
        Limiter(f"basic_auth users {route.name}", ClientLimitConfig(settings.user_rate), means.memory),
    )
    step = BasicAuthStep(settings, means.verify, limiters, means.told)
    for document in route.documents:
        if document.kind == "htpasswd":
            means.documents.follow(document, step.renew)
    return step
