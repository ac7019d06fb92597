"""The form in which the hot modules run: compiled by Cython where they were built, plain Python otherwise. Nobody else asks.

Theory of operation. `setup.py` compiles the modules of HOT from the very .py files that stand here, typed by the .pxd beside
them. (What only C can say stands in a .pyx, which is compiled instead of the .py beside it: net/wire, net/arrivals,
http/h2/nghttp2 and http/h2/session_memory, which decide nothing.) The results go into lbproxy/_compiled/, not beside the
sources, where Python would prefer them blindly. A manifest there names every source with a hash of its contents. The finder
below takes the compiled modules only if all of these hashes still fit, so that an edited file counts at once, in a checkout
as in an installation. It is all or nothing: the compiled modules know the layout of each other's objects.

The master decides before its first fork (net/preload.py), for all its children; until it ends they stay with what it chose.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from types import ModuleType
from typing import NamedTuple

HOT = (
    "lbproxy.balance.fast_pick",
    "lbproxy.balance.lease",
    "lbproxy.balance.least_connections",
    "lbproxy.balance.pool",
    "lbproxy.balance.random_two",
    "lbproxy.balance.selection",
    "lbproxy.balance.smooth_round_robin",
    "lbproxy.balance.source_hash",
    "lbproxy.cache.watch",
    "lbproxy.http.endless",
    "lbproxy.http.fields",
    "lbproxy.http.forwarding",
    "lbproxy.http.framing",
    "lbproxy.http.grammar",
    "lbproxy.http.grpc",
    "lbproxy.http.h1.chunks",
    "lbproxy.http.h1.deciding_fields",
    "lbproxy.http.h1.request",
    "lbproxy.http.h1.response",
    "lbproxy.http.h2.backend_answer",
    "lbproxy.http.h2.backend_request",
    "lbproxy.http.h2.engine",
    "lbproxy.http.h2.floods",
    "lbproxy.http.h2.nghttp2",
    "lbproxy.http.h2.request_fields",
    "lbproxy.http.h2.response_fields",
    "lbproxy.http.h2.session",
    "lbproxy.http.h2.session_memory",
    "lbproxy.http.h2.windows",
    "lbproxy.http.heads",
    "lbproxy.http.message",
    "lbproxy.http.shown_heads",
    "lbproxy.http.target",
    "lbproxy.http.trace_context",
    "lbproxy.http.trailers",
    "lbproxy.net.arrivals",
    "lbproxy.net.lingering",
    "lbproxy.net.listener",
    "lbproxy.net.strands",
    "lbproxy.net.tap_link",
    "lbproxy.net.tcp_stream",
    "lbproxy.net.tls_engine",
    "lbproxy.net.tls_stream",
    "lbproxy.net.wire",
    "lbproxy.net.work_budget",
    "lbproxy.observe.access",
    "lbproxy.observe.packets",
    "lbproxy.observe.tapped",
    "lbproxy.proxy.caching.at_hand",
    "lbproxy.proxy.client",
    "lbproxy.proxy.connect",
    "lbproxy.proxy.destination",
    "lbproxy.proxy.downstream",
    "lbproxy.proxy.exchange",
    "lbproxy.proxy.grpc_call",
    "lbproxy.proxy.h1_body",
    "lbproxy.proxy.h1_downstream",
    "lbproxy.proxy.h1_upstream",
    "lbproxy.proxy.h2.backend",
    "lbproxy.proxy.h2.backend_stream",
    "lbproxy.proxy.h2.backend_wire",
    "lbproxy.proxy.h2.backends",
    "lbproxy.proxy.h2.connection",
    "lbproxy.proxy.h2.h2_downstream",
    "lbproxy.proxy.h2.h2_upstream",
    "lbproxy.proxy.h2.next_turn",
    "lbproxy.proxy.h2.pulse",
    "lbproxy.proxy.h2.shared_connection",
    "lbproxy.proxy.h2.stream",
    "lbproxy.proxy.h2.unbegun",
    "lbproxy.proxy.h2.unwanted",
    "lbproxy.proxy.pass_through",
    "lbproxy.proxy.relay",
    "lbproxy.proxy.request_body",
    "lbproxy.proxy.response_body",
    "lbproxy.proxy.response_head",
    "lbproxy.proxy.retry_budget",
    "lbproxy.proxy.rewriter",
    "lbproxy.proxy.route_index",
    "lbproxy.proxy.router",
    "lbproxy.proxy.service",
    "lbproxy.proxy.sink",
    "lbproxy.proxy.steps.quick_cache",
    "lbproxy.proxy.steps.step",
    "lbproxy.proxy.steps.tap",
    "lbproxy.proxy.stepwise",
    "lbproxy.proxy.tries",
    "lbproxy.proxy.tunnel",
    "lbproxy.proxy.upstream",
    "lbproxy.proxy.upstream_pool",
    "lbproxy.streams",
    "lbproxy.worker.accept.accept_balance",
    "lbproxy.worker.accept.connection_limit",
    "lbproxy.worker.accept.connection_setup",
)
"""What a request runs through. Nothing the master imports belongs here (tests/test_architecture.py)."""

SWITCH = "LBPROXY_PURE"
"""Set to 1 in the environment it forces plain Python; at build time it builds nothing."""

FOLDER = "_compiled"
SUFFIX = EXTENSION_SUFFIXES[0]
"""Names Python's version, its ABI and the platform: a build for another one is not even found."""
LIBRARY = "hot" + SUFFIX
"""All of them: an extension module is found in its file by the last part of its name, so these differ."""
MANIFEST = "manifest" + SUFFIX + ".txt"
FAILED = "failed:"
"""A manifest that starts with it tells only why nothing could be built."""

