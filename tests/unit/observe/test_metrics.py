from __future__ import annotations

import json
import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance import ledger
from lbproxy.http.h2 import engine, session
from lbproxy.http.h2.floods import LIMITS
from lbproxy.observe.metrics import H2_BACKEND_ENDS, H2_ENDS, HEALTH_STATES, exposition, status
from lbproxy.observe.waf_totals import WafTotals
from tests.unit.observe.sample import backend, snapshot

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|\Z)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?)")
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_count")}


class Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float


class Family(NamedTuple):
    kind: str
    help: str
    samples: list[Sample]


def labels_of(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, text[at:]
        assert match[1] not in labels
        labels[match[1]] = re.sub(r"\\(.)", lambda escape: {"n": "\n"}.get(escape[1], escape[1]), match[2])
        at = match.end()
    return labels


def parse(text: str) -> dict[str, Family]:
    """The exposition format 0.0.4, strictly: HELP, then TYPE, then the family's samples, no sample twice."""
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    seen: set[str] = set()
    lines = iter(text[:-1].split("\n"))
    current = ""
    for line in lines:
        if line.startswith("# HELP "):
            _, _, current, words = line.split(" ", 3)
            assert re.fullmatch(NAME, current)
            assert current not in families
            kind_line = next(lines).split(" ")
            assert kind_line[:3] == ["#", "TYPE", current]
            families[current] = Family(kind_line[3], words, [])
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        family = families[current]
        assert match[1] in {current + suffix for suffix in SUFFIXES[family.kind]}
        identity = line.rpartition(" ")[0]
        assert identity not in seen
        seen.add(identity)
        family.samples.append(Sample(match[1], labels_of(match[2] or ""), float(match[3])))
    return families


def test_every_family_is_well_formed() -> None:
    """Names, kinds and words as Prometheus' guidelines want them."""
    families = parse(exposition(snapshot(backend(), backend(name="b:1", health="down"))))
    for name, family in families.items():
        assert name.startswith("lbproxy_")
        assert name.endswith("_total") == (family.kind == "counter")
        assert family.help.endswith(".")
        assert family.samples
    assert families["lbproxy_build_info"].samples == [Sample("lbproxy_build_info", {"version": "0.1.0"}, 1)]


def test_traffic() -> None:
    """Counters as they are, statuses by class, large numbers exactly."""
    text = exposition(snapshot())
    families = parse(text)
    assert families["lbproxy_accepting_workers"].samples[0].value == 2
    assert families["lbproxy_requests_total"].samples[0].value == 1234
    assert {sample.labels["class"]: sample.value for sample in families["lbproxy_responses_total"].samples} == {
        "1xx": 1, "2xx": 1200, "3xx": 20, "4xx": 10, "5xx": 2, "other": 1,
    }  # fmt: skip
    assert f"\nlbproxy_received_bytes_total {2**60 + 1}\n" in text
    assert families["lbproxy_generation_start_time_seconds"].samples[0].value == 1000.25


def test_the_histogram_is_cumulative_and_complete() -> None:
    """Bounds rise, counts never fall, +Inf equals the count."""
    samples = parse(exposition(snapshot()))["lbproxy_request_duration_seconds"].samples
    buckets = [sample for sample in samples if sample.name.endswith("_bucket")]
    bounds = [float(sample.labels["le"]) for sample in buckets]
    counts = [sample.value for sample in buckets]
    assert bounds == sorted(set(bounds))
    assert bounds[:3] == [0.0001, 0.0002, 0.0004]
    assert bounds[-2:] == [pytest.approx(419.4304), float("inf")]
    assert counts[:4] == [5, 5, 8, 8]
    assert counts[-1] == samples[-1].value == 10
    assert samples[-1].name.endswith("_count")


def test_backends() -> None:
    """By pool and name; exactly one health state each."""
    families = parse(exposition(snapshot(backend(), backend("web", "b:1", health="down", weight=0))))
    states = families["lbproxy_backend_health"].samples
    on = [(sample.labels["pool"], sample.labels["backend"], sample.labels["state"]) for sample in states if sample.value]
    assert on == [("api", "10.0.0.1:80", "up"), ("web", "b:1", "down")]
    assert len(states) == 2 * len(HEALTH_STATES)
    assert [sample.value for sample in families["lbproxy_backend_usable"].samples] == [1, 0]
    assert [sample.value for sample in families["lbproxy_backend_in_flight"].samples] == [2, 2]
    assert [sample.value for sample in families["lbproxy_backend_check_failures_total"].samples] == [1, 1]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
)
def test_any_name_survives_escaping(pool: str, name: str) -> None:
    """Quotes, backslashes, line feeds and whatever else."""
    samples = parse(exposition(snapshot(backend(pool, name))))["lbproxy_backend_in_flight"].samples
    assert samples[0].labels == {"pool": pool, "backend": name}


