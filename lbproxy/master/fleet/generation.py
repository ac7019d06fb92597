"""A configuration brought to life: its posts and the children that fill them. Values of the fleet (fleet.py), which alone acts on
them.

Stages: STARTING --all workers Ready--> SERVING --a newer one serves, or the end--> RETIRING --nobody left--> (forgotten).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import Enum

from lbproxy.balance.ledger import RETIRED
from lbproxy.ipc.messages import Heartbeat
from lbproxy.master.fleet.child import FOREVER, Child, Phase, Role
from lbproxy.master.fleet.events import Fact, FleetTerms

BACK_OFF_FIRST = 0.1
BACK_OFF_MOST = 5.0
FULL_PAUSE = 1.0
"""Seconds until a post that found no row of the ledger free is tried again."""
LIVED = 5.0
"""Seconds of service that clear a post's score."""


class GenerationStage(Enum):
    """The stage of a generation's life."""

    STARTING = "starting"
    SERVING = "serving"
    RETIRING = "retiring"  # its posts are not filled any more


def worn_out(terms: FleetTerms, beat: Heartbeat) -> str:
    """Why a worker should be replaced, in words; "": it need not."""
    if terms.memory and beat.rss_kib > terms.memory:
        return f"{beat.rss_kib} KiB of memory, {terms.memory} are allowed"
    if terms.requests and beat.requests >= terms.requests:
        return f"{beat.requests} requests served, {terms.requests} are a worker's share"
    return ""


def vacancy(taken: Collection[int], role: Role) -> int | None:
    """A row for one more child; None: as many live as the ledger has rows. Workers from the bottom, control from the top: whoever
    adds up the workers' rows need not read control's."""
    rows = range(RETIRED) if role is Role.WORKER else reversed(range(RETIRED))
    return next((row for row in rows if row not in taken), None)


@dataclass(slots=True)
class Post:
    """A place to be filled. `fill_at`: when, monotonic seconds; while nobody is due, FOREVER."""

    role: Role
    worker: int
    child: Child | None = None
    successor: Child | None = None
    """Started to take over from a child that is still serving."""
    fill_at: float = FOREVER
    failures: int = 0

    def back_off(self, lived: float) -> float:
        """Seconds until it is filled again, after a child that served for `lived` seconds."""
        if lived >= LIVED:
            self.failures = 0
        delay = min(BACK_OFF_FIRST * float(2**self.failures), BACK_OFF_MOST)
        self.failures = min(self.failures + 1, 16)
        return delay

    @property
    def name(self) -> dict[str, Fact]:
        """As it stands in logs; workers are numbered from 1 there, as in process titles."""
        return {"worker": self.worker + 1} if self.role is Role.WORKER else {}


@dataclass(slots=True)
class Generation:
    """One configuration brought to life. Times are monotonic seconds."""

    number: int
    terms: FleetTerms
    born: float
    first: bool
    """Nothing serves before it: it is given up only with all of lbproxy, and gets more patience."""
    adopted: bool = False
    """Its children were started by another program (succession/upgrade.py): they cannot be replaced."""
    posts: list[Post] = field(default_factory=list)
    leaving: list[Child] = field(default_factory=list)
    """Children whose post is somebody else's by now, or no more."""
    stage: GenerationStage = GenerationStage.STARTING
    retired: float = FOREVER
    pressed: int = 0
    """Told to hurry, because a newer one needs the place: 1, idle connections go; 2, all of them."""
    deaths: int = 0
    """Those that count towards giving it up."""
    replace_after: float = -FOREVER
    """The next replacement of a worker, monotonic seconds."""

    def __post_init__(self) -> None:
        self.posts += [Post(Role.WORKER, number) for number in range(self.terms.workers)]

    def children(self, *roles: Role) -> list[Child]:
        """All that were not reaped yet."""
        return [child for child in self._everybody() if child.role in (roles or Role)]

    def _everybody(self) -> Iterator[Child]:
        for post in self.posts:
            if post.child is not None:
                yield post.child
            if post.successor is not None:
                yield post.successor
        yield from self.leaving

    def workers(self) -> list[Post]:
        """The posts of workers."""
        return [post for post in self.posts if post.role is Role.WORKER]

    def all_ready(self) -> bool:
        """Every worker's post is filled with one that said Ready."""
        return all(post.child is not None and post.child.phase is Phase.SERVING for post in self.workers())

    def changing(self) -> bool:
        """A worker is being replaced."""
        return any(post.successor is not None for post in self.posts) or bool(self.leaving)

    def retire(self, now: float) -> None:
        """Nobody is posted any more."""
        self.stage = GenerationStage.RETIRING
        self.retired = now
        for post in self.posts:
            post.fill_at = FOREVER


@dataclass(slots=True)
class Stop:
    """The end of this lbproxy: why, with which exit code, and how long it is waited for."""

    code: int
    reason: str
    abandon_at: float = FOREVER
