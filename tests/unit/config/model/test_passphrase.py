"""Where a passphrase comes from, as it is written; never itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lbproxy.config.atoms import Passphrase
from lbproxy.config.kinds import Place
from lbproxy.config.model.passphrase import PASSPHRASE


def read(value: object) -> tuple[Any, list[str]]:
    told: list[str] = []
    place = Place(("passphrase",), Path("/base"), lambda path, message, hint: told.append(f"{path}: {message} ({hint})"))
    return PASSPHRASE.read(value, place), told


@pytest.mark.parametrize(("value", "meant"), [
    ({"fd": 3}, Passphrase("fd", ("3",))), ({"credential": "site.key"}, Passphrase("credential", ("site.key",))),
    ({"file": "a.pass"}, Passphrase("file", ("/base/a.pass",))),
    ({"command": ["/bin/cat", "x y"]}, Passphrase("command", ("/bin/cat", "x y"))),
])  # fmt: skip
def test_ways(value: object, meant: Passphrase) -> None:
    """Each reads, and is written as it reads."""
    assert read(value) == (meant, [])
    assert read(PASSPHRASE.write(meant)) == (meant, [])


SECRET = "tr0ub4dor&3"


@pytest.mark.parametrize(("value", "says"), [
    (SECRET, "does not stand in a configuration"), (12345, "does not stand in a configuration"), ([SECRET], "does not stand"),
    ({}, "got 0 of them"), ({"file": "a", "fd": 3}, "got 2 of them"), ({"text": SECRET}, "unknown key"), ({"files": "a"}, '"file"'),
    ({"fd": 0}, "from 3 to 1023"), ({"fd": "3"}, "without quotes"), ({"credential": SECRET}, "name of a credential"),
    ({"credential": "../x"}, "name of a credential"), ({"credential": ".."}, "name of a credential"),
    ({"command": f"echo {SECRET}"}, "no shell"), ({"command": []}, "no shell"), ({"command": ["cat", SECRET]}, "whole path"),
    ({"command": ["/bin/cat", 7]}, "no shell"),
])  # fmt: skip
def test_others_are_refused(value: object, says: str) -> None:
    """With a hint, and without showing what may be a secret."""
    found, told = read(value)
    assert found is None
    assert len(told) == 1
    assert says in told[0]
    assert SECRET not in told[0]
    assert "12345" not in told[0]
