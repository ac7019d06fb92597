"""The limit of open descriptors: raised as far as it goes, and compared with what the configuration promises."""

from __future__ import annotations

import resource

from lbproxy.config.descriptors import possible, wanted


def raise_limit(need: int) -> int:
    """Raise this process's limit to its hard limit, and (as root) that to `need`; return what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for goal in (max(need, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (goal, goal))
        except (ValueError, OSError):  # over the hard limit without the privilege, or over fs.nr_open
            continue
        break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def shortage(connections: int, limit: int) -> str:
    """What to warn of, in words; "" when `limit` is enough. Like nginx, lbproxy starts nevertheless."""
    if limit >= wanted(connections):
        return ""
    return (
        f"connections_per_worker = {connections} needs {wanted(connections)} open files, the limit is {limit}: "
        f"about {possible(limit)} connections will work (raise it: LimitNOFILE= in the systemd unit, ulimit -n)"
    )
