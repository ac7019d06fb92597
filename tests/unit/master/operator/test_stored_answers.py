"""lbproxy.master.operator.stored_answers: what operators ask of the cache."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.balance.ledger import WHOLE_SIZE, Ledger, Scalar, scalar_at
from lbproxy.cache.keeper import ShownEntry
from lbproxy.cache.layout import Counter
from lbproxy.cache.purges import Purge
from lbproxy.master.operator.requests import Answer, CacheAction, CacheRequest
from lbproxy.master.operator.stored_answers import carry_out
from lbproxy.observe.cache_names import CACHE_COUNTS


class Keeping:
    """A cache, or none."""

    def __init__(self, there: bool = True) -> None:
        self.there = there
        self.purged: list[tuple[Purge, bytes]] = []

    def purge(self, what: Purge, text: bytes) -> str:
        """See Keeps."""
        self.purged.append((what, text))
        return "" if self.there else "no cache is configured"

    def usage(self) -> dict[str, int]:
        """See Keeps."""
        return {"memory": 4096} if self.there else {}

    def search(self, url: bytes, told: Callable[[list[ShownEntry]], None]) -> bool:
        """See Keeps."""
        if self.there:
            told([ShownEntry(url, b"no head of ours", 17, 3, "files", 2)])
        return self.there


def asked(keeping: Keeping, action: CacheAction, text: str = "") -> Answer:
    """The one answer."""
    answers: list[Answer] = []
    ledger = Ledger(bytearray(WHOLE_SIZE))
    ledger.set_children(1)
    ledger.cells[scalar_at(0, Scalar.CACHE + Counter.EVICTED)] = 5
    carry_out(CacheRequest(action, text), keeping, ledger, answers.append)
    assert len(answers) == 1
    return answers[0]


@pytest.mark.parametrize(("action", "text", "purged"), [
    ("url", "HTTP://A:80/x", (Purge.URL, b"http://a/x")), ("prefix", "https://a/st", (Purge.PREFIX, b"https://a/st")),
    ("tag", "blue", (Purge.TAG, b"blue")), ("all", "", (Purge.ALL, b"")),
])  # fmt: skip
def test_purges(action: CacheAction, text: str, purged: tuple[Purge, bytes]) -> None:
    """As records have it."""
    keeping = Keeping()
    assert asked(keeping, action, text) == {"ok": True}
    assert keeping.purged == [purged]
    assert not asked(Keeping(there=False), action, text)["ok"]


@pytest.mark.parametrize(("action", "text"), [("url", "/x"), ("prefix", "a"), ("tag", " "), ("tag", "\u00e4"), ("show", "x")])
def test_what_nothing_is_stored_under(action: CacheAction, text: str) -> None:
    """It is said, and nothing is purged."""
    keeping = Keeping()
    answer = asked(keeping, action, text)
    assert not answer["ok"]
    assert "wanted a" in str(answer["error"])
    assert keeping.purged == []


def test_figures() -> None:
    """How full it is, and what became of answers, by names in the order of the counters."""
    assert tuple(counter.name.lower() for counter in Counter) == CACHE_COUNTS
    answer = asked(Keeping(), "stats")
    assert answer["usage"] == {"memory": 4096}
    counts = answer["counts"]
    assert isinstance(counts, dict)
    assert counts["evicted"] == 5
    assert sum(counts.values()) == 5
    assert not asked(Keeping(there=False), "stats")["ok"]


def test_what_is_stored() -> None:
    """With what the policy keeps beside it."""
    entry = {"url": "http://a/x", "size": 17, "where": "file", "ring": "files", "uses": 2, "meta": "no head of ours"}
    assert asked(Keeping(), "show", "http://a/x") == {"ok": True, "entries": [entry]}
    assert not asked(Keeping(there=False), "show", "http://a/x")["ok"]
