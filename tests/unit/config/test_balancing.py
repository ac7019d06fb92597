"""balance, hash, sticky, tiers."""

from __future__ import annotations

import pytest

from lbproxy.config.model import Hash, PoolConfig, StickyConfig
from tests.unit.config.text import LEAST, complaint, read


def pool(text: str) -> PoolConfig:
    return read(f"{LEAST}{text}").pools[0]


def test_defaults() -> None:
    """Least connections, no cookie, one tier."""
    found = pool("")
    assert (found.balance, found.sticky, found.backends[0].tier) == ("least_conn", None, 0)


@pytest.mark.parametrize(
    ("hash_on", "expected"),
    [
        ("address", Hash("address")),
        ("header X-User", Hash("header", "x-user")),
        ("cookie Session_id", Hash("cookie", "Session_id")),
    ],
)
def test_hash(hash_on: str, expected: Hash) -> None:
    """Names of headers know no case, those of cookies do."""
    found = pool(f'balance = "source_hash"\nhash = "{hash_on}"')
    assert found.hash == expected
    assert str(found.hash) in (hash_on, hash_on.lower())


def test_sticky() -> None:
    """On when the table is there."""
    assert pool("sticky = {}").sticky == StickyConfig()
    full = 'sticky = { cookie = "SRV", same_site = "none", max_age = "1d" }'
    assert pool(full).sticky == StickyConfig("SRV", "none", 86400.0)


def test_tiers() -> None:
    """backup is short for tier 1."""
    text = LEAST.replace(
        '["10.0.0.1:80"]',
        '[{ address = "a:1", tier = 3 }, { address = "b:1", backup = true }, { address = "c:1", backup = false }]',
    )
    assert [backend.tier for backend in read(text).pools[0].backends] == [3, 1, 0]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('balance = "least"', "balance"),
        ('hash = "address"', "hash"),
        ('balance = "source_hash"\nhash = "header"', "hash"),
        ('balance = "source_hash"\nhash = "address x"', "hash"),
        ('balance = "source_hash"\nhash = "header a b"', "hash"),
        ('sticky = { cookie = "a=b" }', "sticky.cookie"),
        ('sticky = { cookie = "" }', "sticky.cookie"),
        ('sticky = { same_site = "no" }', "sticky.same_site"),
        ('sticky = { secret = "x" }', "sticky.secret"),
        ("queue = -1", "queue"),
        ('queue_timeout = "0"', "queue_timeout"),
    ],
)
def test_refused(text: str, key: str) -> None:
    """With the key's name."""
    assert complaint(f"{LEAST}{text}").key == f"pool.app.{key}"


def test_backup_or_tier() -> None:
    """Not both."""
    text = LEAST.replace('["10.0.0.1:80"]', '[{ address = "a:1", tier = 3, backup = true }]')
    assert complaint(text).key == "pool.app.backends[0].backup"
