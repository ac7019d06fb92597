"""Lines of valid TOML by path, whatever stands in its strings."""

from __future__ import annotations

import tomllib

import pytest
import toml
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.locate import Lines, Path

TEXT = (
    r'''# [not.a.table]
title = "a # [b]" # comment
[proxy]
workers = 2
"quoted \"key\"" = 1
a.b . "c d" = 3

multi = """
[fake]
key = 1 \
""" # end
literal = '''
    + r"""'''
it''s ]] "quoted" \
'''
five = '''x'''''
"""
    + r'''
six = """a "quoted" \""" b"""""
empty = """"""
[[listen]]
address = "x"
certificates = [
  { cert = "a", key = "b" }, # }]
  # nothing
  { cert = "c",
    key = "d" } ]
[[listen]]
[listen.tls]
profile = "modern"
[[listen.deep]]
x = 1
[[listen.deep]]
x = 2
[pool.api.health]
path = "/"
[pool.api]
backends = ["one", [1,
 2], 'two',
]
when = 1979-05-27 07:32:00 # date
last = 1e-3
'''
)

# Inline tables over several lines are TOML 1.1; tomllib refuses them, so the scanner never sees them. Kept on one line here.
TEXT = TEXT.replace('{ cert = "c",\n    key = "d" } ]', '{ cert = "c", key = "d" } ]')


def line_with(part: str, occurrence: int = 0) -> int:
    """The number of the line that contains `part`."""
    return [number for number, line in enumerate(TEXT.split("\n"), 1) if part in line][occurrence]


@pytest.mark.parametrize(("path", "line"), [
    (("title",), line_with("title")),
    (("proxy",), line_with("[proxy]")),
    (("proxy", "workers"), line_with("workers")),
    (("proxy", 'quoted "key"'), line_with("quoted \\")),
    (("proxy", "a", "b", "c d"), line_with("a.b")),
    (("proxy", "multi"), line_with("multi")),
    (("proxy", "literal"), line_with("literal")),
    (("proxy", "five"), line_with("five")),
    (("proxy", "six"), line_with("six")),
    (("proxy", "empty"), line_with("empty")),
    (("listen", 0), line_with("[[listen]]")),
    (("listen", 0, "address"), line_with('address = "x"')),
    (("listen", 0, "certificates", 0, "key"), line_with('cert = "a"')),
    (("listen", 0, "certificates", 1), line_with('cert = "c"')),
    (("listen", 0, "certificates", 1, "cert"), line_with('cert = "c"')),
    (("listen", 1), line_with("[[listen]]", 1)),
    (("listen", 1, "tls"), line_with("[listen.tls]")),
    (("listen", 1, "tls", "profile"), line_with("profile")),
    (("listen", 1, "deep", 0, "x"), line_with("x = 1")),
    (("listen", 1, "deep", 1, "x"), line_with("x = 2")),
    (("pool",), line_with("[pool.api.health]")),
    (("pool", "api"), line_with("[pool.api]")),
    (("pool", "api", "health", "path"), line_with("path")),
    (("pool", "api", "backends", 0), line_with('"one"')),
    (("pool", "api", "backends", 1, 1), line_with(" 2], 'two'")),
    (("pool", "api", "backends", 2), line_with("'two'")),
    (("pool", "api", "when"), line_with("when")),
    (("pool", "api", "last"), line_with("last")),
])  # fmt: skip
def test_lines(path: Path, line: int) -> None:
    """Every kind of place is found on its line."""
    tomllib.loads(TEXT)  # the text is valid, or the test means nothing
    assert Lines(TEXT).of(path) == line


def test_what_is_absent_is_where_it_would_be() -> None:
    """A missing key is complained of on the line of its table."""
    lines = Lines(TEXT)
    assert lines.of(("proxy", "absent")) == line_with("[proxy]")
    assert lines.of(("listen", 1, "tls", "absent", 3)) == line_with("[listen.tls]")
    assert lines.of(("absent",)) == 1
    assert lines.of(()) == 1


def places(value: object, path: Path = ()) -> list[tuple[Path, object]]:
    """Every leaf below `value`."""
    if isinstance(value, dict):
        return [place for key, inner in value.items() for place in places(inner, (*path, key))]
    if isinstance(value, list):
        return [place for index, inner in enumerate(value) for place in places(inner, (*path, index))]
    return [(path, value)]


keys = st.text("ab_-.\"'#[]= \u00e9", min_size=1, max_size=4)
strings = st.text("ab\"'#[]{}=,\\ \u00e9", max_size=8)
leaves = st.one_of(strings, st.integers(-9, 9), st.booleans())
tables = st.recursive(
    st.dictionaries(keys, leaves, max_size=3),
    lambda inner: st.dictionaries(keys, st.one_of(leaves, inner, st.lists(inner, min_size=1, max_size=3)), max_size=4),
    max_leaves=12,
)


@given(tables)
def test_any_toml_that_tomllib_accepts(table: dict[str, object]) -> None:
    """Text from a writer we did not write: every key is found on a line that contains it."""
    text = toml.dumps(table)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # the writer has gaps; what it wrote is no TOML
    lines = Lines(text)
    numbered = text.split("\n")
    for path, value in places(values):
        line = numbered[lines.of(path) - 1]
        assert "=" in line, (path, line)
        if isinstance(value, bool | int):
            assert line.endswith(str(value).lower()), (path, line)
