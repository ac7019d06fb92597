from __future__ import annotations

from html.parser import HTMLParser

import pytest

from lbproxy.control.page import duration, page
from lbproxy.observe.cache_totals import CacheTotals
from lbproxy.observe.waf_totals import WafTotals
from tests.unit.observe.sample import backend, snapshot

VOID = {"meta"}


class Document(HTMLParser):
    """Collects text by row, and sees to it that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.title = ""
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        if self.open and self.open[-1] == "title":
            self.title += data


def test_a_row_per_backend() -> None:
    """With its numbers in the columns their headings tell."""
    down = backend("web", "b:80", health="down", requests=1_234_567, why="bad status: <503>", next_check=1_063.0)
    document = Document(page(snapshot(backend(), backend("api", "a:80", drained=True), down)))
    headings = document.rows[0]
    rows = [dict(zip(headings, row, strict=True)) for row in document.rows if len(row) == len(headings) and row != headings]
    assert document.rows[-1] == ["a.test", "127.0.0.1:443", "1"]  # of certificates, the days that are left
    assert [row["State"] for row in rows] == ["up", "drained", "down"]
    assert rows[0]["Backend"] == "10.0.0.1:80"
    assert [rows[0][name] for name in ("For", "In flight", "Failures", "Failed checks")] == ["59 s", "2", "4", "1"]
    assert rows[2]["Requests"] == "1,234,567"
    assert [rows[2][name] for name in ("For", "Why", "Asked next")] == ["59 s", "bad status: <503>", "in 3 s"]
    assert [rows[0][name] for name in ("Why", "Asked next")] == ["", ""]


def test_the_title_tells_what_matters() -> None:
    """It is what a browser's tab shows."""
    assert Document(page(snapshot(backend(), backend(name="b:1", health="down")))).title == "lbproxy: 1 of 2 backends usable"
    assert Document(page(snapshot(backend("web", health="down")))).title == "lbproxy: no usable backend in web"


def test_names_cannot_be_markup() -> None:
    """Everything of the configuration is escaped, in text and title."""
    nasty = "<script>alert('x')</script>&\""
    text = page(snapshot(backend(nasty, nasty, health="down")))
    assert "<script" not in text
    document = Document(text)
    assert document.rows[1][0] == nasty
    assert nasty in document.title


def test_nothing_comes_from_elsewhere() -> None:
    """No sources, no links, no imports."""
    text = page(snapshot(backend()))
    assert Document(text).links == []
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (86400 * 9.5, "9 d")],
)
def test_durations(seconds: float, text: str) -> None:
    """One unit is enough; a clock set back is no disaster."""
    assert duration(seconds) == text


def test_the_cache_has_its_figures() -> None:
    """Where there is one."""
    made = snapshot()
    assert "Cache" not in page(made)
    cache = CacheTotals(results=(70, 2, 1, 3, 5, 20, 0, 0, 0, 6, 0), gauges=(2**20, 0, 2**30, 9, 0, 1024, 1024, 0))
    told = page(made._replace(totals=made.totals._replace(cache=cache)))
    for name, figure in (
        ("Cache hits", "70"), ("Stale, given out", "6"), ("Collapsed", "5"), ("Cache misses", "26"), ("Stored answers", "9"),
        ("Stored KiB", "1,048,578"), ("of KiB", "1,024"), ("Evicted", "0"),
    ):  # fmt: skip
        assert f"<dt>{name}</dt><dd>{figure}</dd>" in told


def test_the_rule_engine_has_its_figures() -> None:
    """Where there is one."""
    made = snapshot()
    assert "Inspectors" not in page(made)
    told = page(made._replace(totals=made.totals._replace(waf=WafTotals(alive=2, rules=((1, 7),), other_rules=2))))
    assert "<dt>Inspectors</dt><dd>2</dd>" in told
    assert "<dt>Rules met</dt><dd>9</dd>" in told
