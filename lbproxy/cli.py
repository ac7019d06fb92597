"""The verbs, and the only place that wires master, workers and control together.

Each verb imports what it needs when it runs, so that `--help` and `check` come at once, and what only a child needs (gevent) is
imported in the child. Exit codes: 0 clean, 1 refused or cannot start, 2 wrong usage or a forced end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lbproxy import __version__
from lbproxy.config import units
from lbproxy.config.model import Address, Config
from lbproxy.errors import Complaint, ConfigError, StartError

if TYPE_CHECKING:
    from lbproxy.demo.respond import Listening
    from lbproxy.ipc.handover import ChildMain

T = TypeVar("T")
Ready = Callable[[], None]

DEFAULT_LISTEN = Address("0.0.0.0", 8443)
DEMO_LISTEN = Address("127.0.0.1", 8443)
DEMO_BACKENDS = Address("127.0.0.1", 9000)
DEMO_COUNT = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code. Usage errors leave by SystemExit(2), as argparse has it."""
    arguments = _parser().parse_args(argv)
    verb: Callable[[argparse.Namespace], int] = arguments.verb
    try:
        return verb(arguments)
    except ConfigError as error:
        _say(*map(str, error.complaints))
        return 1
    except StartError as error:
        _say(*str(error).splitlines())
        return 1
    except KeyboardInterrupt:
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # `lbproxy init | head`: nothing is left to tell, also not at exit
        return 1


def _say(*lines: str) -> None:
    """To a person, on stderr."""
    for line in lines:
        print(f"lbproxy: {line}", file=sys.stderr)


# ---------------------------------------------------------------- start


def start(arguments: argparse.Namespace) -> int:
    """Serve what the file says until a signal ends it."""
    from lbproxy.config.load import load_file
    from lbproxy.tls.audit import audit

    config = load_file(Path(arguments.config))
    if complaints := audit(config):
        raise ConfigError(complaints)
    if not arguments.daemon:
        return _serve(config, None)
    from lbproxy.master.daemon import daemonize

    if config.log.access == "stdout" and not os.path.isfile("/proc/self/fd/1"):
        _say("note: in the background the access log on stdout goes nowhere: set log.access to a file, or redirect stdout to one")
    return daemonize(partial(_serve, config))


def _serve(config: Config, on_ready: Ready | None) -> int:
    from lbproxy.master.main import run

    return run(config, worker=_worker, control=_control, on_ready=on_ready)


def _worker() -> ChildMain:
    """In the forked child, which alone loads gevent."""
    from lbproxy.net.preload import preload
    from lbproxy.worker.main import run

    preload()
    return run


def _control() -> ChildMain:
    """In the forked child, which alone loads gevent."""
    from lbproxy.control.main import run
    from lbproxy.net.preload import preload

    preload()
    return run


# ---------------------------------------------------------------- check, init


def check(arguments: argparse.Namespace) -> int:
    """Everything that start would refuse, at once."""
    from lbproxy.config.load import load_file
    from lbproxy.tls.audit import audit

    try:
        config = load_file(Path(arguments.config))
        if complaints := [*audit(config), *_unresolvable(config)]:
            raise ConfigError(sorted(complaints, key=lambda complaint: complaint.line))
    except ConfigError as error:
        if not arguments.json:
            raise
        _print_json(error.complaints)
        return 1
    if arguments.json:
        _print_json([])
    elif arguments.effective:
        from lbproxy.config.emit import emit

        print(emit(config), end="")
    else:
        print(f"{arguments.config} is fine: {_summary(config)}")
    return 0


def _print_json(complaints: list[Complaint]) -> None:
    print(json.dumps({"ok": not complaints, "complaints": [complaint._asdict() for complaint in complaints]}, indent=2))


def _summary(config: Config) -> str:
    counts = {
        "listener": len(config.listen),
        "route": len(config.routes),
        "pool": len(config.pools),
        "backend": sum(len(pool.backends) for pool in config.pools),
    }
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())


