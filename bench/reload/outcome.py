"""What became of requests: done, or lost in exactly one way. Pure.

Which way, and what is *not* a loss:

1. `refused`: no connection to be had. `reset`: a TCP reset, while connecting, in the handshake, or at any time before the last
   byte. `closed`: an orderly end before the first byte of a response. `truncated`: an end in the middle of one. `status`: a whole
   response that is not the one expected. `content`: the right status with other bytes, or something that is no HTTP. `timeout`:
   nothing for PATIENCE seconds. `tls`: a handshake that failed otherwise.
2. A response that says `Connection: close` is the server's right: the next request opens a connection (`renewed`).
3. A client whose kept connection is found closed *right before it sends* opens another one, as browsers and curl do; nothing was
   sent, so nothing is lost (`noticed`). A client that does not look would have lost that request too: `lost` + `noticed` is what
   it costs such clients.
4. HTTP/2: a stream above the last one that a GOAWAY names, or reset with REFUSED_STREAM, was not begun, and the server says so: any
   client may send it again elsewhere (`elsewhere`; ours goes on to its next request). Any other end without the right answer is
   a loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

KINDS = ("refused", "reset", "closed", "truncated", "status", "content", "timeout", "tls")
EXAMPLES = 200
"""Losses told one by one, at most; all are counted."""


class Loss(NamedTuple):
    at: float
    """Seconds since the load stood."""
    client: str
    kind: str
    what: str
    local_port: int
    """Of the connection, 0 when there was none: tells whose process it ended in."""


class Lost(Exception):
    """A request that gets no answer; `kind` is one of KINDS."""

    def __init__(self, kind: str, what: str, local_port: int = 0) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind, self.what, self.local_port = kind, what, local_port


@dataclass(slots=True)
class Tally:
    """Of one client, or summed over all."""

    done: Counter[str] = field(default_factory=Counter)
    """Requests answered rightly, by kind of client."""
    lost: Counter[str] = field(default_factory=Counter)
    """By kind of loss."""
    lost_by: Counter[str] = field(default_factory=Counter)
    """The same, by kind of client."""
    losses: list[Loss] = field(default_factory=list)
    elsewhere: int = 0
    connections: int = 0
    renewed: int = 0
    noticed: Counter[str] = field(default_factory=Counter)
    """Kept connections found closed before sending, by how: closed, cut (no close_notify), reset, spoke (unasked bytes)."""
    offered: int = 0
    """Connections that offered a TLS session of an earlier one, and how many the server resumed."""
    resumed: int = 0
    waits: list[float] = field(default_factory=list)
    """Seconds from a small request to its whole answer, connecting included where that was needed."""

    @property
    def requests(self) -> int:
        return self.done.total() + self.lost.total()

    def lose(self, at: float, client: str, loss: Lost) -> None:
        self.lost[loss.kind] += 1
        self.lost_by[client] += 1
        if len(self.losses) < EXAMPLES:
            self.losses.append(Loss(at, client, loss.kind, loss.what, loss.local_port))

    def slowest(self) -> float:
        """Seconds; 0.0 without any request."""
        return max(self.waits, default=0.0)

    def percentile(self, share: float) -> float:
        """The wait that `share` of the small requests did not exceed, in seconds; 0.0 without any."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def total(tallies: Iterable[Tally]) -> Tally:
    whole = Tally()
    for tally in tallies:
        whole.done += tally.done
        whole.lost += tally.lost
        whole.lost_by += tally.lost_by
        whole.losses += tally.losses
        whole.elsewhere += tally.elsewhere
        whole.connections += tally.connections
        whole.renewed += tally.renewed
        whole.noticed += tally.noticed
        whole.offered += tally.offered
        whole.resumed += tally.resumed
        whole.waits += tally.waits
    whole.losses = sorted(whole.losses)[:EXAMPLES]
    return whole


def to_dict(tally: Tally) -> dict[str, Any]:
    """For JSON; `from_dict` brings it back."""
    return {
        "requests": tally.requests,
        "done": dict(tally.done),
        "lost": dict(tally.lost),
        "lost_by": dict(tally.lost_by),
        "losses": [loss._asdict() for loss in tally.losses],
        "elsewhere": tally.elsewhere,
        "connections": tally.connections,
        "renewed": tally.renewed,
        "noticed": dict(tally.noticed),
        "offered": tally.offered,
        "resumed": tally.resumed,
        "waits": [round(wait, 6) for wait in tally.waits],
    }


def from_dict(told: dict[str, Any]) -> Tally:
    return Tally(
        done=Counter(told["done"]),
        lost=Counter(told["lost"]),
        lost_by=Counter(told["lost_by"]),
        losses=[Loss(**loss) for loss in told["losses"]],
        elsewhere=told["elsewhere"],
        connections=told["connections"],
        renewed=told["renewed"],
        noticed=Counter(told["noticed"]),
        offered=told["offered"],
        resumed=told["resumed"],
        waits=told["waits"],
    )
