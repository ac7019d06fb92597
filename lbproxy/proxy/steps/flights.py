"""Flights: what one request finds out while others that want to know the very same wait for it.

Whoever begins one and goes away leaves it to one of those who wait, who begin another.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.proxy.service import Service
from lbproxy.streams import Strand


class Flight:
    """Something that one request is about to find out, and who waits for it."""

    __slots__ = ("over", "waiting")

    def __init__(self) -> None:
        self.over = False
        self.waiting: list[_ParkedRequest] = []

    def wait(self, service: Service) -> None:
        """From another request's greenlet: until it is over. Raises what is thrown into the greenlet."""
        waiting = _ParkedRequest(service.strands.current())
        self.waiting.append(waiting)
        try:
            while not self.over:
                waiting.parked = True
                service.strands.park()
        finally:
            waiting.parked = False

    def land(self, service: Service) -> None:
        """It is over, however."""
        self.over = True
        for each in self.waiting:
            service.strands.later(each.go_on)


class _ParkedRequest:
    """A request whose greenlet is parked."""

    __slots__ = ("parked", "strand")

    def __init__(self, strand: Strand) -> None:
        self.strand = strand
        self.parked = True

    def go_on(self) -> None:
        """From the event loop: unless something else (a client that left) woke it first."""
        if self.parked:
            self.parked = False
            self.strand.switch()


class CheckFlight(Flight):
    """A check that says yes or no."""

    __slots__ = ("fits",)

    def __init__(self) -> None:
        super().__init__()
        self.fits: bool | None = None
        """None: nobody has found out."""


class Checks:
    """Checks under way, by what is checked; of several that are the same one is made."""

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[bytes, CheckFlight] = {}

    def of(self, key: bytes, service: Service, check: Callable[[], bool]) -> bool:
        """What `check` says, or another one of the same key. Raises what `check` raises, and what is thrown into the greenlet."""
        while (flight := self._flights.get(key)) is not None:
            flight.wait(service)
            if flight.fits is not None:
                return flight.fits
        flight = self._flights[key] = CheckFlight()
        try:
            flight.fits = fits = check()
        finally:
            del self._flights[key]
            flight.land(service)
        return fits
