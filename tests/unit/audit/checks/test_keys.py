"""Private keys whose modes nobody minds."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from lbproxy.audit.checks.keys import MOST, of_keys, unguarded
from lbproxy.config.model import CertificateConfig
from tests.unit.audit.site import site
from tests.unit.config.text import BASE


def test_where_modes_are_not_minded() -> None:
    """Listeners' own pairs, those of folders, and what is shown to backends."""
    assert list(unguarded(site())) == []
    config = site(
        instead='key = "a.key" }] -> key = "a.key", key_mode = "any" }]',
        pool='[pool.two]\nbackends = ["10.0.0.2:443"]\ntls = { cert = "b.crt", key = "b.key", key_mode = "any" }',
    )
    assert [(file, path) for file, path, _ in unguarded(config)] == [
        (BASE / "a.key", ("listen", 0, "certificates", 0, "key_mode")),
        (BASE / "b.key", ("pool", "two", "tls", "key_mode")),
    ]
    listed = (CertificateConfig(Path("/c/x.crt"), Path("/c/x.key"), "any"),)
    folder = replace(config.listen[0], certificates=(), folder=Path("/c"), folder_key_mode="any", listed=listed)
    found = list(unguarded(replace(config, listen=(folder,), pools=())))
    assert found == [(Path("/c/x.key"), ("listen", 0, "key_mode"), folder.line)]


@pytest.mark.parametrize(("mode", "told"), [
    (0o600, False), (0o640, False), (0o644, True), (0o444, True), (0o660, True), (0o602, True), (None, False),
])  # fmt: skip
def test_modes(mode: int | None, told: bool) -> None:
    """A group that reads is one that was made for it."""
    whole = None if mode is None else stat.S_IFREG | mode
    found = [(check.id, evidence.value) for check, evidence in of_keys([(Path("/k"), ("listen", 0), 3, whole)])]
    assert found == ([("key-readable", f"/k is {mode:04o}")] if told else [])


def test_a_folder_of_thousands_is_told_of_in_part() -> None:
    assert len(list(of_keys([(Path("/k"), ("listen", 0), 3, 0o644)] * 1000))) == MOST
