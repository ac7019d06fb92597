"""What the master decides: which children should live, and what to do about those that do not. Pure: (event, now) in, actions out.

The nouns:

- A *generation* is one configuration brought to life: a row of *posts* (its workers and its control process). It is the unit of a
  reload: several may live at once, the newest serves, older ones are RETIRING. A child's slot tells its generation.
- A *post* is a place to be filled, for as long as its generation serves. It remembers how often it failed (for the back-off).
- A *child* (child.py) is the process that fills a post right now, in a slot of the ledger.

The rules:

1. A post whose child died is filled again after 0.1 s, doubling up to 5 s; a child that served for LIVED seconds clears the score.
2. A generation that cannot start is given up: GIVE_UP_AFTER deaths before all of its workers were Ready once, or within FRESH
   seconds of its start, are exit code 1 with the last reason. Somebody else's SIGKILL of a child that was Ready does not count:
   that is an operator or the kernel's memory killer, not a generation that cannot work.
3. A silent child (5 s after Ready; 20 s before it) gets SIGABRT, which makes it write its stack, then SIGKILL; its post is filled
   again.
4. Terminate: workers drain, control goes last, exit code 0 when all are gone. Who is still there `drain_timeout` + DRAIN_GRACE
   seconds later is killed. A second Terminate kills at once: exit code 2.
5. If the master itself was not running for a while (stopped in a terminal, a slow log reader), its children were not silent: their
   deadlines move by the gap.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lbproxy.balance.ledger import RETIRED
from lbproxy.ipc.messages import Drain, Drained, Failed, HealthChanged, Heartbeat, Message, Quit, Ready
from lbproxy.master.child import FOREVER, SIGNALS, Child, Cue, Phase, Role
from lbproxy.master.events import (
    Action,
    Died,
    Event,
    Exit,
    Fact,
    Kill,
    Level,
    Log,
    PipeBroken,
    PipeEnded,
    Said,
    Send,
    Serving,
    Spawn,
    Spawned,
    SpawnFailed,
    Start,
    StopListening,
    Terminate,
    Tick,
)

BACK_OFF_FIRST = 0.1
BACK_OFF_MOST = 5.0
LIVED = 5.0
FRESH = 30.0
GIVE_UP_AFTER = 5
DRAIN_GRACE = 2.0
ABANDON_AFTER = 5.0
"""Seconds after a SIGKILL to all: what is still there sits in an uninterruptible wait, and the master goes without it."""
GAP = 2.5
"""Seconds without any event after which the master must have been stopped: ticks come at least every second."""
MAX_TIMEOUT_MS = 2**31 - 1


# ---------------------------------------------------------------- state


class Stage(Enum):
    """Of a generation."""

    STARTING = "starting"
    SERVING = "serving"
    RETIRING = "retiring"  # its posts are not filled any more


@dataclass(slots=True)
class Post:
    """A place to be filled. `fill_at`: when, monotonic seconds; while nobody is due, FOREVER."""

    role: Role
    worker: int
    child: Child | None = None
    fill_at: float = FOREVER
    failures: int = 0

    @property
    def name(self) -> dict[str, Fact]:
        """As it stands in logs; workers are numbered from 1 there, as in process titles."""
        return {"worker": self.worker + 1} if self.role is Role.WORKER else {}


@dataclass(slots=True)
class Generation:
    """One configuration brought to life."""

    number: int
    born: float
    posts: list[Post]
    stage: Stage = Stage.STARTING
    deaths: int = 0
    """Those that count towards giving it up."""

    def children(self, *roles: Role) -> list[Child]:
        return [post.child for post in self.posts if post.child is not None and post.role in (roles or Role)]

    def retire(self) -> None:
        self.stage = Stage.RETIRING
        for post in self.posts:
            post.fill_at = FOREVER


@dataclass(slots=True)
class Stop:
    """How this lbproxy ends."""

    code: int
    reason: str
    abandon_at: float = FOREVER


@dataclass(slots=True)
class Fleet:
    """`handle` every event, carry out what it returns, and come back with a Tick at `next_deadline` at the latest."""

    workers: int
    drain_timeout: float
    generations: dict[int, Generation] = field(default_factory=dict)
    stop: Stop | None = None
    ended: bool = False
    _children: dict[int, Child] = field(default_factory=dict)
    _verdicts: dict[tuple[str, str], str] = field(default_factory=dict)
    _actions: list[Action] = field(default_factory=list)
    _now: float = -FOREVER

    def handle(self, event: Event, now: float) -> list[Action]:
        """What to do about `event`, in this order. `now`: monotonic seconds."""
        if self.ended:
            return []
        self._notice_gap(now)
        self._now = now
        EVENTS[type(event)](self, event)
        self._finish()
        actions, self._actions = self._actions, []
        return actions

    def next_deadline(self) -> float:
        """When something becomes due, monotonic seconds."""
        due = [child.deadline for child in self._children.values()]
        due += [post.fill_at for generation in self.generations.values() for post in generation.posts]
        if self.stop is not None:
            due.append(self.stop.abandon_at)
        return min(due, default=FOREVER)

    def living(self) -> Iterator[Child]:
        """Every child that was not reaped yet."""
        yield from self._children.values()

    # ---- events

    def _start(self, _: Event) -> None:
        number = max(self.generations, default=0) + 1
        posts = [Post(Role.WORKER, worker) for worker in range(self.workers)] + [Post(Role.CONTROL, -1)]
        self.generations[number] = generation = Generation(number, self._now, posts)
        for post in posts:
            self._fill(generation, post)

    def _spawned(self, event: Spawned) -> None:
        self._children[event.slot].pid = event.pid

    def _spawn_failed(self, event: SpawnFailed) -> None:
        child = self._children[event.slot]
        child.reason = f"cannot fork: {event.why}"
        self._bury(child, child.reason, counts=True)

    def _said(self, event: Said) -> None:
        child = self._children[event.slot]
        hear = MESSAGES.get((child.role, type(event.message)))
        if hear is None:
            self._pipe_broken(PipeBroken(event.slot, f"a {child.role.value} must not say {type(event.message).__name__}"))
        else:
            hear(self, child, event.message)

    def _pipe_ended(self, event: PipeEnded) -> None:
        self._move(self._children[event.slot], Cue.FAREWELL)

    def _pipe_broken(self, event: PipeBroken) -> None:
        child = self._children[event.slot]
        child.reason = child.reason or event.why
        self._log("error", child, "untrusted", why=event.why)
        self._move(child, Cue.KILL)

    def _died(self, event: Died) -> None:
        child = self._children[event.slot]
        code = os.waitstatus_to_exitcode(event.status)
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        asked = code == 0 and not child.reason and child.phase in (Phase.DRAINING, Phase.LEAVING)
        facts = {"reason": child.reason} if child.reason else {}
        self._log("info" if asked else "error", child, "left" if asked else "died", how=how, **facts)
        murdered = code == -signal.SIGKILL and child.was_ready and child.phase is not Phase.KILLED
        self._bury(child, f"{how}: {child.reason}" if child.reason else how, counts=not murdered)

    def _terminate(self, event: Terminate) -> None:
        if self.stop is not None:
            self.stop = Stop(2, f"{event.signal} came while stopping", self._now + ABANDON_AFTER)
            self._actions.append(Log("warning", "killing", {"signal": event.signal, "children": len(self._children)}))
            for child in self._children.values():
                self._move(child, Cue.KILL)
            return
        self.stop = Stop(0, event.signal)
        self._actions.append(Log("info", "draining", {"signal": event.signal, "timeout": self.drain_timeout}))
        self._actions.append(StopListening())
        for generation in self.generations.values():
            generation.retire()
            for child in generation.children(Role.WORKER):
                self._drain(child)

    def _tick(self, _: Event) -> None:
        for child in list(self._children.values()):
            if child.deadline <= self._now:
                self._overdue(child)
        for generation in self.generations.values():
            for post in generation.posts:
                if post.fill_at <= self._now:
                    self._fill(generation, post)

    # ---- messages

    def _ready(self, child: Child, _: Message) -> None:
        if child.move(Cue.READY, self._now) is None:
            return
        self._log("info", child, "ready")
        generation = self.generations[child.generation]
        workers = [post for post in generation.posts if post.role is Role.WORKER]
        if generation.stage is Stage.STARTING and all(post.child and post.child.phase is Phase.SERVING for post in workers):
            generation.stage = Stage.SERVING
            took = round((self._now - generation.born) * 1000)
            self._actions.append(Log("info", "ready", {"generation": generation.number, "milliseconds": took}))
            self._actions.append(Serving(generation.number))

    def _heartbeat(self, child: Child, _: Message) -> None:
        child.heard(self._now)

    def _health_changed(self, child: Child, message: HealthChanged) -> None:
        """Log a verdict once: a control process that was replaced tells everything again."""
        backend = (message.pool, message.backend)
        if self._verdicts.get(backend) == message.state:
            return
        self._verdicts[backend] = message.state
        facts: dict[str, Fact] = {"pool": message.pool, "backend": message.backend, "why": message.why}
        self._actions.append(Log("info" if message.state == "up" else "warning", f"backend.{message.state}", facts))

    def _drained(self, child: Child, message: Drained) -> None:
        if child.move(Cue.FAREWELL, self._now):
            self._log("warning" if message.cut else "info", child, "drained", cut=message.cut)

    def _failed(self, child: Child, message: Failed) -> None:
        child.reason = message.reason
        self._move(child, Cue.FAREWELL)

    # ---- steps

    def _fill(self, generation: Generation, post: Post) -> None:
        # Workers from the bottom, control from the top: whoever adds up the workers' rows need not read control's.
        slots = range(RETIRED) if post.role is Role.WORKER else reversed(range(RETIRED))
        slot = next(slot for slot in slots if slot not in self._children)
        post.fill_at = FOREVER
        post.child = self._children[slot] = Child(slot, generation.number, post.role, post.worker, self._now)
        self._actions.append(Spawn(generation.number, post.role, post.worker, slot))

    def _drain(self, child: Child) -> None:
        if child.move(Cue.DRAIN, self._now, self.drain_timeout + DRAIN_GRACE):
            self._actions.append(Send(child.slot, Drain(min(round(self.drain_timeout * 1000), MAX_TIMEOUT_MS))))

    def _quit(self, child: Child) -> None:
        if child.move(Cue.FAREWELL, self._now):
            self._actions.append(Send(child.slot, Quit()))

    def _overdue(self, child: Child) -> None:
        phase, waited = child.phase, self._now - child.born
        if phase in (Phase.STARTING, Phase.SERVING):
            child.reason = f"not ready after {waited:.0f} s" if phase is Phase.STARTING else "silent"
            self._log("error", child, "hung", why=child.reason)
        elif phase is Phase.DRAINING:
            self._log("warning", child, "cut", why=f"not drained after {self.drain_timeout:g} s")
        elif phase is Phase.LEAVING:
            child.reason = child.reason or "said goodbye and stayed"
        self._move(child, Cue.OVERDUE)

    def _move(self, child: Child, cue: Cue) -> None:
        phase = child.move(cue, self._now)
        if phase in SIGNALS:
            self._actions.append(Kill(child.slot, SIGNALS[phase]))

    def _bury(self, child: Child, why: str, *, counts: bool) -> None:
        """The child is gone; its post is filled again, unless nobody wants it or it is time to give up."""
        del self._children[child.slot]
        generation = self.generations[child.generation]
        post = next(post for post in generation.posts if post.child is child)
        post.child = None
        if generation.stage is Stage.RETIRING:
            return
        if counts and (generation.stage is Stage.STARTING or self._now - generation.born < FRESH):
            generation.deaths += 1
            if generation.deaths >= GIVE_UP_AFTER:
                self._give_up(child, why)
                return
        if child.lived(self._now) >= LIVED:
            post.failures = 0
        delay = min(BACK_OFF_FIRST * 2**post.failures, BACK_OFF_MOST)
        post.failures = min(post.failures + 1, 16)
        post.fill_at = self._now + delay
        self._actions.append(Log("info", f"{post.role.value}.respawn", {**post.name, "after": delay}))

    def _give_up(self, child: Child, why: str) -> None:
        who = f"worker {child.worker + 1}" if child.role is Role.WORKER else "control"
        self.stop = Stop(1, f"{GIVE_UP_AFTER} deaths at start; the last: {who}, {why}")
        self._actions.append(Log("error", "start.failed", {"reason": self.stop.reason}))
        self._actions.append(StopListening())
        for generation in self.generations.values():
            generation.retire()
            for other in generation.children():
                self._quit(other)

    def _finish(self) -> None:
        """After every event: sweep generations that are over, let control go when the workers are gone, and end when all are."""
        for number, generation in list(self.generations.items()):
            if generation.stage is Stage.RETIRING and not generation.children():
                del self.generations[number]
        if self.stop is None:
            return
        if not any(child.role is Role.WORKER for child in self._children.values()):
            for child in self._children.values():
                self._quit(child)
        if not self._children or self._now >= self.stop.abandon_at:
            self.ended = True
            self._actions.append(Exit(self.stop.code, self.stop.reason))

    def _notice_gap(self, now: float) -> None:
        gap = now - self._now
        if GAP < gap < FOREVER:
            self._actions.append(Log("warning", "stalled", {"seconds": round(gap, 1)}))
            for child in self._children.values():
                if child.phase in (Phase.STARTING, Phase.SERVING):
                    child.deadline += gap

    def _log(self, level: Level, child: Child, what: str, **facts: Fact) -> None:
        number: dict[str, Fact] = {"worker": child.worker + 1} if child.role is Role.WORKER else {}
        fields = {**number, "pid": child.pid, "generation": child.generation, **facts}
        self._actions.append(Log(level, f"{child.role.value}.{what}", fields))


EVENTS: dict[type[Event], Callable[[Fleet, Any], None]] = {
    Start: Fleet._start,
    Spawned: Fleet._spawned,
    SpawnFailed: Fleet._spawn_failed,
    Said: Fleet._said,
    PipeEnded: Fleet._pipe_ended,
    PipeBroken: Fleet._pipe_broken,
    Died: Fleet._died,
    Terminate: Fleet._terminate,
    Tick: Fleet._tick,
}

MESSAGES: dict[tuple[Role, type[Message]], Callable[[Fleet, Child, Any], None]] = {
    (Role.WORKER, Ready): Fleet._ready,
    (Role.WORKER, Heartbeat): Fleet._heartbeat,
    (Role.WORKER, Drained): Fleet._drained,
    (Role.WORKER, Failed): Fleet._failed,
    (Role.CONTROL, Ready): Fleet._ready,
    (Role.CONTROL, Heartbeat): Fleet._heartbeat,
    (Role.CONTROL, HealthChanged): Fleet._health_changed,
    (Role.CONTROL, Drained): Fleet._drained,
    (Role.CONTROL, Failed): Fleet._failed,
}
"""Who may say what; anything else is a breach."""