def test_usable_and_unready() -> None:
    """Up, enabled and weighted; a pool needs one such backend."""
    assert backend().usable
    assert not backend(health="down").usable
    assert not backend(health="unknown").usable
    assert not backend(drained=True).usable
    assert not backend(weight=0).usable
    mixed = snapshot(backend(), backend(name="b:1", health="down"), backend("web", health="unknown"))
    assert mixed.unready() == ["web"]


def test_status_is_json() -> None:
    """Grouped by pool, statuses and buckets labelled."""
    told = json.loads(json.dumps(status(snapshot(backend(), backend("web", "b:1", health="down")))))
    assert told["totals"]["statuses"]["2xx"] == 1200
    assert told["totals"]["latency"][0] == {"below_seconds": 0.0001, "requests": 5}
    assert told["totals"]["latency"][-1] == {"below_seconds": None, "requests": 2}
    assert told["pools"]["api"]["ready"] is True
    assert told["pools"]["web"]["ready"] is False
    assert told["pools"]["web"]["backends"][0]["check_failures"] == 1
    assert (told["version"], told["generation"]) == ("0.1.0", 3)


def test_the_rule_engine() -> None:
    """Nothing of it where there is none; else its processes, and hits by id with the others in a sum."""
    made = snapshot()
    assert "lbproxy_waf" not in exposition(made)
    told = made._replace(totals=made.totals._replace(waf=WafTotals(2, 5, 1, 3, 4, ((942100, 7), (949110, 6)), 9)))
    lines = exposition(told).splitlines()
    for line in (
        "lbproxy_waf_inspectors 2",
        "lbproxy_waf_inspectors_replaced_total 5",
        "lbproxy_waf_inspectors_late_total 1",
        "lbproxy_waf_waiting_requests 3",
        "lbproxy_waf_unanswered_requests_total 4",
        'lbproxy_waf_rule_hits_total{rule="942100"} 7',
        'lbproxy_waf_rule_hits_total{rule="other"} 9',
    ):
        assert line in lines
    said = json.loads(json.dumps(status(told)))["totals"]["waf"]
    assert (said["alive"], said["rules"]) == (2, {"942100": 7, "949110": 6})


def test_every_end_of_an_connection_over_http_2_has_its_name() -> None:
    """Whatever the engine and floods.py end it for: what is counted as "other" tells nobody anything."""
    by_engine = {*engine._REASONS.values(), *(failure.reason for failure in session._TEXTS.values()), "h2_protocol", "h2_engine"}
    floods = {*LIMITS, "h2_reset_share"}
    assert by_engine | floods | {"h2_stalled"} == set(H2_ENDS) - {"other"}
    assert by_engine - {"h2_preface"} <= set(H2_BACKEND_ENDS)
    assert set(H2_BACKEND_ENDS) - {"other"} <= by_engine | floods | {"h2_stalled", "h2_unasked", "h2_ping_timeout"}
    assert max(len(H2_ENDS), len(H2_BACKEND_ENDS)) <= ledger.H2_ENDS
    assert H2_ENDS[-1] == H2_BACKEND_ENDS[-1] == "other"
