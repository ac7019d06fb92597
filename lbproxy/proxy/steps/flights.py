"""Flights: what one request finds out while others that want to know the very same wait for it.

Whoever begins one and goes away leaves it to one of those who wait, who begin another.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.proxy.parked import Parked
from lbproxy.proxy.service import Service


class Flight:
    """Something that one request is about to find out, and who waits for it."""

    __slots__ = ("over", "waiting")

    def __init__(self) -> None:
        self.over = False
        self.waiting: list[Parked] = []

    def wait(self, service: Service) -> None:
        """From another request's greenlet: until it is over. Raises what is thrown into the greenlet."""
        waiting = Parked(service.strands)
        self.waiting.append(waiting)
        while not self.over:
            waiting.wait()

    def land(self) -> None:
        """It is over, however."""
        self.over = True
        for each in self.waiting:
            each.wake()


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
            flight.land()
        return fits
