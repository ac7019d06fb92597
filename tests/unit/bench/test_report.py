"""The table and the JSON."""

from __future__ import annotations

import json

import pytest

from bench.macro.figures import Sample, Spread, rows
from bench.macro.report import as_json, spread_text, table

SAMPLES = [
    Sample("tiny", "nginx", 0, 20.0, 30000.0, 0.6, 1.5, 4.0, 10.0, 0),
    Sample("tiny", "lbproxy", 0, 30.0, 20000.0, 0.6, 2.5, 6.0, 80.0, 3),
    Sample("tiny", "nginx", 1, 22.0, 30000.0, 0.6, 1.5, 4.0, 10.0, 0),
    Sample("tiny", "lbproxy", 1, 33.0, 20000.0, 0.6, 2.5, 6.0, 80.0, 0),
    Sample("idle", "nginx", 0, 13.0, pss_mib=38.0),
    Sample("idle", "lbproxy", 0, 19.5, pss_mib=120.0),
]


def test_a_spread_names_its_ends_only_when_they_differ() -> None:
    assert spread_text(Spread(25.14, 24.0, 26.3), 1) == "25.1 (24.0-26.3)"
    assert spread_text(Spread(25.14, 25.14, 25.14), 2) == "25.14"


def test_the_table_shows_each_case_once_with_its_ratios_and_errors() -> None:
    lines = table(rows(SAMPLES, ["nginx", "lbproxy"], "lbproxy"), "lbproxy").splitlines()
    assert lines[0].split("  ")[0] == "case"
    assert set(lines[1]) == {"-"}
    assert " ".join(lines[2].split()) == "tiny nginx 21.0 (20.0-22.0) 1.50 x 1.50 x 30000 0.60 1.50 4.00 10 0"
    assert " ".join(lines[3].split()) == "lbproxy 31.5 (30.0-33.0) 20000 0.60 2.50 6.00 80 3"
    assert " ".join(lines[5].split()) == "idle nginx 13.0 KiB 1.50 x 1.50 x 38"
    assert " ".join(lines[6].split()) == "lbproxy 19.5 KiB 120"


def test_columns_of_figures_end_at_the_same_place() -> None:
    lines = table(rows(SAMPLES[:4], ["nginx", "lbproxy"], "lbproxy"), "lbproxy").splitlines()
    assert len(lines[0]) == len(lines[2]) == len(lines[3])


def test_the_json_holds_facts_rows_and_every_sample() -> None:
    found = rows(SAMPLES, ["nginx", "lbproxy"], "lbproxy")
    read = json.loads(as_json({"facts": {"kernel": "6.1"}, "rows": found, "samples": SAMPLES}))
    assert read["facts"] == {"kernel": "6.1"}
    assert [row["ratio"] and row["ratio"]["mid"] for row in read["rows"]] == [1.5, None, 1.5, None]
    assert len(read["samples"]) == len(SAMPLES)


def test_what_is_no_json_is_not_written_as_something_else() -> None:
    with pytest.raises(TypeError, match="got set"):
        as_json({"facts": {1, 2}})