def _unresolvable(config: Config) -> list[Complaint]:
    """A complaint for each backend whose name has no address; names are looked up side by side."""
    from concurrent.futures import ThreadPoolExecutor

    from lbproxy.master.resolve import first_address

    def why_not(host: str) -> str:
        try:
            first_address(host, 0)
        except (OSError, UnicodeError) as error:
            return getattr(error, "strerror", None) or str(error)
        return ""

    backends = [(pool, backend) for pool in config.pools for backend in pool.backends if not units.literal_ip(backend.address.host)]
    hosts = list({backend.address.host for _, backend in backends})
    with ThreadPoolExecutor(16) as threads:
        faults = dict(zip(hosts, threads.map(why_not, hosts), strict=True))
    hint = "check the spelling and /etc/resolv.conf, or write the address as a number"
    complaints = []
    for pool, backend in backends:
        if fault := faults[backend.address.host]:
            message = f'cannot resolve "{backend.address.host}": {fault}'
            complaints.append(Complaint(config.source, backend.line, f"pool.{pool.name}.backends", message, hint))
    return complaints


def init(_: argparse.Namespace) -> int:
    """A configuration to start from, on stdout."""
    from lbproxy.config.starter import STARTER

    print(STARTER, end="")
    return 0


# ---------------------------------------------------------------- quick, demo, respond


def quick(arguments: argparse.Namespace) -> int:
    """A proxy without a configuration file."""
    twice = {str(address) for address in arguments.backends if arguments.backends.count(address) > 1}
    if twice:
        _say(f"{', '.join(sorted(twice))} is given twice")
        return 2
    return _quick(arguments.listen, arguments.backends, [str(address) for address in arguments.backends], arguments)


def _quick(listen: Address, backends: Sequence[Address], listed: Sequence[str], arguments: argparse.Namespace) -> int:
    """`listed`: the backends as the banner names them."""
    from datetime import UTC, datetime

    from lbproxy.demo.quick import banner, certificate_names, quick_config, state_directory
    from lbproxy.tls.selfsigned import ensure

    directory = state_directory(arguments.dir, os.environ)
    try:
        certificate = ensure(directory, certificate_names(listen), datetime.now(UTC))
    except OSError as error:
        raise StartError(f"cannot write a certificate into {directory}: {error.strerror or error}") from error
    config = quick_config(listen, backends, certificate, arguments.workers)
    return _serve(config, lambda: print(banner(listen, listed, certificate), flush=True))


def demo(arguments: argparse.Namespace) -> int:
    """quick, with backends of its own."""
    from lbproxy.demo.backends import listen_nearby, start_backends

    listen = arguments.listen or DEMO_LISTEN
    if arguments.listen is None:
        listen, front = listen_nearby(DEMO_LISTEN)
        front.socket.close()  # free, as it seems; the master binds it again in a moment
        _moved(DEMO_LISTEN, listen)
    opened: list[tuple[Address, Listening]] = []
    for number in range(DEMO_COUNT):
        wanted = DEMO_BACKENDS._replace(port=DEMO_BACKENDS.port + number)
        after = wanted if not opened else max(wanted, opened[-1][0]._replace(port=opened[-1][0].port + 1))
        opened.append(listen_nearby(after))
        _moved(wanted, opened[-1][0])
    backends = start_backends(opened)
    listed = [f"{backend.address}   kill {backend.pid}   to see the others take over" for backend in backends]
    return _quick(listen, [backend.address for backend in backends], listed, arguments)


def _moved(wanted: Address, got: Address) -> None:
    if wanted != got:
        _say(f"port {wanted.port} is taken, so {got.port} is used")


def respond(arguments: argparse.Namespace) -> int:
    """Throw-away backends until a signal."""
    from lbproxy.demo.respond import listen_on, serve

    opened = [listen_on(address) for address in arguments.addresses]
    for listening in opened:
        print(f"answering on http://{listening.name}/", flush=True)
    serve(opened)
    return 0


# ---------------------------------------------------------------- the command line


def _word(parse: Callable[[str], T], text: str) -> T:
    """A parser of configuration values as argparse wants it."""
    try:
        return parse(text)
    except units.Refused as refused:
        hint = f" ({refused.hint})" if refused.hint else ""
        raise argparse.ArgumentTypeError(f"{refused}{hint}") from refused


