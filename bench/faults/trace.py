"""The proxies' access logs as one kind of record. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

NOBODY = -1


class Record(NamedTuple):
    """A request, as a proxy tells it."""

    began: float
    """Seconds since 1970."""
    method: str
    status: int
    backend: int
    """The index of the one that was tried last; NOBODY."""
    tries: int


def nginx(line: str, backends: Sequence[str]) -> Record:
    """$msec $request_time $request_method $status $upstream_addr; $msec is when it was over, $upstream_addr all that were tried."""
    ended, took, method, status, *tried = line.replace(",", "").split()
    return Record(float(ended) - float(took), method, int(status), _index(tried[-1], backends), len(tried))


def haproxy(line: str, backends: Sequence[str]) -> Record:
    """%tr %Ta %HM %ST %s %si:%sp %rc; %tr is when it began, %rc the further tries, with a + if the last was at another server.

    %s is "s" and a number where the address is fixed; one that a name server gave is told by %si and %sp, "-" before a connection.
    """
    began, _, method, status, server, address, again = line.split()
    at = datetime.strptime(began, "%d/%b/%Y:%H:%M:%S.%f").timestamp()
    backend = int(server[1:]) if server.startswith("s") else _index(address, backends)
    return Record(at, method, int(status), backend, 1 + int(again.lstrip("+")))


def lbproxy(line: str, backends: Sequence[str]) -> Record:
    """JSON; `time` is when it was over, `backend` an address or a name, an @ and an address."""
    told = json.loads(line)
    ended = datetime.fromisoformat(told["time"].replace("Z", "+00:00")).timestamp()
    began = ended - told["total_ms"] / 1000
    return Record(began, told["method"], told["status"], _index(told["backend"].rpartition("@")[2], backends), told["tries"])


def _index(address: str, backends: Sequence[str]) -> int:
    return backends.index(address) if address in backends else NOBODY


READERS: dict[str, Callable[[str, Sequence[str]], Record]] = {"nginx": nginx, "haproxy": haproxy}


def read(name: str, lines: Iterable[str], backends: Sequence[str]) -> list[Record]:
    """In the order in which they began. `name`: the proxy's; `backends`: their addresses with ports.

    HAProxy tells of servers that go up and down in between.
    """
    one = READERS.get(name, lbproxy)
    return sorted(one(line, backends) for line in lines if line[:1].isdigit() or line.startswith("{"))
