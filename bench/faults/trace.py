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


def nginx(line: str, ports: Sequence[int]) -> Record:
    """$msec $request_time $request_method $status $upstream_addr; $msec is when it was over, $upstream_addr all that were tried."""
    ended, took, method, status, *tried = line.replace(",", "").split()
    last = tried[-1].rpartition(":")[2]
    return Record(float(ended) - float(took), method, int(status), _index(last, ports), len(tried))


def haproxy(line: str, ports: Sequence[int]) -> Record:
    """%tr %Ta %HM %ST %s %rc; %tr is when it began, %rc the further tries, with a + if the last was at another server."""
    began, _, method, status, server, again = line.split()
    at = datetime.strptime(began, "%d/%b/%Y:%H:%M:%S.%f").timestamp()
    backend = int(server[1:]) if server.startswith("s") else NOBODY
    return Record(at, method, int(status), backend, 1 + int(again.lstrip("+")))


def lbproxy(line: str, ports: Sequence[int]) -> Record:
    """JSON; `time` is when it was over."""
    told = json.loads(line)
    ended = datetime.fromisoformat(told["time"].replace("Z", "+00:00")).timestamp()
    began = ended - told["total_ms"] / 1000
    return Record(began, told["method"], told["status"], _index(told["backend"].rpartition(":")[2], ports), told["tries"])


def _index(port: str, ports: Sequence[int]) -> int:
    return ports.index(int(port)) if port.isdecimal() and int(port) in ports else NOBODY


READERS: dict[str, Callable[[str, Sequence[int]], Record]] = {"nginx": nginx, "haproxy": haproxy}


def read(name: str, lines: Iterable[str], ports: Sequence[int]) -> list[Record]:
    """In the order in which they began. `name`: the proxy's; `ports`: the backends'.

    HAProxy tells of servers that go up and down in between.
    """
    one = READERS.get(name, lbproxy)
    return sorted(one(line, ports) for line in lines if line[:1].isdigit() or line.startswith("{"))
