"""Outliers of a pool, by what traffic says: who fails while others do not is ejected for a while, then tried one request at a time.

Theory of operation. `OutlierDetector.look` gets the counts of all backends of a pool, over all workers, several times a second, and
answers with what changed. Three kinds of failure count: *failed* tries (refused, reset, late, broken off) and *gateway* answers
(502, 503, 504) together for the streak; these, other 5xx answers and answers refused for their form for the rate. A backend goes

    FIT --`consecutive` failures in a row, or `rate` of its answers in the window failed, or the last `requests` of them--> EJECTED
    EJECTED --after base * n seconds, n the ejections in a row, at most `longest`, or when it is pardoned--> TRIAL
    TRIAL --TRIAL_PASSES good answers in a row--> FIT
    TRIAL --one failure, or TRIAL_PASSES other errors in a row--> EJECTED, n + 1

- In a row: over all workers. Between two looks nobody knows the order, so a good answer that came with failures ends the streak.
- The rate, and errors on trial, eject only who is worse than the others, at less than half its rate: when everybody fails, it is
  the requests, or what is behind the backends, and an attacker who finds a URL that breaks must not be able to eject healthy
  backends with it.
- Never more than `share` of the pool at once, and never the last one that is fit.
- n starts anew when a backend was fit for `longest` seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

TRIAL_PASSES = 3
SAMPLE = 0.5
"""Seconds between the samples that the window is made of."""


class OutlierState(IntEnum):
    """What traffic says of a backend."""

    FIT = 0
    EJECTED = 1
    TRIAL = 2


class OutlierRules(NamedTuple):
    """The settings of [pool.NAME.outlier]; times are in seconds."""

    consecutive: int = 5
    rate: int = 50
    """Percent of the answers in the window."""
    requests: int = 20
    """Fewer answers in the window say nothing."""
    window: float = 10.0
    base: float = 30.0
    longest: float = 300.0
    share: int = 50
    """Percent of the pool."""


class Counts(NamedTuple):
    """Counts of one backend's answers since ever; only differences matter."""

    done: int
    """Tries that ended and were not given up by the client."""
    failed: int
    """Of these: no whole answer, or 502, 503, 504."""
    errors: int
    """Of these: other 5xx."""
    refused: int = 0
    """Of these: answers that were refused for their form. The backend is alive and does its work: they count as errors do."""

    @property
    def good(self) -> int:
        """The rest."""
        return self.done - self.failed - self.errors - self.refused


class OutlierChange(NamedTuple):
    """The state of a backend has changed, and why."""

    backend: int
    """Its index."""
    state: OutlierState
    why: str


class OutlierRecord:
    """What is known of one backend's answers. Times are monotonic seconds."""

    def __init__(self, counts: Counts, state: OutlierState = OutlierState.FIT, until: float = 0.0, ejections: int = 0) -> None:
        """`until`: when it may be tried again; `ejections`: n above."""
        self.state = state
        self.until = until
        self.ejections = ejections
        self.streak = 0
        """Failures in a row."""
        self.bad = 0
        """Failures and other errors in a row."""
        self.passes = 0
        self.fit_since = 0.0
        self.last = counts
        self._best = counts.good
        self._samples: deque[tuple[float, Counts]] = deque()

    def take(self, counts: Counts, now: float, window: float) -> tuple[int, int]:
        """Account for what happened since the last look; (good, failed) of it."""
        failed = counts.failed - self.last.failed
        errors = counts.errors + counts.refused - self.last.errors - self.last.refused
        # A failure is counted a moment before its try ends: what looks like good answers less is theirs to make up for.
        good = max(0, counts.good - self._best)
        self._best = max(self._best, counts.good)
        self.last = counts
        self.streak = 0 if good > 0 else self.streak + failed
        self.bad = 0 if good > 0 else self.bad + failed + errors
        samples = self._samples
        if not samples or now - samples[-1][0] >= SAMPLE:
            samples.append((now, counts))
        while len(samples) > 1 and samples[1][0] <= now - window:
            samples.popleft()
        return good, failed

    def recent(self) -> tuple[int, int]:
        """(answers, bad ones) in the window."""
        begin = self._samples[0][1] if self._samples else self.last
        bad = self.last.failed - begin.failed + self.last.errors - begin.errors + self.last.refused - begin.refused
        return self.last.done - begin.done, bad

    def form(self) -> str:
        """For a reason: how many of the bad answers in the window were so for their form."""
        begin = self._samples[0][1] if self._samples else self.last
        refused = self.last.refused - begin.refused
        return f" ({refused} for their form)" if refused else ""

    def forget(self) -> None:
        """What came before says nothing any more."""
        self.streak = self.bad = self.passes = 0
        self._samples.clear()


