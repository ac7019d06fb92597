"""The succession: from SIGUSR2 to a new program, whose code is tried beside the master and executed once it is known to be good."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from lbproxy.master.fleet.fleet import Fleet
from lbproxy.master.processes.child_pipes import ChildPipes
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.shared import MasterResources
from lbproxy.master.succession.trial import LOOK, Trial
from lbproxy.master.succession.upgrade import Commands, execute, hindrance
from lbproxy.master.system.notify import Notifier
from lbproxy.observe import log

NEVER = float("inf")


class Succession:
    """What the master does about a successor. `close` it."""

    def __init__(
        self,
        commands: Commands | None,
        shared: MasterResources,
        resources: Mapping[int, GenerationResources],
        fleet: Fleet,
        pipes: ChildPipes,
        notifier: Notifier,
        noted: Callable[[], Iterable[int]],
    ) -> None:
        """`commands`: how to try and execute this program again; None: it cannot be. `noted` gives, once, the signals that came and
        were not acted on."""
        self._commands = commands
        self._shared, self._resources, self._fleet, self._pipes = shared, resources, fleet, pipes
        self._notifier = notifier
        self._noted = noted
        self._trial: Trial | None = None
        pipes.on_stranger.append(self._ended)

    def _ended(self, pid: int, status: int) -> None:
        if self._trial is not None:
            self._trial.ended(pid, status)

    def want(self) -> None:
        """Begin with the trial."""
        if self._commands is None:
            why = "started without a configuration file"
        elif self._trial is not None:
            why = "the new code is being tried already"
        elif not (why := hindrance(self._fleet, self._pipes.running.values())):
            try:
                self._trial = Trial(self._commands.check, time.monotonic())
            except OSError as error:
                why = str(error)
        if why:
            log.get_logger().error("upgrade.refused", why=why)

    def look(self, now: float) -> None:
        """Execute ourselves again, if the new code is known to be good, and nothing else is under way."""
        trial, commands, children = self._trial, self._commands, self._pipes.running.values()
        if trial is None or commands is None or (why := trial.verdict(now)) is None:
            return
        if not why and (why := hindrance(self._fleet, children)) and self._fleet.stop is None and now < trial.until:
            return  # a reload that was asked for meanwhile ends, words are heard
        self.close()
        if why:
            log.get_logger().error("upgrade.refused", why=why)
            return
        log.get_logger().info("upgrade.begun", command=" ".join(commands.start))
        self._notifier.reloading(time.monotonic_ns() // 1000, "upgrading")
        try:
            execute(
                commands, self._shared, self._resources, self._fleet, children, self._notifier.environment, self._noted, now
            )
        except OSError as error:
            log.get_logger().error("upgrade.failed", why=error.strerror or str(error))
            self._notifier.ready("an upgrade failed")

    def next_deadline(self) -> float:
        """Monotonic seconds until somebody should look."""
        return NEVER if self._trial is None else time.monotonic() + LOOK

    def close(self) -> None:
        """No successor is tried any more."""
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.close()

    def close_in_child(self) -> None:
        """Its descriptor is not the child's."""
        if self._trial is not None:
            self._trial.close_in_child()