LISTEN = partial(_word, units.parse_listen_address)
BACKEND = partial(_word, partial(units.parse_backend_address, default_host="127.0.0.1"))


def _worker_count(text: str) -> int:
    from lbproxy.config.values import workers

    return _word(lambda _: workers(int(text) if text.isdecimal() else text), text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lbproxy",
        description="A TLS-terminating, load-balancing reverse proxy.",
        epilog="Exit codes: 0 clean, 1 refused or cannot start (the reason is on stderr), 2 wrong usage or a forced end.",
    )
    parser.add_argument("--version", action="version", version=f"lbproxy {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    _add_start(verbs)
    _add_check(verbs)
    _add(verbs, init, "a commented configuration to start from: lbproxy init > lbproxy.toml")
    _add_quick(verbs)
    _add_demo(verbs)
    _add_respond(verbs)
    return parser


Verbs = argparse._SubParsersAction  # argparse has no public name for what add_subparsers returns


def _add(verbs: Verbs[argparse.ArgumentParser], verb: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(verb.__name__, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(verb=verb)
    return parser


def _add_start(verbs: Verbs[argparse.ArgumentParser]) -> None:
    parser = _add(verbs, start, "serve what a configuration file says, in the foreground")
    parser.add_argument("-c", "--config", metavar="FILE", required=True, help="the configuration (TOML)")
    parser.add_argument(
        "--daemon",
        action="store_true",
        help="return when everything serves (0) or cannot (1, with the reason), and go on in the background. Events go to stderr "
        'and, with log.access = "stdout", the access log to stdout: each is kept only where that is a regular file '
        "(>>access.log 2>>events.log) and dropped otherwise",
    )


def _add_check(verbs: Verbs[argparse.ArgumentParser]) -> None:
    parser = _add(verbs, check, "tell everything that start would refuse, with file, line and a hint")
    parser.add_argument("-c", "--config", metavar="FILE", required=True, help="the configuration (TOML)")
    output = parser.add_mutually_exclusive_group()
    answer = '{"ok": ..., "complaints": [{file, line, key, message, hint}]}'
    output.add_argument("--json", action="store_true", help=f"on stdout: {answer}")
    output.add_argument("--effective", action="store_true", help="print the configuration with every key and default written out")


def _add_quick(verbs: Verbs[argparse.ArgumentParser]) -> None:
    parser = _add(verbs, quick, "serve without a configuration file, with a self-signed certificate")
    _add_from(parser, DEFAULT_LISTEN, "default: :8443, all IPv4 addresses")
    parser.add_argument(
        "--to",
        dest="backends",
        metavar="ADDR",
        nargs="+",
        action="extend",
        required=True,
        type=BACKEND,
        help='a backend, "host:port"; ":9000" is this machine. Several share the load',
    )
    _add_quick_options(parser)


def _add_demo(verbs: Verbs[argparse.ArgumentParser]) -> None:
    parser = _add(verbs, demo, "quick, with three throw-away backends of its own")
    _add_from(parser, None, "default: 127.0.0.1:8443, or the next free port")
    _add_quick_options(parser)


def _add_from(parser: argparse.ArgumentParser, default: Address | None, text: str) -> None:
    parser.add_argument("--from", dest="listen", metavar="ADDR", default=default, type=LISTEN, help=f"where to listen; {text}")


def _add_quick_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", metavar="N", default=0, type=_worker_count, help="worker processes; default: auto, one a core")
    parser.add_argument(
        "--dir",
        metavar="DIR",
        type=Path,
        help="where the certificate is kept for the next run; default: $XDG_STATE_HOME/lbproxy or ~/.local/state/lbproxy",
    )


def _add_respond(verbs: Verbs[argparse.ArgumentParser]) -> None:
    parser = _add(verbs, respond, "throw-away HTTP backends: who answers, what came, /slow, /status, /bytes, /headers, /echo")
    parser.add_argument("addresses", metavar="ADDR", nargs="+", type=BACKEND, help='where to answer; ":9000" is 127.0.0.1:9000')
