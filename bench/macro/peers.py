"""The proxies that are compared, each with one worker or more (see Site), and doing the duties that proxies/__init__.py tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version as package_version
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from bench.macro import duties
from bench.macro.cases import BY_NAME
from bench.macro.certificate import Files
from bench.macro.errors import BenchError
from bench.macro.machine import Cores, pinned, require, version
from bench.macro.machine import facts as machine_facts
from bench.macro.process import Program, free_ports
from bench.macro.proxies import caddy as caddy_file
from bench.macro.proxies import proxy_py as proxy_py_file
from bench.macro.proxies.haproxy import haproxy
from bench.macro.proxies.lbproxy import REPOSITORY, greedy, lbproxy, pure, revision
from bench.macro.proxies.nginx import nginx
from bench.macro.site import Recipe, Site
from bench.macro.steps import name_of, nginx_module
from lbproxy import compiled

__all__ = ["Peer", "Recipe", "Site", "lbproxy"]

SUBJECT = "lbproxy"
PURE = "lbproxy-pure"
GREEDY = "lbproxy-greedy"
DEFAULT = ("nginx", "haproxy", SUBJECT)
IF_INSTALLED = ("caddy", "proxy.py")
"""Measured as well in a full run of all cases when they are there."""

Maker = Callable[[Site], Recipe]
NOTHING: Mapping[str, str] = MappingProxyType({})


class Kind(NamedTuple):
    """What the harness knows about a proxy."""

    make: Maker
    waived: Mapping[str, str] = NOTHING
    """Duties (duties.NAMES) that it does not do, and why."""
    cases: frozenset[str] | None = None
    """The only cases that it can take part in; None: all."""


KINDS = {
    "nginx": Kind(nginx),
    "haproxy": Kind(haproxy),
    SUBJECT: Kind(lbproxy),
    PURE: Kind(pure),
    GREEDY: Kind(greedy),
    "caddy": Kind(caddy_file.caddy, caddy_file.WAIVED),
    "proxy.py": Kind(proxy_py_file.proxy_py, proxy_py_file.WAIVED, proxy_py_file.CASES),
}


def kind(name: str) -> Kind:
    """What is known; a revision of lbproxy is like lbproxy."""
    return KINDS[name] if name in KINDS else KINDS[SUBJECT]


def takes(name: str, case: str) -> bool:
    known, able = BY_NAME.get(case), kind(name).cases
    if known is not None and known.only and not name.startswith(known.only):
        return False
    if name == "nginx" and case == name_of("waf") and not nginx_module():
        return False
    return able is None or case in able


class Peer:
    """A running proxy. Whoever makes it calls `stop`."""

    def __init__(
        self,
        name: str,
        make: Maker,
        folder: Path,
        backends: tuple[int, ...],
        certificate: Files,
        cores: Cores,
        workers: int = 1,
        backend_ca: Path | None = None,
        *,
        backend_http2: bool = False,
        icap: int | None = None,
        cache: bool = False,
        compress: bool = False,
    ) -> None:
        """`icap`: see Site; None: no routes have steps.

        `folder` is empty and ours; returns once the proxy answers over TLS, BenchError when it does not."""
        self.name = name
        https, http = free_ports(2)
        self.site = Site(
            folder, https, http, backends, certificate, folder / "access.log", workers, backend_ca, backend_http2,
            icap is not None, icap or 0, cache, compress,
        )  # fmt: skip
        recipe = make(self.site)
        stdout = self.site.access_log if recipe.log_is_stdout else folder / "stdout"
        self._program = Program(
            name, pinned(recipe.command, cores.proxy), stdout=stdout, stderr=folder / "stderr", env=recipe.env, cwd=recipe.cwd
        )
        try:
            self._program.wait_until(lambda: duties.answers(self.site.https, certificate.cert))
        except BaseException:
            self._program.stop()
            raise

    @property
    def pid(self) -> int:
        return self._program.pid

    def stop(self) -> None:
        self._program.stop()


def maker(name: str, folder: Path) -> Maker:
    """One of KINDS, or lbproxy@REVISION (whose tree goes below `folder`)."""
    if name in KINDS:
        return KINDS[name].make
    base, at, rev = name.partition("@")
    if base == SUBJECT and at and rev:
        return revision(rev, folder)
    raise BenchError(f"unknown peer {name!r}: wanted {', '.join(KINDS)} or {SUBJECT}@REVISION")


def require_peer(name: str) -> None:
    """BenchError when it is not installed."""
    if name in ("nginx", "haproxy", "caddy"):
        require(name, "a peer")
    elif name == "proxy.py":
        proxy_py_file.require_module()


def about(name: str) -> str:
    """The version that stands in the report."""
    if name == "nginx":
        return version([require("nginx", "a peer"), "-v"]).removeprefix("nginx version: ")
    if name == "haproxy":
        return version([require("haproxy", "a peer"), "-v"])
    if name == "caddy":
        return "caddy " + version([require("caddy", "a peer"), "version"])
    if name == "proxy.py":
        return "proxy.py " + package_version("proxy.py")
    rev = name.partition("@")[2]
    described = version(["git", "-C", str(REPOSITORY), "log", "-1", "--format=%h of %cs", rev or "HEAD"])
    if rev:
        return f"{described}, {'compiled unless older than that' if compiled.form().paths else 'not compiled, as the checkout'}"
    described += f", {'pure: asked for' if name == PURE else compiled.describe()}"
    return described + (", with changes on top" if changed() else "")


def facts(names: Sequence[str], cores: Cores) -> str:
    """A line for each fact that a report begins with."""
    told = {**machine_facts(cores), **{name: about(name) for name in names}}
    return "\n".join(f"{fact + ':':<13} {what}" for fact, what in told.items())


def changed() -> bool:
    """Whether the package differs from the commit that the checkout stands on."""
    return version(["git", "-C", str(REPOSITORY), "status", "--porcelain", "--", "lbproxy"]) != "unknown"


def commit(name: str) -> str | None:
    """The whole hash of what a lbproxy was made from; None for other proxies."""
    if not name.startswith(SUBJECT):
        return None
    return version(["git", "-C", str(REPOSITORY), "rev-parse", (name.partition("@")[2] or "HEAD") + "^{commit}"])
