"""Who fails while others do not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.health.outlier import Counts, OutlierChange, OutlierDetector, OutlierRecord, OutlierRules, OutlierState

ZERO = Counts(0, 0, 0)


class Court:
    """A pool's traffic, told in numbers, on a clock of its own."""

    def __init__(self, backends: int, rules: OutlierRules | None = None) -> None:
        self.now = 1000.0
        self.counts = [ZERO] * backends
        self.up = [True] * backends
        self.detector = OutlierDetector(rules or OutlierRules(), [OutlierRecord(ZERO) for _ in range(backends)])

    def look(self, **happened: tuple[int, int, int]) -> list[OutlierChange]:
        """`b0=(good, failed, errors)` since the last look, a tenth of a second ago."""
        self.now += 0.1
        for name, (good, failed, errors) in happened.items():
            at = int(name[1:])
            done, was_failed, was_errors, _ = self.counts[at]
            self.counts[at] = Counts(done + good + failed + errors, was_failed + failed, was_errors + errors)
        return self.detector.look(self.counts, self.up, self.now)

    def states(self) -> list[OutlierState]:
        return [record.state for record in self.detector.records]


def test_failures_in_a_row() -> None:
    """The fifth ejects, for thirty seconds; a good answer in between starts anew."""
    court = Court(3)
    assert court.look(b0=(0, 4, 0)) == []
    assert court.look(b0=(1, 0, 0)) == []
    assert court.look(b0=(0, 2, 0)) == []
    assert court.look(b0=(1, 2, 0)) == []  # in which order nobody knows
    assert court.look(b0=(0, 4, 0)) == []
    assert court.look(b0=(0, 1, 0)) == [OutlierChange(0, OutlierState.EJECTED, "5 failures in a row: out for 30 s")]
    assert court.detector.records[0].until == court.now + 30


def test_other_errors_are_no_row() -> None:
    """An application may answer 500 to what it is asked; that a row of 502 is interrupted by one does not excuse it, though."""
    court = Court(3)
    assert court.look(b0=(0, 0, 9)) == []
    assert court.look(b0=(0, 3, 0)) == []
    assert court.look(b0=(0, 2, 1)) != []


def test_the_rate() -> None:
    """Half of at least twenty answers in ten seconds, and the others are better."""
    court = Court(3)
    assert court.look(b0=(0, 0, 0), b1=(20, 0, 0)) == []
    assert court.look(b0=(5, 0, 14), b1=(20, 0, 0)) == []
    changes = court.look(b0=(1, 0, 0), b1=(20, 0, 0))
    assert changes == [OutlierChange(0, OutlierState.EJECTED, "14 of 20 answers failed: out for 30 s")]


def test_who_breaks_at_once_does_not_hide_behind_a_good_past() -> None:
    """Twenty bad answers in a row, whatever came before; the window would take seconds to tell."""
    court = Court(3)
    court.look(b0=(500, 0, 0), b1=(500, 0, 0))
    assert court.look(b0=(0, 0, 19), b1=(20, 0, 0)) == []
    assert court.look(b0=(0, 0, 1), b1=(20, 0, 0)) == [
        OutlierChange(0, OutlierState.EJECTED, "20 of 20 answers failed: out for 30 s")
    ]


def test_old_answers_do_not_count() -> None:
    """Only those of the window."""
    court = Court(2)
    court.look()
    court.look(b0=(1, 0, 15), b1=(9, 0, 0))
    for _ in range(105):
        court.look()
    assert court.look(b0=(0, 0, 6), b1=(9, 0, 0)) == []
    court.now += 1
    assert court.look(b0=(0, 0, 14), b1=(9, 0, 0)) != []


def test_when_all_fail_it_is_not_the_backend() -> None:
    """A request that breaks all of them, or a broken database: nobody is ejected for its rate."""
    court = Court(4)
    for _ in range(20):
        assert court.look(b0=(3, 0, 30), b1=(5, 0, 25), b2=(4, 0, 20), b3=(1, 0, 0)) == []
    assert court.states() == [OutlierState.FIT] * 4


def test_never_more_than_half_nor_the_last_one() -> None:
    """However bad the others are."""
    court = Court(4)
    fails = {f"b{at}": (0, 9, 0) for at in range(4)}
    assert [change.backend for change in court.look(**fails)] == [0, 1]
    assert court.look(**fails) == []
    alone = Court(1, OutlierRules(share=100))
    assert alone.look(b0=(0, 99, 0)) == []
    pair = Court(2, OutlierRules(share=100))
    pair.up[1] = False  # by its checks
    assert pair.look(b0=(0, 99, 0)) == []


def test_the_way_back() -> None:
    """Out, on trial when the time is over, fit after three good answers; or out for twice as long."""
    court = Court(2)
    court.look(b0=(0, 5, 0))
    court.now += 29.0
    assert court.look() == []
    court.now += 1.0
    assert [change.state for change in court.look()] == [OutlierState.TRIAL]
    assert court.look(b0=(2, 0, 0)) == []
    assert court.look(b0=(0, 1, 0)) == [OutlierChange(0, OutlierState.EJECTED, "failed again when it was tried: out for 60 s")]
    court.now += 60.0
    court.look()
    assert court.look(b0=(3, 0, 0)) == [OutlierChange(0, OutlierState.FIT, "3 requests passed")]
    assert court.look(b0=(0, 5, 0))[0].why.endswith("out for 90 s")


