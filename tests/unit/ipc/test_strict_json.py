from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.ipc.strict_json import NotStrict, strict_object


def test_an_object() -> None:
    assert strict_object('{"a": 1, "b": "x", "c": true, "d": null}') == {"a": 1, "b": "x", "c": True, "d": None}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "wanted a JSON object, came list"),
        ("7", "wanted a JSON object, came int"),
        ('{"a": 1, "a": 1}', "a field stands twice"),
        ('{"a": {"b": 1, "b": 2}}', "a field stands twice"),
        ('{"a": 1.0}', "no field takes the number 1.0"),
        ('{"a": NaN}', "no field takes the number NaN"),
        ('{"a": -Infinity}', "no field takes the number -Infinity"),
        ('{"a": 1234567890123456789}', "a number of 19 digits"),
        ('{"a": 1} x', "Extra data"),
        ('{"a": ' + "[" * 100_000, "recursion"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotStrict, match=f"(?i){why}"):
        strict_object(text)


@given(st.dictionaries(st.text(), st.integers(-(10**16), 10**17) | st.text() | st.booleans() | st.none()))
def test_what_is_plain_comes_through(fields: dict[str, object]) -> None:
    assert strict_object(json.dumps(fields)) == fields


@given(st.text())
def test_nothing_else_comes_out(text: str) -> None:
    try:
        assert isinstance(strict_object(text), dict)
    except NotStrict:
        pass
