"""`lbproxy quick`, `demo` and `respond`: the first minutes, without a file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.cli.options import BACKEND, LISTEN, Verbs, add_verb, say, word
from lbproxy.cli.start import serve
from lbproxy.config.model import Address
from lbproxy.errors import StartError

if TYPE_CHECKING:
    from lbproxy.demo.respond import DemoPort

DEFAULT_LISTEN = Address("0.0.0.0", 8443)
DEMO_LISTEN = Address("127.0.0.1", 8443)
DEMO_BACKENDS = Address("127.0.0.1", 9000)
DEMO_COUNT = 3


def add(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """The verbs and their options."""
    _add_quick(verbs)
    _add_demo(verbs)
    _add_respond(verbs)


def _add_quick(verbs: Verbs[argparse.ArgumentParser]) -> None:
    parser = add_verb(verbs, "quick", quick, "serve without a configuration file, with a self-signed certificate")
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
    parser = add_verb(verbs, "demo", demo, "quick, with three throw-away backends of its own")
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
    parser = add_verb(
        verbs, "respond", respond, "throw-away HTTP backends: who answers, what came, /slow, /status, /bytes, /headers, /echo"
    )
    parser.add_argument("addresses", metavar="ADDR", nargs="+", type=BACKEND, help='where to answer; ":9000" is 127.0.0.1:9000')


def _worker_count(text: str) -> int:
    from lbproxy.config.values import workers

    return word(lambda _: workers(int(text) if text.isdecimal() else text), text)


def quick(arguments: argparse.Namespace) -> int:
    """A proxy without a configuration file."""
    twice = {str(address) for address in arguments.backends if arguments.backends.count(address) > 1}
    if twice:
        say(f"{', '.join(sorted(twice))} is given twice")
        return 2
    return _quick(arguments.listen, arguments.backends, [str(address) for address in arguments.backends], arguments)


def _quick(listen: Address, backends: Sequence[Address], listed: Sequence[str], arguments: argparse.Namespace) -> int:
    """`listed`: the backends as the banner names them."""
    from datetime import UTC, datetime

    from lbproxy.demo.quick import banner, certificate_names, quick_config, state_directory
    from lbproxy.tls.apart import ensure_apart

    directory = state_directory(arguments.dir, os.environ)
    try:
        certificate = ensure_apart(directory, certificate_names(listen), datetime.now(UTC))
    except OSError as error:
        raise StartError(f"cannot write a certificate into {directory}: {error.strerror or error}") from error
    config = quick_config(listen, backends, certificate, arguments.workers)
    return serve(config, lambda: print(banner(listen, listed, certificate), flush=True))


def demo(arguments: argparse.Namespace) -> int:
    """quick, with backends of its own."""
    from lbproxy.demo.backends import listen_nearby, start_backends

    listen = arguments.listen or DEMO_LISTEN
    if arguments.listen is None:
        listen, front = listen_nearby(DEMO_LISTEN)
        front.socket.close()  # free, as it seems; the master binds it again in a moment
        _moved(DEMO_LISTEN, listen)
    opened: list[tuple[Address, DemoPort]] = []
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
        say(f"port {wanted.port} is taken, so {got.port} is used")


def respond(arguments: argparse.Namespace) -> int:
    """Throw-away backends until a signal."""
    from lbproxy.demo import respond as responding
    from lbproxy.observe import standard

    standard.adopt_streams()
    opened = [responding.listen_on(address) for address in arguments.addresses]
    for listening in opened:
        print(f"answering on http://{listening.name}/", flush=True)
    responding.serve(opened)
    return 0