MOST_NAMED = 3
"""Changed sources that are told by name."""
_PACKAGE = os.path.dirname(os.path.abspath(__file__))


class Form(NamedTuple):
    """What a process would load now."""

    paths: dict[str, str]
    """Module -> compiled file; empty: plain Python."""
    why: str
    """Why it is plain Python; "" when it is not."""
    changed: tuple[str, ...] = ()
    """Sources that are no longer what was built, where that is why."""

    @property
    def stale(self) -> str:
        """What to tell people whose edit made everything plain Python; "" when that is not the case."""
        if not self.changed:
            return ""
        here = os.path.exists(os.path.join(os.path.dirname(_PACKAGE), "scripts", "compile"))
        more = f" and {len(self.changed) - MOST_NAMED} more" if len(self.changed) > MOST_NAMED else ""
        way_out = "scripts/compile builds anew" if here else "install it again to build anew"
        return f"{', '.join(self.changed[:MOST_NAMED])}{more}; {way_out}"


def sources() -> list[str]:
    """Everything the compiled modules are made of, relative to the package's folder, in a fixed order."""
    found = ["compiled.py"]
    for module in HOT:
        path = module.partition(".")[2].replace(".", "/")
        found.append(path + ".py")
        found += [path + ending for ending in (".pxd", ".pyx") if os.path.exists(os.path.join(_PACKAGE, path + ending))]
    return found


def describe_sources() -> str:
    """The manifest of the sources as they stand: a line for each with its hash, the one that also keeps .pyc files honest."""
    from importlib.util import source_hash  # the master starts without it

    lines = []
    for path in sources():
        with open(os.path.join(_PACKAGE, path), "rb") as file:
            lines.append(f"{source_hash(file.read()).hex()} {path}\n")
    return "".join(lines)


def form() -> Form:
    """Look at the environment, the build and the sources. About a millisecond."""
    if os.environ.get(SWITCH, "") not in ("", "0"):
        return Form({}, SWITCH)
    folder = os.path.join(_PACKAGE, FOLDER)
    try:
        with open(os.path.join(folder, MANIFEST), encoding="utf-8") as file:
            built = file.read()
        if built.startswith(FAILED):
            return Form({}, built.removeprefix(FAILED).strip())
        if built != (now := describe_sources()):
            return Form({}, "sources changed", _differing(built.splitlines(), now.splitlines()))
    except FileNotFoundError:
        return Form({}, "not built")
    except OSError as error:
        return Form({}, error.strerror or str(error))
    return Form(dict.fromkeys(HOT, os.path.join(folder, LIBRARY)), "")


def _differing(old: list[str], new: list[str]) -> tuple[str, ...]:
    """The names of what two manifests do not agree about."""
    lines = [*(line for line in new if line not in old), *(line for line in old if line not in new)]
    return tuple(dict.fromkeys(line.partition(" ")[2] for line in lines))


def describe() -> str:
    """ "compiled: 16 modules", or "pure: " and why: what a process that starts now would load."""
    return _describe(form())


def loaded() -> str:
    """The same of this process; "" before it has loaded any of them."""
    return _describe(_finder.form) if _finder.form is not None else ""


def _describe(form: Form) -> str:
    return f"compiled: {len(form.paths)} modules" if form.paths else f"pure: {form.why}{form.stale and ': '}{form.stale}"


class Finder:
    """An entry of sys.meta_path, in front of those that find the .py files."""

    def __init__(self) -> None:
        self.form: Form | None = None
        """Decided with the first of them that is loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        if name not in HOT:
            return None
        if self.form is None:
            self.form = form()
        compiled = self.form.paths.get(name)
        if compiled is None:
            return None
        spec = ModuleSpec(name, ExtensionFileLoader(name, compiled), origin=compiled)
        spec.has_location = True
        return spec


_finder = Finder()


def install() -> None:
    """Called once, when the package is imported."""
    sys.meta_path.insert(0, _finder)
