"""The policies there are, by the names that a pool's `balance` calls them by."""

from __future__ import annotations

from importlib import import_module

from lbproxy.balance.policy import Ground, Policy
from lbproxy.config.vocabulary import BALANCE


def make(name: str, ground: Ground) -> Policy:
    """The policy of that name. Raises ValueError for one that does not exist."""
    if name not in BALANCE:
        raise ValueError(f'there is no policy "{name}"; there are: {", ".join(BALANCE)}')
    made: Policy = import_module(f"lbproxy.balance.{BALANCE[name].module}").make(ground)
    return made
