"""Every case of tests/corpus/caching, by the section of the standard that it is of."""

from __future__ import annotations

import re

import pytest

from lbproxy.http.caching import heads
from lbproxy.http.caching.conditional import BodyWanted, asking_anew, part_of, same, unchanged
from lbproxy.http.caching.dates import seconds_of
from lbproxy.http.caching.invalidating import succeeded, targets
from lbproxy.http.caching.lifetime import Arrival, Defaults
from lbproxy.http.caching.serving import use_of
from lbproxy.http.caching.storing import StorableAnswer, Verdict, credentials, judge
from lbproxy.http.caching.structured import dictionary
from lbproxy.http.caching.variants import variant_of
from lbproxy.http.date import date_line
from lbproxy.http.message import RequestHead, ResponseHead
from tests.corpus.caching.read import NOW, Case, cases, everything
from tests.unit.http.heads import request, response

ASKED = 5000.0
"""Of the clock that is never set."""


def lines(column: str) -> list[bytes]:
    return [line.strip().encode() for line in re.split(r"(?:^| )//(?: |$)", column) if line.strip()]


def asked(column: str) -> tuple[RequestHead, dict[str, str]]:
    """(the request, what is said of it beside its fields)."""
    first, *fields = lines(column) or [b"GET"]
    if b":" in first:
        first, fields = b"GET", [first, *fields]
    method, *facts = first.decode().split()
    return request(*fields, line=f"{method} / HTTP/1.1".encode()), dict(fact.partition("=")[::2] for fact in facts)


def answer(column: str, dated: bool = True) -> ResponseHead:
    said = lines(column)
    status = said.pop(0) if said and b":" not in said[0] else b"200"
    none = b"nodate" in said
    said = [line for line in said if line != b"nodate"]
    if dated and not none and not any(line.lower().startswith(b"date:") for line in said):
        said.append(date_line(NOW)[2:])
    method = b"HEAD" if int(status) in (100, 103) else b"GET"
    return response(*said, line=b"HTTP/1.1 " + status + b" X", method=method)


def judged(ask: str, said: str) -> Verdict:
    head, facts = asked(ask)
    delay = float(facts.get("delay", 0))
    defaults = Defaults(float(facts.get("ttl", 0)), float(facts.get("swr", 0)), float(facts.get("error", 0)))
    return judge(head, "personal" in facts, answer(said), Arrival(ASKED, ASKED + delay, float(NOW)), defaults)


def named(case: Case) -> str:
    return case.name


def test_there_are_enough() -> None:
    """The corpus is all there, and every word of it is tried."""
    assert len(everything()) >= 300
    words = {"keep", "stored", "merge", "variant", "use", "anew", "same", "stale", "dict", "date", "has", "part"}
    assert {case.word for case in everything()} == words


@pytest.mark.parametrize("case", cases("keep"), ids=named)
def test_keep(case: Case) -> None:
    """What is stored, how long for; or why not."""
    ask, said, outcome = case.columns
    verdict = judged(ask, said)
    if not isinstance(verdict, StorableAnswer):
        assert verdict == outcome
        return
    delay = float(asked(ask)[1].get("delay", 0))
    now, life = ASKED + delay, verdict.lifetime
    found = {
        "fresh": max(0, round(life.fresh_until - now)), "stale": max(0, round(life.stale_until - now)),
        "error": max(0, round(life.error_until - now)), "age": life.age(now), "vary": b",".join(verdict.names).decode(),
        "anybody": verdict.for_anybody, "immutable": verdict.immutable,
    }  # fmt: skip
    wanted = dict(fact.partition("=")[::2] for fact in outcome.split())
    assert "fresh" in wanted, f"stored: {found}"
    for name, value in wanted.items():
        assert str(found[name]) == (value or "True"), name
    assert ("vary" in wanted) == bool(found["vary"])
    assert "immutable" in wanted or not found["immutable"]


