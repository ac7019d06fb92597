"""What is wrong with rules is told with the file and the line where it stands, whatever form the engine says it in."""

from __future__ import annotations

import pytest

from lbproxy.waf.faults import BadRules, RuleFault, RuleIds, bad, from_engine

ADDRESS = "Rules must have an ID. File: 0x55d348596550 at line: 4"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("Rules error. File: /b.conf. Line: 3. Column: 12. Invalid input:  x ", RuleFault("/b.conf", 3, "Invalid input: x")),
        ("Rules error. File: . Line: 1. Column: 0. Failed to\nload ", RuleFault("/a.conf", 1, "Failed to load")),
        ("Rules error. File: /a.conf. Line: 7. Column: 1. ", RuleFault("/a.conf", 7, "the engine refuses what stands here")),
        (ADDRESS, RuleFault("/a.conf", 4, "Rules must have an ID")),
        ("Rule id: 9 is duplicated\n", RuleFault("/a.conf", 0, "the id 9 is taken")),
        ("Something else", RuleFault("/a.conf", 0, "Something else")),
        ("", RuleFault("/a.conf", 0, "the engine refuses it")),
        ("Rules error. File: /b. Line: 3. Column: 12. " + "x" * 5000, RuleFault("/b", 3, "x" * 300)),
    ],
)
def test_what_the_engine_says(said: str, fault: RuleFault) -> None:
    """Of the file, or of one that it names."""
    assert from_engine("/a.conf", said, RuleIds()) == fault


def test_an_id_that_comes_twice() -> None:
    """Where the second one stands, and where the first; a file that is read twice has all of them at one place."""
    known = RuleIds()
    for path in ("/a.conf", "/b.conf"):
        known.note(path, '\nSecAction "id:9"\n')
    known.note("/c.conf", 'SecAction "id:200001"')
    assert str(from_engine("/x", "Rule id: 9 is duplicated", known)) == "/b.conf:2: the id 9 is taken: that rule is /a.conf:2"
    ours = from_engine("/x", "Rule id: 200001 is duplicated", known)
    assert str(ours).startswith("/c.conf:1: the id 200001 is taken: that rule is")
    assert "lbproxy's own" in ours.what


def test_as_text() -> None:
    """All of them, with as much of the place as there is."""
    faults = [RuleFault("/a", 2, "x"), RuleFault("/a", 0, "y"), RuleFault("", 0, "z")]
    assert str(BadRules(faults)) == "/a:2: x\n/a: y\nz"
    assert str(bad("z")) == "z"
