"""Names of policies: each makes its own, and what is forgotten shows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lbproxy.balance.least_connections import LeastConnections
from lbproxy.balance.ledger import SIZE, Ledger
from lbproxy.balance.policies import make
from lbproxy.balance.policy import Ground, Policy
from lbproxy.config.vocabulary import BALANCE

FOLDER = Path(__file__).resolve().parents[3] / "lbproxy/balance"


def made(name: str) -> Policy:
    return make(name, Ground(Ledger(bytearray(SIZE)).cells, [3, 4, 5], random.Random(1).random))


def test_every_name_makes_its_own() -> None:
    """But for source_hash, whose own part is the ring that a keyed pool asks first: this is for requests without a source."""
    kinds = {name: type(made(name)) for name in BALANCE}
    assert kinds.pop("source_hash") is LeastConnections
    assert len(set(kinds.values())) == len(kinds)
    assert kinds["least_conn"] is LeastConnections


def test_every_policy_has_a_name() -> None:
    """A file with a function `make` that no name stands for could never be asked for."""
    files = {path.stem for path in FOLDER.glob("*.py") if "def make(ground: Ground)" in path.read_text(encoding="utf-8")}
    assert files == {policy.module for policy in BALANCE.values()}


def test_an_unknown_name_is_an_error() -> None:
    """It does not silently become another one; those that there are are told."""
    with pytest.raises(ValueError, match='no policy "least_con"; there are: least_conn, round_robin, random_two'):
        made("least_con")


@pytest.mark.parametrize("name", BALANCE)
def test_all_of_them_place_requests(name: str) -> None:
    """On one of those that may take it, whatever the loads."""
    policy, chance = made(name), random.Random(2)
    for _ in range(200):
        usable = chance.sample(range(3), chance.randint(1, 3))
        loads = [chance.randint(0, 9) for _ in range(3)]
        assert policy.choose(usable, loads, [1, 7, 300]) in usable
