"""The load, told: how many clients of which kind, and what they ask for. Travels as JSON to the process that runs it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Job:
    port: int
    ca: str
    """The file that the proxy's certificate is verified against."""
    host: str = "127.0.0.1"
    name: str = "localhost"
    """In SNI, in the Host field, and the one that the certificate has to be for."""

    busy: int = 8
    idle: int = 24
    fresh: int = 2
    downloads: int = 2
    uploads: int = 0
    h2: int = 0
    h2_streams: int = 4
    """Requests that a client of HTTP/2 has under way at once, at most."""

    small: str = "/tiny"
    big: str = "/16m"
    upload: str = "/upload"
    upload_bytes: int = 100 * 1024

    busy_pause: float = 0.003
    """Seconds between two requests of a busy client, on average."""
    idle_pause: tuple[float, float] = (0.2, 1.5)
    fresh_pause: float = 0.03
    h2_pause: float = 0.02
    """Between an answer and the next request in its place."""
    upload_pause: float = 0.05
    download_seconds: float = 4.5
    """How long a download takes at least; the client reads no faster."""
    wire: float = 0.0
    """Seconds that a request of an idle client is under way: between its last look whether the connection still stands, and its
    arrival. On loopback that is microseconds; between two cities 0.02 is common."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def from_json(text: str) -> Job:
    """ValueError or TypeError for anything but what `to_json` makes."""
    fields = json.loads(text)
    low, high = fields.pop("idle_pause")
    return Job(**fields, idle_pause=(float(low), float(high)))