def test_pardoned() -> None:
    """Checks saw it come back: it is tried at once. Who is not ejected needs no pardon."""
    court = Court(3)
    court.look(b0=(0, 5, 0))
    for at in range(3):
        court.detector.pardon(at, court.now)
    assert [change.state for change in court.look()] == [OutlierState.TRIAL]
    assert court.look(b0=(0, 1, 0))[0].why.endswith("out for 60 s"), "it counts all the same"


def test_errors_on_trial() -> None:
    """Who answers 500 at once would take one request after the other for ever: three in a row, and it is out again."""
    court = Court(3)
    court.look(b0=(0, 0, 20), b1=(20, 0, 0))
    court.now += 30.0
    court.look(b1=(20, 0, 0))
    assert court.look(b0=(2, 0, 0), b1=(20, 0, 0)) == []
    assert court.look(b0=(0, 0, 2), b1=(20, 0, 0)) == [], "one that breaks on a request or two is not broken"
    assert court.look(b0=(2, 0, 0), b1=(20, 0, 0)) == [], "but it has to begin anew"
    assert court.look(b0=(0, 0, 3), b1=(20, 0, 0)) == [
        OutlierChange(0, OutlierState.EJECTED, "3 answers in a row failed when it was tried: out for 60 s")
    ]


def test_errors_on_trial_that_all_have() -> None:
    """Requests that break everybody say nothing about who is tried."""
    court = Court(3)
    court.look(b0=(0, 0, 20), b1=(20, 0, 0))
    court.now += 30.0
    court.look(b1=(1, 0, 9), b2=(1, 0, 9))
    assert court.look(b0=(0, 0, 9), b1=(1, 0, 9), b2=(1, 0, 9)) == []
    assert court.look(b0=(3, 0, 0), b1=(1, 0, 9), b2=(1, 0, 9)) == [OutlierChange(0, OutlierState.FIT, "3 requests passed")]


def test_sins_are_forgiven() -> None:
    """After as long as the longest ejection; and none is longer."""
    court = Court(2, OutlierRules(base=200.0))
    court.look(b0=(0, 5, 0))
    court.now += 200
    court.look()
    assert court.look(b0=(0, 1, 0))[0].why.endswith("out for 300 s")
    court.now += 300
    court.look()
    court.look(b0=(3, 0, 0))
    court.now += 300
    court.look()
    assert court.look(b0=(0, 5, 0))[0].why.endswith("out for 200 s")


def test_switched_off() -> None:
    """Zero is no limit; who was out when the rules changed comes back."""
    court = Court(3, OutlierRules(consecutive=0, rate=0))
    assert court.look(b0=(0, 999, 999)) == []
    court.detector.records[0].state = OutlierState.EJECTED
    assert [change.state for change in court.look()] == [OutlierState.TRIAL]


@given(
    st.integers(1, 6),
    st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=6, max_size=6), max_size=80),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_the_pool_survives_anything(backends: int, looks: list[list[tuple[int, int, int]]], up: list[bool]) -> None:
    """Whatever happens: at most half is out, and somebody who was fit by its checks stays fit."""
    court = Court(backends, OutlierRules(requests=5, window=1.0, base=0.5, longest=1.0))
    court.up = up[:backends]
    for happened in looks:
        court.look(**{f"b{at}": one for at, one in enumerate(happened[:backends])})
        out = sum(state is not OutlierState.FIT for state in court.states())
        assert out * 2 <= backends
        fit = [at for at in range(backends) if court.up[at] and court.states()[at] is OutlierState.FIT]
        assert (
            fit or not any(court.up) or out == 0 or all(s is OutlierState.FIT or court.up[a] for a, s in enumerate(court.states()))
        )


def test_a_failure_that_is_counted_before_its_try_ends() -> None:
    """Is no good answer afterwards."""
    record = OutlierRecord(Counts(10, 0, 0))
    assert record.take(Counts(10, 1, 0), 1.0, 10.0) == (0, 1)
    assert record.take(Counts(11, 1, 0), 1.1, 10.0) == (0, 0)
    assert record.streak == 1
    assert record.take(Counts(12, 1, 0), 1.2, 10.0) == (1, 0)
    assert record.streak == 0


def test_answers_that_are_refused_for_their_form() -> None:
    """The backend is alive: a row of them ejects nobody. At a rate that the others do not have it is left out, and told why."""
    court = Court(3)
    court.counts[0] = Counts(9, 0, 0, 9)
    assert court.look(b1=(20, 0, 0)) == []
    court.counts[0] = Counts(30, 0, 2, 20)
    assert court.look(b1=(20, 0, 0)) == [
        OutlierChange(0, OutlierState.EJECTED, "13 of 21 answers failed (11 for their form): out for 30 s")
    ]
    everybody = Court(2)
    everybody.look()
    everybody.counts = [Counts(100, 0, 0, 100)] * 2
    assert everybody.look() == [], "it is the requests"
