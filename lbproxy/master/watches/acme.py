"""The master's part in ACME: what its process says goes on to workers (answers to challenges) and to control (how names stand).

All of it is bounded by the configuration and by MOST_CHALLENGES: the process that says it hears authorities all day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from lbproxy.config.acme_names import wanted
from lbproxy.ipc.messages import AcmeName, ChallengeOver, ChallengeShown, Message
from lbproxy.master.fleet.child import Role
from lbproxy.master.processes.spawn import Running
from lbproxy.master.resources.generation import GenerationResources

MOST_CHALLENGES = 64


class AcmePipes(Protocol):
    """What is needed of the children's pipes."""

    def single(self, number: int, role: Role, /) -> Running | None: ...
    def tell(self, row: int, message: Message, /) -> None: ...
    @property
    def running(self) -> Mapping[int, Running]: ...


class AcmeAsked(Protocol):
    """What is needed of the one who answers operators."""

    acme: Callable[[], Mapping[str, AcmeName]]


class AcmeWatch:
    """What the process has said, and who has been told."""

    def __init__(
        self, serving: Callable[[], tuple[int, GenerationResources] | None], pipes: AcmePipes, operator: AcmeAsked | None = None
    ) -> None:
        """`serving`: number and resources of what clients meet; `operator`: asks here how names stand."""
        if operator is not None:
            operator.acme = self.told
        self._serving = serving
        self._pipes = pipes
        self._names: dict[str, AcmeName] = {}
        self._challenges: dict[tuple[str, str, str], ChallengeShown] = {}
        self._said_by = 0
        self._control = 0

    def told(self) -> Mapping[str, AcmeName]:
        """By name, what is known."""
        return self._names

    def heard(self, message: AcmeName | ChallengeShown | ChallengeOver) -> None:
        """The process said this."""
        serving = self._serving()
        if serving is None:
            return
        if isinstance(message, AcmeName):
            if message.name in self._names or message.name in wanted(serving[1].config).names:
                self._names[message.name] = message
                control = self._pipes.single(serving[0], Role.CONTROL)
                if control is not None and control.pid == self._control:
                    self._pipes.tell(control.row, message)
            return
        place = (message.challenge, message.name, message.token)
        if isinstance(message, ChallengeOver):
            if self._challenges.pop(place, None) is not None:
                self._tell_workers(message)
        elif place in self._challenges or len(self._challenges) < MOST_CHALLENGES:
            self._challenges[place] = message
            self._tell_workers(message)

    def spawned(self, running: Running) -> None:
        """A child was forked: a worker has to know what is shown right now."""
        if running.role is Role.WORKER:
            for message in [*self._challenges.values()]:
                self._pipes.tell(running.row, message)

    def look(self) -> None:
        """From time to time: the process is another one, or gone, or there is a control that knows nothing yet."""
        serving = self._serving()
        if serving is None:
            return
        number, resources = serving
        process = self._pipes.single(number, Role.ACME)
        pid = 0 if process is None else process.pid
        if pid != self._said_by:
            self._said_by = pid
            names = wanted(resources.config).names
            self._names = {name: said for name, said in self._names.items() if name in names}
            if pid == 0:  # its successor says anew what is to be shown
                for place in [*self._challenges]:
                    del self._challenges[place]
                    self._tell_workers(ChallengeOver(*place))
        control = self._pipes.single(number, Role.CONTROL)
        if control is not None and control.pid != self._control:
            self._control = control.pid
            for said in [*self._names.values()]:
                self._pipes.tell(control.row, said)

    def _tell_workers(self, message: Message) -> None:
        for running in [*self._pipes.running.values()]:
            if running.role is Role.WORKER:
                self._pipes.tell(running.row, message)