@pytest.mark.parametrize("case", cases("use"), ids=named)
def test_use(case: Case) -> None:
    """What becomes of a stored answer of that age."""
    control, ask, age, outcome = case.columns
    kept = judged("GET", f"200 // Cache-Control: {control} // ETag: \"a\"")
    assert isinstance(kept, StorableAnswer)
    head, facts = asked(ask)
    personal = "personal" in facts or credentials(head)
    assert use_of(kept, head, personal, ASKED + float(age), "respects" in facts).name == outcome


@pytest.mark.parametrize("case", cases("stored"), ids=named)
def test_stored(case: Case) -> None:
    """The fields that are left of an answer."""
    said, wanted = case.columns
    head = heads.stored(answer(said, dated=False), b"\r\nDate: x")
    assert head.split(b"\r\n")[1:] == [*lines(wanted), b"Date: x"]


@pytest.mark.parametrize("case", cases("merge"), ids=named)
def test_merge(case: Case) -> None:
    """The fields of a stored answer behind a 304."""
    stored, anew, wanted = ([b"HTTP/1.1 200 OK", *lines(column)] for column in case.columns)
    assert sorted(heads.merged(b"\r\n".join(stored), b"\r\n".join(anew)).split(b"\r\n")) == sorted(wanted)


@pytest.mark.parametrize("case", cases("variant"), ids=named)
def test_variant(case: Case) -> None:
    """Whether two requests get the same answer."""
    names = [name.encode() for name in case.columns[0].split(",")]
    one, other = (b"\r\n".join([b"GET / HTTP/1.1", *lines(column)[1:], b"", b""]) for column in case.columns[1:3])
    first, second = variant_of(b"s", b"key", one, names), variant_of(b"s", b"key", other, names)
    assert first is not None
    assert (first == second) == (case.columns[3] == "same")


@pytest.mark.parametrize("case", cases("anew"), ids=named)
def test_anew(case: Case) -> None:
    """The conditions by which it is validated."""
    assert asking_anew(answer(case.columns[0])) == b"".join(b"\r\n" + line for line in lines(case.columns[1]))


@pytest.mark.parametrize("case", cases("same"), ids=named)
def test_same(case: Case) -> None:
    """Whether a 304 means what is stored."""
    assert same(answer(case.columns[0]), answer("304 // " + case.columns[1])) == (case.columns[2] == "yes")


@pytest.mark.parametrize("case", cases("stale"), ids=named)
def test_stale(case: Case) -> None:
    """What an unsafe request makes stale."""
    said = answer(case.columns[0])
    found = list(targets(said, b"https", (b"example.com",), b"/dir/page?q")) if succeeded(said) else []
    assert [each.decode() for each in found] == case.columns[1].split()


@pytest.mark.parametrize("case", cases("dict"), ids=named)
def test_dict(case: Case) -> None:
    """The keys of a dictionary."""
    found = dictionary(case.columns[0].encode())
    assert ("none" if found is None else " ".join(key.decode() for key in found)) == case.columns[1]


@pytest.mark.parametrize("case", cases("date"), ids=named)
def test_date(case: Case) -> None:
    """When it is."""
    found = seconds_of(case.columns[0].encode(), NOW)
    assert ("none" if found is None else str(found)) == case.columns[1]


@pytest.mark.parametrize("case", cases("has"), ids=named)
def test_has(case: Case) -> None:
    """Whether the client has it already."""
    said = answer(case.columns[1], dated="Last-Modified" in case.columns[1])
    assert unchanged(asked(case.columns[0])[0], said, NOW) == (case.columns[2] == "yes")


@pytest.mark.parametrize("case", cases("part"), ids=named)
def test_part(case: Case) -> None:
    """Which bytes a request gets."""
    found = part_of(asked(case.columns[0])[0], answer(case.columns[1]), 10, NOW)
    wanted = case.columns[2]
    if re.match(r"\d", wanted):
        assert (found.wants, f"{found.first}-{found.last}") == (BodyWanted.PART, wanted)
    else:
        assert found.wants.name.lower() == wanted
