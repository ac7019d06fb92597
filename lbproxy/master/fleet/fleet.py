"""The fleet decides for the master: which children should live, and what to do about those that do not. Pure: (event, now) in,
actions out.

The nouns:

- A *generation* (generation.py) is one configuration brought to life: a row of *posts* (its workers and its control process). It is
  the unit of a reload: several may live at once, the newest serves, older ones are RETIRING. A child's row tells its generation.
- A *post* is a place to be filled, for as long as its generation serves. It remembers how often it failed (for the back-off).
- A *child* (child.py) is the process that fills a post right now, in a row of the ledger.

The rules:

1. A post whose child died is filled again after 0.1 s, doubling up to 5 s; a child that served for LIVED seconds clears the score.
2. A first generation that cannot start is given up: GIVE_UP_AFTER deaths before all of its workers were Ready once, or within FRESH
   seconds of its start, are exit code 1 with the last reason. Somebody else's SIGKILL of a child that was Ready does not count:
   that is an operator or the kernel's memory killer, not a generation that cannot work.
3. A reload: the shell prepares, a second generation starts beside the first, and its workers do not accept before all of them are
   Ready. Then they Serve, and only then the older one is told to drain. One death on the way and the new generation goes, the older
   one never hears of it. (A stranger's SIGKILL is forgiven twice.) At most MOST_GENERATIONS live: a reload beyond waits, and the
   older ones make room (crowding.py). The old control leaves before the new one starts: health has one writer.
4. A silent child (5 s after Ready; 20 s before it) gets SIGABRT, which makes it write its stack, then SIGKILL; its post is filled
   again. Silent is only a loop that does not turn; one that turns slowly says so, and that is logged.
5. A worker that grew too large, or served its number of requests, is replaced: one at a time, the successor first.
6. Terminate: workers drain, control goes last, exit code 0 when all are gone. Who is still there `drain_timeout` + DRAIN_GRACE
   seconds later is killed. A second Terminate kills at once: exit code 2.
7. If the master itself was not running for a while (stopped in a terminal, a slow log reader), its children were not silent: their
   deadlines move by the gap.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lbproxy.balance.ledger import RETIRED
from lbproxy.ipc.messages import Drained, Failed, HealthChanged, Heartbeat, Message, Ready, Serve
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import FOREVER, Child, Cue, Phase, Role
from lbproxy.master.fleet.children import Children
from lbproxy.master.fleet.events import Action, Event, Fact, Log, Send
from lbproxy.master.fleet.generation import Generation, GenerationStage, Post, Stop
from lbproxy.master.fleet.generation_limit import GenerationLimit
from lbproxy.master.fleet.health_news import HealthNews
from lbproxy.master.fleet.pending_reload import PendingReload

SINGLE = (Role.CONTROL, Role.ACME)
"""One process each, of the generation that serves, and none of a new one before that of the old one is gone."""
FRESH = 30.0
GIVE_UP_AFTER = 5
FORGIVEN = 2
"""Workers of a reload that strangers may kill before it is given up."""
MOST_GENERATIONS = 3
ABANDON_AFTER = 5.0
"""Seconds after a SIGKILL to all: what is still there sits in an uninterruptible wait, and the master goes without it."""


@dataclass(slots=True)
class Fleet(Children):
    """`handle` every event, carry out what it returns, and come back with a TimePassed at `next_deadline` at the latest."""

    stop: Stop | None = None
    ended: bool = False
    last: int = 0
    """The highest number that a generation was given."""
    health_news: HealthNews = field(default_factory=HealthNews)
    _generation_limit: GenerationLimit = field(default_factory=GenerationLimit)
    preparing: bool = False
    """A generation is being opened; at a start that may be the first one."""
    _wishes: PendingReload = field(default_factory=PendingReload)

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
        elif self._place_for_one_more():
            due.append(self._wishes.due())
        return min(due, default=FOREVER)

    def adopt(self, generations: Sequence[Generation], last: int) -> None:
        """Go on from where the program before us was (succession/upgrade.py)."""
        self.last = last
        self.generations = {generation.number: generation for generation in generations}
        self._children = {child.row: child for generation in generations for child in generation.children()}

    # ---- events

    def _prepared(self, event: events.Prepared) -> None:
        self.preparing = False
        self.last = event.number
        first = not self.generations
        if (wanted := event.terms.workers) > RETIRED - (there := len(self._children)):
            self._actions.append(events.Forget(event.number))
            self._reject(event.number, f"no room for {wanted} more workers: {there} of {RETIRED} children live already")
            return
        self.generations[event.number] = generation = Generation(event.number, event.terms, self._now, first)
        if first:
            generation.posts += _single_posts(event.terms)
        for post in generation.posts:
            self._fill(generation, post)

    def _prepare_failed(self, event: events.PrepareFailed) -> None:
        self.preparing = False
        self._reject(event.number, event.why)

    def _reload_wanted(self, _: Event) -> None:
        if self.stop is None:
            self._wishes.add(self._now)

    def _spawned(self, event: events.Spawned) -> None:
        self._children[event.row].pid = event.pid

    def _spawn_failed(self, event: events.SpawnFailed) -> None:
        self._bury(self._children[event.row], f"cannot fork: {event.why}", counts=True)

    def _said(self, event: events.Said) -> None:
        child = self._children[event.row]
        hear = MESSAGES.get((child.role, type(event.message)))
        if hear is None:
            self._pipe_broken(events.PipeBroken(event.row, f"a {child.role.value} must not say {type(event.message).__name__}"))
        else:
            hear(self, child, event.message)

    def _pipe_ended(self, event: events.PipeEnded) -> None:
        self._move(self._children[event.row], Cue.FAREWELL)

    def _pipe_broken(self, event: events.PipeBroken) -> None:
        child = self._children[event.row]
        if child.phase is not Phase.KILLED:  # told once, not once a message of the same read
            child.reason = child.reason or event.why
            self._log("error", child, "untrusted", why=event.why)
            self._move(child, Cue.KILL)

    def _died(self, event: events.Died) -> None:
        child = self._children[event.row]
        code = os.waitstatus_to_exitcode(event.status)
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        asked = code == 0 and not child.reason and child.phase in (Phase.DRAINING, Phase.LEAVING)
        asked = asked or (self.stop is not None and self.stop.code == 2)  # by the second signal
        facts = {"reason": child.reason} if child.reason else {}
        self._log("info" if asked else "error", child, "left" if asked else "died", how=how, **facts)
        murdered = code == -signal.SIGKILL and child.phase is not Phase.KILLED
        generation = self.generations[child.generation]
        forgiven = murdered and (child.was_ready or (not generation.first and generation.deaths < FORGIVEN))
        generation.deaths += murdered and forgiven and not generation.first
        self._bury(child, f"{how}: {child.reason}" if child.reason else how, counts=not forgiven)

    def _terminate(self, event: events.Terminate) -> None:
        if self.stop is not None:
            self.stop = Stop(2, f"{event.signal} came while stopping", self._now + ABANDON_AFTER)
            self._actions.append(Log("warning", "killing", {"signal": event.signal, "children": len(self._children)}))
            for child in self._children.values():
                self._move(child, Cue.KILL)
            return
        self.stop = Stop(0, event.signal)
        serving = self.serving or next(iter(self.generations.values()), None)
        timeout = serving.terms.drain_timeout if serving is not None else 0.0
        self._actions += [Log("info", "draining", {"signal": event.signal, "timeout": timeout}), events.StopListening()]
        for generation in list(self.generations.values()):
            if generation.stage is GenerationStage.STARTING and not generation.first:
                self._abandon(generation, f"{event.signal} came")
                continue
            if generation.stage is not GenerationStage.RETIRING:
                generation.retire(self._now)
            for child in generation.children(Role.WORKER):
                self._drain(child, timeout, 0.0, timeout)
            for child in generation.children(Role.ACME):
                self._quit(child)
        if self._wishes.any:
            self._wishes.serve(self._now)
            self._reject(self.last + 1, f"{event.signal} came")

    def _time_passed(self, _: Event) -> None:
        for child in list(self._children.values()):
            if child.deadline <= self._now:
                self._overdue(child)
        for generation in self.generations.values():
            for post in list(generation.posts):
                if post.fill_at <= self._now:
                    self._fill(generation, post)

    # ---- messages

    def _ready(self, child: Child, ready: Message) -> None:
        assert isinstance(ready, Ready)
        if not child.ready(ready, self._now):
            return
        self._log("info", child, "ready")
        generation = self.generations[child.generation]
        if child.role is not Role.WORKER:
            return
        if generation.first or generation.stage is GenerationStage.SERVING:
            self._actions.append(Send(child.row, Serve()))
        if generation.stage is GenerationStage.STARTING and generation.all_ready():
            self._promote(generation)
        for post in generation.posts:
            if post.successor is child:
                self._succeed(generation, post)

    def _heartbeat(self, child: Child, message: Heartbeat) -> None:
        if child.heard(message, self._now):
            self._log("warning", child, "slow", milliseconds=message.lag_ms)
        if child.role is Role.WORKER and child.phase is Phase.SERVING:
            self._weigh(child)

    def _health_changed(self, child: Child, message: HealthChanged) -> None:
        if self.health_news.is_news(message):
            facts: dict[str, Fact] = {"pool": message.pool, "backend": message.backend, "why": message.why}
            self._actions.append(Log("info" if message.state == "up" else "warning", f"backend.{message.state}", facts))

    def _drained(self, child: Child, message: Drained) -> None:
        if child.move(Cue.FAREWELL, self._now):
            self._log("warning" if message.cut else "info", child, "drained", cut=message.cut)

    def _failed(self, child: Child, message: Failed) -> None:
        child.reason = message.reason
        self._move(child, Cue.FAREWELL)

    # ---- generations

    def _promote(self, generation: Generation) -> None:
        """All its workers are Ready: clients meet this generation from now on."""
        generation.stage = GenerationStage.SERVING
        took = round((self._now - generation.born) * 1000)
        if generation.first:
            self._actions.append(Log("info", "ready", {"generation": generation.number, "milliseconds": took}))
        else:
            for post in generation.workers():
                if post.child is not None:
                    self._actions.append(Send(post.child.row, Serve()))
            generation.posts += _single_posts(generation.terms)
        self._actions.append(events.Serving(generation.number, took))
        for older in self.generations.values():
            if older.number < generation.number and older.stage is GenerationStage.SERVING:
                older.retire(self._now)
                for child in older.children(Role.WORKER):
                    self._hand_over(older, child)
                for child in older.children(*SINGLE):
                    self._quit(child)
        self._post_single()

    def _post_single(self) -> None:
        """The serving generation's control starts when no other lives: one writer of the health of a backend. Likewise the process
        that obtains certificates: no two of them order."""
        generation = self.serving
        if generation is None:
            return
        living = {child.role for child in self._children.values()}
        for post in generation.posts:
            if post.role in SINGLE and post.role not in living and post.child is None and post.fill_at == FOREVER:
                self._fill(generation, post)

    def _abandon(self, generation: Generation, why: str) -> None:
        """A reload failed. Its workers have not accepted anybody."""
        generation.retire(self._now)
        for child in generation.children():
            self._quit(child)
        self._reject(generation.number, why)

    def _reject(self, number: int, why: str) -> None:
        serving = self.serving.number if self.serving is not None else 0
        self._actions.append(Log("error", "reload.failed", {"reason": why, "serving": serving}))
        self._actions.append(events.Rejected(number, why))

    @property
    def busy(self) -> bool:
        """A generation is on its way."""
        return self.preparing or any(generation.stage is GenerationStage.STARTING for generation in self.generations.values())

    def _place_for_one_more(self) -> bool:
        return not self.busy and len(self.generations) < MOST_GENERATIONS

    def _consider_reload(self) -> None:
        if not self._wishes.any or self.stop is not None:
            return
        if self._place_for_one_more():
            if self._wishes.due() <= self._now:
                self._wishes.serve(self._now)
                self.preparing = True
                self._generation_limit.over()
                self._actions.append(events.Prepare(self.last + 1))
        elif len(self.generations) >= MOST_GENERATIONS:
            for generation, *limits in self._generation_limit.press(self.generations.values(), self._now):
                waits: dict[str, Fact] = {"generation": generation.number, "at_most": limits[0]}
                self._actions.append(Log("info", "reload.waiting", waits))
                for child in generation.children(Role.WORKER):
                    self._drain(child, *limits)

    # ---- the end of a child, and of all

    def _bury(self, child: Child, why: str, *, counts: bool) -> None:
        """The child is gone; its post is filled again, unless nobody wants it or it is time to give up."""
        del self._children[child.row]
        generation = self.generations[child.generation]
        if child in generation.leaving:
            generation.leaving.remove(child)
            return
        post = next(post for post in generation.posts if child in (post.child, post.successor))
        if post.successor is child:  # its predecessor still serves, and will ask again
            post.successor = None
            return
        post.child, post.successor = post.successor, None
        if generation.stage is GenerationStage.RETIRING or post.child is not None:
            return
        if generation.adopted:
            self._wishes.add(self._now)
            return
        who = f"worker {child.worker + 1}" if child.role is Role.WORKER else child.role.value
        counts = counts and child.role is not Role.ACME  # without it everything serves
        if counts and not generation.first and generation.stage is GenerationStage.STARTING:
            self._abandon(generation, f"{who} of the new generation: {why}")
            return
        if counts and generation.first and (generation.stage is GenerationStage.STARTING or self._now - generation.born < FRESH):
            generation.deaths += 1
            if generation.deaths >= GIVE_UP_AFTER:
                self._give_up(f"{GIVE_UP_AFTER} deaths at start; the last: {who}, {why}")
                return
        delay = post.back_off(child.lived(self._now))
        post.fill_at = self._now + delay
        self._actions.append(Log("info", f"{post.role.value}.respawn", {**post.name, "after": delay}))

    def _give_up(self, why: str) -> None:
        self.stop = Stop(1, why)
        self._actions.append(Log("error", "start.failed", {"reason": why}))
        self._actions.append(events.StopListening())
        for generation in self.generations.values():
            generation.retire(self._now)
            for other in generation.children():
                self._quit(other)

    def _finish(self) -> None:
        """After every event: sweep generations that are over, begin a reload that is due, let control go when the workers are gone,
        and end when all are."""
        for number, generation in list(self.generations.items()):
            if generation.stage is GenerationStage.RETIRING and not generation.children():
                del self.generations[number]
                self._actions.append(events.Forget(number))
        if self.stop is None:
            self._post_single()
            self._consider_reload()
        elif not self._children or self._now >= self.stop.abandon_at:
            self.ended = True
            self._actions.append(events.Exit(self.stop.code, self.stop.reason))
        elif not any(child.role is Role.WORKER for child in self._children.values()):
            for child in self._children.values():
                self._quit(child)


def _single_posts(terms: events.FleetTerms) -> list[Post]:
    return [Post(role, -1) for role in SINGLE if role is not Role.ACME or terms.acme]


EVENTS: dict[type[Event], Callable[[Fleet, Any], None]] = {
    events.Prepared: Fleet._prepared,
    events.PrepareFailed: Fleet._prepare_failed,
    events.ReloadWanted: Fleet._reload_wanted,
    events.Scale: Fleet._scale,
    events.Spawned: Fleet._spawned,
    events.SpawnFailed: Fleet._spawn_failed,
    events.Said: Fleet._said,
    events.PipeEnded: Fleet._pipe_ended,
    events.PipeBroken: Fleet._pipe_broken,
    events.Died: Fleet._died,
    events.Terminate: Fleet._terminate,
    events.TimePassed: Fleet._time_passed,
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
    (Role.ACME, Ready): Fleet._ready,
    (Role.ACME, Heartbeat): Fleet._heartbeat,
    (Role.ACME, Failed): Fleet._failed,
}
"""Who may say what; anything else is a breach."""
