"""`lbproxy start`: serve what a file says. Here master, workers and control meet."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.cli.options import Verbs, add_config, add_verb, say
from lbproxy.config.model import Config
from lbproxy.errors import Complaint, ConfigError, StartError

if TYPE_CHECKING:
    from lbproxy.ipc.handover import ChildMain
    from lbproxy.master.files.reading import Passing
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
    from lbproxy.config.load import load_file
    from lbproxy.master.resources import first_look
    from lbproxy.master.resources.acme_folder import provide
    from lbproxy.master.succession.upgrade import Commands
    from lbproxy.observe import standard
    from lbproxy.tls.apart import audit_apart
    from lbproxy.tls.fork import NoAnswer
    from lbproxy.tls.harvest import Harvest

    if not arguments.daemon:  # which lets go of all descriptors first
        standard.adopt_streams()
    file = Path(arguments.config)
    place = file.absolute()  # a daemon changes its folder, and a reload comes after that

    harvest = Harvest()

    def load() -> Config:
        return load_file(place, arguments.config, os.environ)

    def read() -> Config:
        harvest.close()
        loaded = load()
        provide(loaded)
        try:
            config, complaints = audit_apart(loaded, harvest)
        except NoAnswer as error:
            place = first_look.hanging(loaded)
            raise StartError(f"nothing is heard of the disk that {place} is on" if place else str(error)) from error
        if complaints:
            raise ConfigError(complaints)
        return config

    def reread() -> Config:
        if place.exists() and not place.is_file():  # a FIFO, <(a process substitution): whoever waits for it waits for ever
            raise ConfigError([Complaint(arguments.config, 0, "", "is no regular file: it cannot be read a second time")])
        return read()

    config, look = read(), partial(first_look.look, place, load)
    again = [sys.executable, "-P", "-m", "lbproxy"]  # -P: what lies about in the current folder is not the new code
    commands = Commands([*again, "check", "-c", str(place)], [*again, "start", "-c", str(place)])
    if not arguments.daemon:
        return serve(config, None, reread, commands, harvest, look)
    from lbproxy.master.system.daemon import daemonize
    from lbproxy.tls.remarks import remarks

    say(*(f"warning: {complaint}" for complaint in remarks(config).at()))  # its log may go nowhere
    if config.log.access == "stdout" and not os.path.isfile("/proc/self/fd/1"):
        say("note: in the background the access log on stdout goes nowhere: set log.access to a file, or redirect stdout to one")
    harvest.close()  # a daemon lets go of all descriptors
    return daemonize(partial(serve, config, reread=reread, commands=commands, harvest=harvest, look=look))


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