class OutlierDetector:
    """Compares the backends of one pool by their `records`."""

    def __init__(self, rules: OutlierRules, records: Sequence[OutlierRecord]) -> None:
        self._rules = rules
        self.records = records

    def look(self, counts: Sequence[Counts], up: Sequence[bool], now: float) -> list[OutlierChange]:
        """`up`: who may be used as far as checks and operators are concerned; `now`: monotonic seconds."""
        changes = []
        window = self._rules.window
        happened = [record.take(seen, now, window) for record, seen in zip(self.records, counts, strict=True)]
        for index, (record, (good, failed)) in enumerate(zip(self.records, happened, strict=True)):
            change = self._change(index, record, good, failed, up, now)
            if change is not None:
                record.state = change.state
                record.forget()
                changes.append(change)
        return changes

    def pardon(self, index: int, now: float) -> None:
        """Checks know more than traffic did: whatever it was ejected for is over. It is tried at the next look."""
        self.records[index].until = min(self.records[index].until, now)

    @property
    def undecided(self) -> bool:
        """Good answers, or those of others, may change something at the next look: one is on trial, or fails often enough."""
        return any(record.state is OutlierState.TRIAL or self._suspect(record) for record in self.records)

    def _suspect(self, record: OutlierRecord) -> bool:
        rules = self._rules
        answers, bad = record.recent()
        if record.state is not OutlierState.FIT or not bad:
            return False
        often = bool(rules.rate) and (bad * 100 >= rules.rate * answers or record.bad >= rules.requests)
        return often or (bool(rules.consecutive) and record.streak >= rules.consecutive)

    def _change(
        self, index: int, record: OutlierRecord, good: int, failed: int, up: Sequence[bool], now: float
    ) -> OutlierChange | None:
        if record.state is OutlierState.EJECTED:
            over = now >= record.until
            return OutlierChange(index, OutlierState.TRIAL, "its time is over: one request at a time") if over else None
        if record.state is OutlierState.TRIAL:
            return self._tried(index, record, good, failed, now)
        if record.ejections and now - record.fit_since >= self._rules.longest:
            record.ejections = 0
        why = self._guilty(index, record)
        if not why or not self._may_eject(index, up):
            return None
        return self._eject(index, record, why, now)

    def _tried(self, index: int, record: OutlierRecord, good: int, failed: int, now: float) -> OutlierChange | None:
        if failed:
            return self._eject(index, record, "failed again when it was tried", now)
        if self._rules.rate and record.bad >= TRIAL_PASSES and self._worse(index, record.bad, record.bad):
            return self._eject(index, record, f"{record.bad} answers in a row failed when it was tried", now)
        record.passes = 0 if record.bad else record.passes + good
        if record.passes < TRIAL_PASSES:
            return None
        record.fit_since = now
        return OutlierChange(index, OutlierState.FIT, f"{record.passes} requests passed")

    def _guilty(self, index: int, record: OutlierRecord) -> str:
        """Why it should be ejected; "": it should not."""
        rules = self._rules
        if rules.consecutive and record.streak >= rules.consecutive:
            return f"{record.streak} failures in a row"
        answers, bad = record.recent()
        if record.bad >= rules.requests:
            answers = bad = record.bad  # what was before has passed: one that breaks at once must not hide behind a good past
        if not rules.rate or answers < rules.requests or bad * 100 < rules.rate * answers:
            return ""
        return f"{bad} of {answers} answers failed{record.form()}" if self._worse(index, bad, answers) else ""

    def _worse(self, index: int, bad: int, answers: int) -> bool:
        """More than twice as many of its answers are bad as of those of all others that are fit."""
        others = [other.recent() for at, other in enumerate(self.records) if at != index and other.state is OutlierState.FIT]
        all_answers, all_bad = sum(one for one, _ in others), sum(two for _, two in others)
        return all_bad * answers * 2 < bad * max(all_answers, 1)

    def _may_eject(self, index: int, up: Sequence[bool]) -> bool:
        out = sum(record.state is not OutlierState.FIT for record in self.records)
        fit = [at for at, record in enumerate(self.records) if at != index and up[at] and record.state is OutlierState.FIT]
        return bool(fit) and (out + 1) * 100 <= self._rules.share * len(self.records)

    def _eject(self, index: int, record: OutlierRecord, why: str, now: float) -> OutlierChange:
        record.ejections += 1
        seconds = min(self._rules.base * record.ejections, self._rules.longest)
        record.until = now + seconds
        return OutlierChange(index, OutlierState.EJECTED, f"{why}: out for {seconds:g} s")
