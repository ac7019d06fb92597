"""Looks at private keys whose outcome is no secret, in processes of their own (fork.py)."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path

from lbproxy.config.model import Config, ListenConfig
from lbproxy.errors import Complaint
from lbproxy.tls import passphrase, selfsigned
from lbproxy.tls.audit import audit
from lbproxy.tls.folder_audit import Unusable, audit_folder, without_unusable
from lbproxy.tls.fork import PATIENCE, all_apart, apart
from lbproxy.tls.harvest import Crate, Harvest

PER_PAIR = 0.1
"""Seconds more for each listener's certificate, with its key, and for each pool: large configurations are read for longer."""
MOST_AT_ONCE = 8
WORTH_A_PROCESS = 1000
"""Pairs of a folder."""


def patience(config: Config) -> float:
    """Seconds for all that its files hold."""
    return PATIENCE + PER_PAIR * (sum(len(listen.pairs) for listen in config.listen) + len(config.pools))


def audit_apart(config: Config, harvest: Harvest | None = None) -> tuple[Config, list[Complaint]]:
    """See audit.audit; and the configuration without what cannot be used of its folders. `harvest` gets what was read meanwhile.
    Raises StartError and OSError."""
    passphrase.adopt(config)
    files = (*(listen.secure for listen in config.listen), *(pool.tls for pool in config.pools), config.proxy.ticket_keys)
    if not any((config.acme, *files)):
        return config, []

    slices = [(number, span) for number, listen in enumerate(config.listen) for span in _slices(_to_judge(listen))]
    crates = [Crate.empty() for _ in slices] if harvest is not None else []
    works: list[Callable[[], object]] = [lambda: [list(each) for each in audit(config)]]
    works += [
        partial(_folder, config.listen[number], span, crate, isolated=config.proxy.key_isolation)
        for (number, span), crate in zip_longest(slices, crates)
    ]
    try:
        told, *found = all_apart(works, patience(config))
    except BaseException:
        for crate in crates:
            crate.close()
        raise
    unusable: list[Unusable] = [[] for _ in config.listen]
    for (number, _), (some, taken), crate in zip_longest(slices, found, crates):
        unusable[number] += [(index, why) for index, why in some]
        if harvest is not None:
            harvest.add(crate, config.listen[number].listed, taken)
    config, none_left = without_unusable(config, unusable)
    return config, [*(Complaint(*each) for each in told), *none_left]


def _folder(listen: ListenConfig, span: range, crate: Crate | None, *, isolated: bool) -> list[object]:
    """As JSON carries it."""
    taken: list[object] = []
    return [audit_folder(listen, span, isolated=isolated, crate=crate, taken=taken), taken]


def _to_judge(listen: ListenConfig) -> int:
    """Pairs of its folder. Those of [acme] were made by us, or looked at when they were obtained, and need not be there yet."""
    return 0 if listen.acme else len(listen.listed)


def _slices(count: int) -> list[range]:
    """Of the pairs of a folder, for as many processes as there are cores, if it is worth while."""
    parts = min(MOST_AT_ONCE, len(os.sched_getaffinity(0)), 1 + count // WORTH_A_PROCESS)
    return [range(count * part // parts, count * (part + 1) // parts) for part in range(parts)] if count else []


def ensure_apart(directory: Path, names: list[str], now: datetime) -> selfsigned.SelfSigned:
    """selfsigned.ensure. Raises StartError."""

    def make() -> list[object]:
        made = selfsigned.ensure(directory, names, now)
        return [str(made.cert), str(made.key), made.fingerprint, made.expires.isoformat(), made.fresh]

    cert, key, fingerprint, expires, fresh = apart(make)
    return selfsigned.SelfSigned(Path(cert), Path(key), fingerprint, datetime.fromisoformat(expires), fresh)
