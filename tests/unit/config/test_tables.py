"""Reading key by key: defaults for what is absent or refused, complaints for what is unknown."""

from __future__ import annotations

import tomllib

from lbproxy.config.locate import Lines
from lbproxy.config.parts import ConfigPart, Merged
from lbproxy.config.tables import Report, Table, dotted
from lbproxy.config.values import text, whole

TEXT = """\
[[thing]]
name = "a"
count = "many"
colour = "red"
parts = [1, "x", 3]
inner = 5
"""


def thing() -> Table:
    report = Report("f.toml", Merged(ConfigPart("f.toml", Lines(TEXT), {}), []))
    root = Table(report, (), tomllib.loads(TEXT))
    (item,) = root.items("thing", "a list of tables")
    return root.child(item.path, item.value, "[[thing]]")


def test_reading_goes_on_after_a_refusal() -> None:
    """A refused value becomes the default and a complaint; what follows is read all the same."""
    table = thing()
    assert table.take("count", whole(0, 9), 7) == 7
    assert table.take("absent", whole(0, 9), 8) == 8
    assert table.take("name", text, "") == "a"
    assert table.each("parts", whole(0, 9), "a list of numbers") == (1, 3)
    found = [(complaint.key, complaint.line) for complaint in table.report.complaints]
    assert found == [("thing[0].count", 3), ("thing[0].parts[1]", 5)]


def test_wrong_shapes() -> None:
    """A table that is none reads as an empty one, a list that is none as no items."""
    table = thing()
    assert table.items("name", "a list such as [1]") == []
    assert table.table("inner", "a table { x = 1 }").tables() == {}
    messages = [complaint.message for complaint in table.report.complaints]
    assert messages == ['wanted a list such as [1], got "a"', "wanted a table { x = 1 }, got the number 5"]


def test_missing_and_unknown() -> None:
    """What must be there is missed on the line of its table; what nobody asked for is named with its nearest neighbour."""
    table = thing()
    assert table.need("size", text, "add size") is None
    for known in ("name", "count", "parts", "inner", "color"):
        table.take(known, lambda value: value, None)
    table.close()
    missing, unknown = table.report.complaints
    assert (missing.line, missing.message, missing.hint) == (1, '"size" is missing', "add size")
    assert (unknown.line, unknown.key, unknown.hint) == (4, "thing[0].colour", 'did you mean "color"?')


def test_unknown_with_a_better_idea() -> None:
    """What is right elsewhere is sent there; what resembles nothing is answered with what there is."""
    for elsewhere, hint in (
        (lambda key: f"{key} is a matter of taste", "colour is a matter of taste"),
        (lambda key: "", "known here: name"),
    ):
        table = thing()
        table.take("name", text, "")
        table.close(elsewhere)
        assert {complaint.key: complaint.hint for complaint in table.report.complaints}["thing[0].colour"] == hint


def test_complaints_come_in_file_order() -> None:
    """However they were found."""
    table = thing()
    for key in ("parts", "name", "count"):
        table.complain(key, "bad")
    assert [complaint.line for complaint in table.report.in_file_order()] == [2, 3, 5]


def test_dotted() -> None:
    """Keys that are no bare words are quoted, so that a message cannot write to the terminal what it likes."""
    assert dotted(("pool", "a b", "x\x1b", 0, "k")) == 'pool."a b"."x\\u001b"[0].k'
    assert dotted(()) == ""
