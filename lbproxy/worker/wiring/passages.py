"""The names that a listener passes through without decrypting anything, as a worker's objects."""

from __future__ import annotations

from collections.abc import Mapping

from lbproxy.balance.pool import Pool
from lbproxy.config.model import Config, ListenConfig
from lbproxy.proxy.passed import Passage


class Passages:
    """Where one listener's clients go, by the name that they ask for."""

    def __init__(self, by_name: Mapping[str, Passage]) -> None:
        """By name, exact, "*.example.com", or "*" for all others."""
        self._by_name = by_name
        self._others = by_name.get("*")

    def find(self, name: str) -> Passage | None:
        """An exact name before one of one label more; None: not passed through. `name`: in lower case; "": for none."""
        found = self._by_name.get(name) or self._by_name.get(f"*.{name.partition('.')[2]}")
        return self._others if found is None else found


def make_passages(listen: ListenConfig, config: Config, pools: Mapping[str, Pool]) -> Passages | None:
    """`pools`: by name. None: it passes nothing through."""
    if not listen.passthrough:
        return None
    made = {name: _passage(config, pools[name]) for name in {pool for _, pool in listen.passthrough}}
    return Passages({name: made[pool] for name, pool in listen.passthrough})


def _passage(config: Config, pool: Pool) -> Passage:
    settings = config.pool(pool.name)
    times = config.timeouts.nearer(settings.timeouts)
    return Passage(pool, times.connect, times.write_stall, times.tunnel, settings.proxy_protocol or "")
