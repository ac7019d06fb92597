"""The living children of a fleet (fleet.py), and what it does to one of them, with the action that this takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lbproxy.ipc.messages import Quit
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import FOREVER, SIGNALS, Child, Cue, Phase, Role
from lbproxy.master.fleet.events import Action, Fact, Kill, Level, Log, Send, Spawn
from lbproxy.master.fleet.generation import FULL_PAUSE, Generation, GenerationStage, Post, vacancy, worn_out

REPLACE_PAUSE = 5.0
"""Seconds between replacements of workers: a limit that every worker exceeds at once must not become a storm of forks."""
DRAIN_GRACE = 2.0
GAP = 2.5
"""Seconds without any event after which the master must have been stopped."""


@dataclass(slots=True)
class Children:
    """The living children by generation and row, and the actions that an event has led to so far."""

    generations: dict[int, Generation] = field(default_factory=dict)
    _children: dict[int, Child] = field(default_factory=dict)
    """By row of the ledger."""
    _actions: list[Action] = field(default_factory=list)
    _now: float = -FOREVER

    def living(self) -> Iterator[Child]:
        """Every child that was not reaped yet."""
        yield from self._children.values()

    @property
    def serving(self) -> Generation | None:
        """The generation that clients meet."""
        return next((generation for generation in self.generations.values() if generation.stage is GenerationStage.SERVING), None)

    def _fill(self, generation: Generation, post: Post) -> None:
        post.child = self._new_child(generation, post)
        post.fill_at = FOREVER if post.child is not None else self._now + FULL_PAUSE

    def _new_child(self, generation: Generation, post: Post) -> Child | None:
        row = vacancy(self._children, post.role)
        if row is None:
            return None
        child = self._children[row] = Child(row, generation.number, post.role, post.worker, self._now)
        self._actions.append(Spawn(generation.number, post.role, post.worker, row))
        return child

    def _hand_over(self, generation: Generation, child: Child) -> None:
        """Drain without haste: others serve already."""
        terms = generation.terms
        self._drain(child, terms.drain_timeout, terms.drain_timeout, terms.tunnel_timeout)

    def _drain(self, child: Child, timeout: float, idle: float, tunnel: float) -> None:
        if child.move(Cue.DRAIN, self._now, max(timeout, tunnel) + DRAIN_GRACE):
            self._actions.append(events.TellDrain(child.row, timeout, idle, tunnel))

    def _quit(self, child: Child) -> None:
        if child.move(Cue.FAREWELL, self._now):
            self._actions.append(Send(child.row, Quit()))

    def _overdue(self, child: Child) -> None:
        phase, waited = child.phase, self._now - child.born
        if phase in (Phase.STARTING, Phase.SERVING):
            child.reason = f"not ready after {waited:.0f} s" if phase is Phase.STARTING else "silent"
            self._log("error", child, "hung", why=child.reason)
        elif phase is Phase.DRAINING:
            self._log("warning", child, "cut", why="not drained in time")
        elif phase is Phase.LEAVING:
            child.reason = child.reason or "said goodbye and stayed"
        self._move(child, Cue.OVERDUE)

    def _move(self, child: Child, cue: Cue) -> None:
        phase = child.move(cue, self._now)
        if phase in SIGNALS:
            self._actions.append(Kill(child.row, SIGNALS[phase]))

    # ---- replacing

    def _scale(self, event: events.Scale) -> None:
        generation = self.serving
        if generation is None or generation.adopted:
            return
        posts = generation.workers()
        if event.delta > 0:
            post = Post(Role.WORKER, len(posts))
            generation.posts.append(post)
            self._fill(generation, post)
        elif len(posts) > 1:
            post = posts[-1]
            generation.posts.remove(post)
            for child in (post.child, post.successor):
                if child is not None:
                    generation.leaving.append(child)
                    self._hand_over(generation, child)

    def _weigh(self, child: Child) -> None:
        """Is it time for a successor?"""
        generation = self.generations[child.generation]
        terms, beat = generation.terms, child.beat
        post = next((post for post in generation.posts if post.child is child), None)
        if post is None or generation.adopted or generation.stage is not GenerationStage.SERVING:
            return
        if terms.memory_hard and beat.rss_kib > terms.memory_hard:
            self._log("warning", child, "too_large", memory_kib=beat.rss_kib, most_kib=terms.memory_hard)
            post.child, post.successor = post.successor, None
            generation.leaving.append(child)
            self._hand_over(generation, child)
            if post.child is None:
                post.fill_at = self._now + post.back_off(child.lived(self._now))
            return
        why = worn_out(terms, beat)
        if why and not generation.changing() and self._now >= generation.replace_after:
            generation.replace_after = self._now + REPLACE_PAUSE
            self._log("info", child, "replace", why=why)
            post.successor = self._new_child(generation, post)

    def _succeed(self, generation: Generation, post: Post) -> None:
        """The successor is Ready: its predecessor drains."""
        predecessor, post.child, post.successor = post.child, post.successor, None
        if predecessor is not None:
            generation.leaving.append(predecessor)
            self._hand_over(generation, predecessor)

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
