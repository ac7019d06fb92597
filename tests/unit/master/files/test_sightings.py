"""What was seen of files, and when, is kept for operators."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.master.files.looks import Difference, Group, Marks, PairFolder
from lbproxy.master.files.sightings import MOST_TOLD, Sightings
from lbproxy.tls.keystore import Stamp

PAIR = ("/c/a.crt", "/c/a.key")
FOLDER = PairFolder("/c", ())


def marks(number: int) -> Marks:
    return Stamp(1, number, 1, 1), Stamp(1, number, 1, 2)


class Judge:
    """Of one pair in a folder."""

    def __init__(self) -> None:
        self.live: dict[tuple[str, ...], Marks] = {PAIR: marks(1)}

    def watched(self) -> Iterator[Group]:
        yield from (Group(files, of, FOLDER) for files, of in self.live.items())

    def folders(self) -> Iterator[PairFolder]:
        yield FOLDER


def test_a_change_is_live_when_it_is_taken_over() -> None:
    judge, now = Judge(), [100.0]
    seen = Sightings([judge], lambda: now[0])
    assert seen.told() == {"files": 2, "folders": 1, "looked": None, "changes": []}
    seen.looked([])
    assert seen.told()["looked"] == 100.0
    now[0] = 102.0
    seen.looked([Difference(PAIR, marks(2), FOLDER)])
    change = {"file": PAIR[0], "seen": 102.0, "gone": False, "taken_over": False}
    assert seen.told() == {"files": 2, "folders": 1, "looked": 102.0, "changes": [change]}
    judge.live[PAIR] = marks(2)
    now[0] = 104.0
    seen.looked([])
    assert seen.told() == {"files": 2, "folders": 1, "looked": 104.0, "changes": [change | {"taken_over": True}]}


def test_what_goes_from_a_folder() -> None:
    judge = Judge()
    seen = Sightings([judge], lambda: 5.0)
    seen.looked([Difference(PAIR, (), FOLDER)])
    change = {"file": PAIR[0], "seen": 5.0, "gone": True, "taken_over": False}
    assert seen.told()["changes"] == [change]
    judge.live.clear()
    assert seen.told()["changes"] == [change | {"taken_over": True}]


def test_the_last_ones_are_kept_each_file_once() -> None:
    seen = Sightings([Judge()], lambda: 5.0)
    for number in range(3 * MOST_TOLD):
        seen.looked([Difference((f"/c/{number}",), (None,)), Difference(("/c/same",), (None,))])
    told = [one["file"] for one in seen.told()["changes"]]
    assert len(told) == MOST_TOLD
    assert told.count("/c/same") == 1
    assert told[0] == "/c/same"
