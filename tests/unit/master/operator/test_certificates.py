"""Certificates as status, metrics and `lbproxy cert` tell of them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from lbproxy.config.model import Address, ListenConfig, ListenTlsConfig
from lbproxy.master.operator.certificates import asked_for, dates, listed
from lbproxy.master.resources.generation import Listening
from lbproxy.tls.contexts import credentials, read_pem
from lbproxy.tls.keystore import KeyStore
from tests.unit.tls.files import NOW, pair


def listening(tmp_path: Path, unknown: str = "first") -> Listening:
    pairs = (pair(tmp_path, "a.test", end=timedelta(days=60)), pair(tmp_path, "b.test", "10.0.0.1", end=timedelta(days=20)))
    listen = ListenConfig(Address("127.0.0.1", 443), pairs, ListenTlsConfig(unknown_name=unknown))
    store = KeyStore()
    nowhere = cast("Any", None)
    return Listening(listen, nowhere, None, credentials(listen, [read_pem(each, store) for each in pairs], NOW))


def test_those_that_end_first_come_first(tmp_path: Path) -> None:
    """With what keeps a renewed one from being shown."""
    one = listening(tmp_path)
    found = listed([one, Listening(one.listen, one.socket, None, None)], {one.listen.certificates[1]: "why"}, NOW.timestamp())
    assert [(each["names"], each["days_left"], each["default"], each["refused"]) for each in found] == [
        (["b.test", "10.0.0.1"], 20.0, False, "why"), (["a.test"], 60.0, True, ""),
    ]  # fmt: skip
    assert found[0]["kind"] == "EC"
    told = json.loads(dates([one]))
    assert [each[0] for each in told] == ["127.0.0.1:443"] * 2
    assert [each[2] for each in told] == ["b.test", "a.test"]


@pytest.mark.parametrize(("name", "unknown", "shown"), [
    ("B.test", "first", [("b.test", False)]), ("10.0.0.1", "first", [("b.test", False)]), ("c.test", "first", [("a.test", True)]),
    ("c.test", "refuse", []),
])  # fmt: skip
def test_who_asks_for_a_name(tmp_path: Path, name: str, unknown: str, shown: list[tuple[str, bool]]) -> None:
    """What is shown, with its chain, and whether only because there is nothing better."""
    found = asked_for(name, [listening(tmp_path, unknown)], {}, NOW.timestamp())
    assert [(each["names"][0], each["by_default"]) for each in found] == shown  # type: ignore[index]  # a list
    assert all(str(each["chain"]).startswith("-----BEGIN CERTIFICATE") for each in found)
