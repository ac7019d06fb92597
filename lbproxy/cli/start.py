"""`lbproxy start`: serve what a file says. Here master, workers and control meet."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.cli.options import Verbs, add_config, add_verb, say
from lbproxy.config.model import Config
from lbproxy.errors import Complaint, ConfigError, StartError

if TYPE_CHECKING:
    from lbproxy.config.read import Passing
    from lbproxy.ipc.handover import ChildMain
    from lbproxy.master.succession.upgrade import Commands
    from lbproxy.tls.harvest import Harvest

Ready = Callable[[], None]


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verb and its options."""
    parser = add_verb(verbs, "start", start, "serve what a configuration file says, in the foreground")
    add_config(parser)
    parser.add_argument(
        "--daemon",
        action="store_true",
        help="return when everything serves (0) or cannot (1, with the reason), and go on in the background. Events go to stderr "
        'and, with log.access = "stdout", the access log to stdout: each is kept only where that is a regular file '
        "(>>access.log 2>>events.log) and dropped otherwise",
    )


def start(arguments: argparse.Namespace) -> int:
    """Serve what the file says until a signal ends it."""
    from lbproxy.master.succession.upgrade import Commands
    from lbproxy.observe import standard
    from lbproxy.tls.harvest import Harvest

    if not arguments.daemon:  # which lets go of all descriptors first
        standard.adopt_streams()
    harvest = Harvest()
    file = _File(arguments.config, harvest)
    config = file.first()
    again = [sys.executable, "-P", "-m", "lbproxy"]  # -P: what lies about in the current folder is not the new code
    commands = Commands([*again, "check", "-c", str(file.place)], [*again, "start", "-c", str(file.place)])
    if not arguments.daemon:
        return serve(config, None, file.reread, commands, harvest, file.look)
    from lbproxy.master.system.daemon import daemonize
    from lbproxy.tls.remarks import remarks

    say(*(f"warning: {complaint}" for complaint in remarks(config).at()))  # its log may go nowhere
    if config.log.access == "stdout" and not os.path.isfile("/proc/self/fd/1"):
        say("note: in the background the access log on stdout goes nowhere: set log.access to a file, or redirect stdout to one")
    run = partial(serve, config, reread=file.reread, commands=commands, harvest=harvest, look=file.look)
    return daemonize(run, harvest.descriptors())


class _File:
    """The configuration's file, read at the start and at each reload."""

    def __init__(self, named: str, harvest: Harvest) -> None:
        """`harvest` gets the pairs that are read with it."""
        self.place = Path(named).absolute()  # a daemon changes its folder, and a reload comes after that
        self._named = named
        self._harvest = harvest

    def first(self) -> Config:
        """Raises ConfigError, StartError and OSError; also when something that it names does not answer."""
        from lbproxy.cli.answered import answered

        return self._judged(answered(self._answering))

    def reread(self) -> Config:
        """The same in the master, when a process has looked at all of it (`look`)."""
        if self.place.exists() and not self.place.is_file():  # a FIFO, <(a process substitution): who waits for it waits for ever
            raise ConfigError([Complaint(self._named, 0, "", "is no regular file: it cannot be read a second time")])
        return self._judged(self._load(lambda path: None))

    def look(self, passing: Passing) -> object:
        """In a process of its own."""
        from lbproxy.master.resources import first_look

        return first_look.look(self.place, self._load, passing)

    def _load(self, passing: Passing) -> Config:
        from lbproxy.config.load import load_file

        return load_file(self.place, self._named, os.environ, passing)

    def _answering(self, passing: Passing) -> Config:
        from lbproxy.master.resources.first_look import look_at_all

        loaded = self._load(passing)
        few = replace(loaded, listen=tuple(replace(listen, listed=()) for listen in loaded.listen))
        look_at_all(few, passing)  # folders have too many pairs to open all of them twice, and audit_apart has an end
        return loaded

    def _judged(self, loaded: Config) -> Config:
        from lbproxy.master.resources.acme_folder import provide
        from lbproxy.master.resources.first_look import hanging
        from lbproxy.tls.apart import audit_apart
        from lbproxy.tls.fork import NoAnswer

        self._harvest.close()
        provide(loaded)
        try:
            config, complaints = audit_apart(loaded, self._harvest)
        except NoAnswer as error:
            place = hanging(loaded)
            raise StartError(f"nothing is heard of the disk that {place} is on" if place else str(error)) from error
        if complaints:
            raise ConfigError(complaints)
        return config


def serve(
    config: Config,
    on_ready: Ready | None,
    reread: Callable[[], Config] | None = None,
    commands: Commands | None = None,
    harvest: Harvest | None = None,
    look: Callable[[Passing], object] | None = None,
) -> int:
    """Be the master until a signal ends it; the exit code. `on_ready` is called when all workers serve, `reread` at each reload,
    `commands` are what SIGUSR2 executes, `harvest` has the pairs that were read with a configuration, `look` looks
    at all that a reload reads."""
    from lbproxy.master.main import run
    from lbproxy.master.processes.anew import program
    from lbproxy.master.processes.spawn import forking
    from lbproxy.net import preload

    preload.modules()
    try:
        with forking(program("lbproxy.cli.control", partial(_control, acme=config.acme is not None))) as control:
            return run(
                config, worker=_worker, control=control, on_ready=on_ready, reread=reread, commands=commands, harvest=harvest,
                look=look,
            )  # fmt: skip
    finally:
        gc.freeze()  # or the interpreter, which ends now, looks for cycles in all that was loaded: a tenth of a second


def _worker() -> ChildMain:
    """In the forked child, which alone has a loop of gevent's."""
    from lbproxy.net import preload
    from lbproxy.worker.main import run

    preload.loop()
    return run


def _control(*, acme: bool) -> Callable[[Config, str], ChildMain]:
    """In the process that forks it."""
    from lbproxy.cli.control import ready

    return ready(acme=acme)
