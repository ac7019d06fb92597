"""The command line as a whole: the verbs' parser, and what becomes of errors."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from lbproxy import __version__, compiled
from lbproxy.cli import adjust, audit, backend, cache, cert, check, quick, reload, start, status, stop, top
from lbproxy.cli.options import Verb, say
from lbproxy.cli.standard_streams import occupy
from lbproxy.errors import ConfigError, NotYet, StartError, shortage

TRY_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code. Usage errors leave by SystemExit(2), as argparse has it."""
    occupy()
    arguments = parser().parse_args(argv)
    verb: Verb = arguments.verb
    try:
        return verb(arguments)
    except ConfigError as error:
        say(*map(str, error.complaints))
        return 1
    except StartError as error:
        say(*str(error).splitlines())
        return TRY_AGAIN if isinstance(error, NotYet) else 1
    except KeyboardInterrupt:
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # `lbproxy init | head`: nothing is left to tell, also not at exit
        return 1
    except OSError as error:  # of a system that lacks what every system has: descriptors, memory, processes, /proc
        what = f"{error.filename}: " if error.filename is not None else ""
        way = shortage(error)
        say(f"cannot go on: {what}{error.strerror or error}" + (f" ({way})" if way else ""))
        return 1
    except (MemoryError, SystemError, ImportError, RuntimeError) as error:
        way = shortage(error)
        if not way:
            raise  # a fault of ours
        say(f"cannot go on: {str(error) or 'no memory'} ({way})")
        return 1


class _Version(argparse.Action):
    """Looks at the sources only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"lbproxy {__version__} ({compiled.describe()})")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """All verbs with their options."""
    whole = argparse.ArgumentParser(
        prog="lbproxy",
        description="A TLS-terminating, load-balancing reverse proxy.",
        epilog="Exit codes: 0 clean, 1 refused or cannot start (the reason is on stderr), 2 wrong usage or a forced end, "
        "75 cannot start now and may in a moment (name servers or the network are not there).",
    )
    whole.add_argument("--version", action=_Version, nargs=0, help="show the version, and whether its hot modules are compiled")
    verbs = whole.add_subparsers(title="verbs", required=True, metavar="VERB")
    for module in (start, check, audit, quick, reload, stop, status, top, backend, cache, cert, adjust):
        module.add(verbs)
    return whole
