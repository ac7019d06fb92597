"""The shape of the package, enforced: floors, strangers, purity, a test beside every file. Sizes and docstrings: test_form.py.

The rules stand in lbproxy/__init__.py. Imports are read from the syntax tree, the lazy ones inside functions included; only imports
under `if TYPE_CHECKING:` do not count, since they never run.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.forms import touches_compiled

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lbproxy"

FLOORS: dict[str, int] = {
    "lbproxy.__main__": 5,  # only starts cli
    "lbproxy.cli": 4,
    "lbproxy.master": 3,
    "lbproxy.worker": 3,
    "lbproxy.control": 3,
    "lbproxy.demo": 3,
    "lbproxy.acme": 3,
    "lbproxy.acme.schedule": 1,
    "lbproxy.acme.order_states": 1,
    "lbproxy.acme.record": 1,
    "lbproxy.proxy": 2,
    "lbproxy.net": 2,
    "lbproxy.tls": 2,
    "lbproxy.sandbox": 2,
    "lbproxy.waf": 2,
    "lbproxy.waf.messages": 1,
    "lbproxy.waf.rules_text": 1,
    "lbproxy.waf.arguments": 1,
    "lbproxy.waf.overridden": 1,
    "lbproxy.waf.phases": 1,
    "lbproxy.sandbox.filter": 1,
    "lbproxy.sandbox.names": 1,
    "lbproxy.names.lookup": 2,
    "lbproxy.observe.log": 2,
    "lbproxy.observe.outlet": 2,
    "lbproxy.observe.standard": 2,
    "lbproxy.observe.process": 2,
    "lbproxy.observe.snapshot": 2,
    "lbproxy.ipc.pipe": 2,
    "lbproxy.ipc.uplink": 2,
    "lbproxy.ipc.master_link": 2,
    "lbproxy.ipc.handover": 2,
    "lbproxy.http": 1,
    "lbproxy.balance": 1,
    "lbproxy.health": 1,
    "lbproxy.names": 1,
    "lbproxy.filter": 1,
    "lbproxy.prelude": 1,
    "lbproxy.audit": 1,
    "lbproxy.cache": 1,
    "lbproxy.cache.lock": 2,
    "lbproxy.config": 1,
    "lbproxy.ipc.messages": 1,
    "lbproxy.ipc.codec": 1,
    "lbproxy.ipc.strict_json": 1,
    "lbproxy.observe.access": 1,
    "lbproxy.observe.metrics": 1,
    "lbproxy.observe.cache_names": 1,
    "lbproxy.observe.cache_totals": 1,
    "lbproxy.observe.waf_totals": 1,
    "lbproxy.observe.mirror_totals": 1,
    "lbproxy.observe.packets": 1,
    "lbproxy.observe.pcap": 1,
    "lbproxy.observe.tap_facts": 1,
    "lbproxy.observe.tapped": 1,
    "lbproxy.cells": -1,
    "lbproxy.coders": -1,
    "lbproxy.compiled": 0,
    "lbproxy.errors": 0,
    "lbproxy.globs": -1,
    "lbproxy.regex": -1,
    "lbproxy.remembered": 0,
    "lbproxy.streams": 0,
    "lbproxy.config.atoms": 0,
    "lbproxy.config.header_values": 0,
    "lbproxy.config.key": 0,
    "lbproxy.config.kinds": 0,
    "lbproxy.config.model": 0,
    "lbproxy.config.certificate_patterns": 0,
    "lbproxy.config.route_values": 0,
    "lbproxy.config.units": 0,
    "lbproxy.config.values": 0,
    "lbproxy.config.vocabulary": 0,
}
"""The longest matching prefix rules. A new module that no prefix covers has to be given a floor here and in lbproxy/__init__.py."""

LAZY_ACROSS: dict[str, tuple[str, ...]] = {
    "lbproxy.cli": ("lbproxy.worker", "lbproxy.control", "lbproxy.acme"),
}
"""cli wires the children together and names these only inside functions, so that verbs which only look come at once."""

ROOTS_WITH_CODE: dict[str, str] = {
    "lbproxy": "puts the finder of compiled modules in place before anything else is imported",
    "lbproxy.cli": "lbproxy.cli:main is the entry point",
    "lbproxy.config.model": "one vocabulary in several rooms: who wants one word of it has all",
}

IMPURE = {
    "asyncio", "fcntl", "gevent", "greenlet", "logging", "mmap", "multiprocessing", "os", "psutil", "random", "secrets", "select",
    "selectors", "signal", "socket", "ssl", "structlog", "subprocess", "threading", "time",
}  # fmt: skip
"""What a pure module (floor 1 and 0) must not touch: the world, the clock, chance and the log. pathlib and os.path are fine."""

PURE_ABOVE: tuple[str, ...] = (
    "lbproxy.master.fleet",
    "lbproxy.master.operator.requests",
    "lbproxy.master.operator.status",
    "lbproxy.proxy.retry",
    "lbproxy.cli.rates",
    "lbproxy.cli.table",
)
"""Modules above the pure floors that are pure all the same: they touch nothing of IMPURE, and know only modules that are pure."""

IMPURE_WITH_REASON: dict[tuple[str, str], str] = {
    ("lbproxy.master.fleet.child", "signal"): "names of signals",
    ("lbproxy.master.fleet.events", "signal"): "names of signals",
    ("lbproxy.master.fleet.fleet", "signal"): "names of signals",
    ("lbproxy.master.fleet.fleet", "os"): "os.waitstatus_to_exitcode, which is arithmetic",
    ("lbproxy.compiled", "os"): "looks for compiled modules: files, and a switch in the environment",
}
"""(module, import) pairs on a pure floor that are let through, each with its reason."""

GEVENT_FOLDERS = ("lbproxy.net", "lbproxy.worker", "lbproxy.control")

WITHOUT_UNIT_TEST: dict[str, str] = {
    "tls/pair_audit.py": "test_audit.py asks all that is asked of a pair",
    "cells.py": "an interface",
    "proxy/connect.py": "test_exchange.py dials and reuses with it",
    "proxy/stepwise.py": "steps/test_step.py sees what steps may do; steps/test_cache.py gives answers in place of a backend's",
    "proxy/telling.py": "steps/test_compress.py and steps/test_cache.py read the lines that it puts on",
    "proxy/tries.py": "the half of exchange.py that test_exchange_fails.py and test_retry.py try",
    "proxy/h1_body.py": "test_request_body.py feeds it bodies in all pieces",
    "proxy/h1_downstream.py": "test_exchange.py and test_client.py look at every byte it writes",
    "proxy/h1_upstream.py": "test_relay.py and test_exchange.py read answers with it",
    "proxy/response_body.py": "test_relay.py reads bodies with it",
    "proxy/sink.py": "an interface",
    "proxy/stand_in.py": "what every hit of steps/test_cache.py is given out by",
    "proxy/unmeasured.py": "test_version.py has the scenes",
    "proxy/upstream.py": "an interface, and what test_upstream_pool.py tries",
    "proxy/h2/h2_downstream.py": "what runs inside connection.py, whose tests try both",
    "__main__.py": "one line, run by every scenario",
    "streams.py": "interfaces only",
    "config/atoms.py": "values; config/test_units.py reads and writes them",
    "config/header_values.py": "what config/rules/test_headers.py reads",
    "config/key.py": "declarations; config/test_keys.py goes over all of them",
    "config/read.py": "config/test_load.py, test_tables.py and those in config/rules",
    **{
        f"config/model/{room}.py": "declarations; config/test_keys.py goes over all of them"
        for room in ("audit", "filters", "headers", "health", "listeners", "pools", "timeouts", "process")
    },
    "proxy/downstream.py": "attributes, and a method that proxy/client.py has",
    "master/fleet/children.py": "the half of fleet.py that acts on one child; its tests try both",
    "master/resources/generation.py": "values; test_prepare.py makes and closes them, watches/test_certificates.py has its remarks",
    "master/resources/preparation.py": "master/test_main_reloads.py prepares and refuses reloads of a real process",
    "acme/main.py": "scenarios/test_acme.py runs the process: threads, pipe and walls",
    "config/model/acme.py": "declarations; config/test_keys.py goes over all of them, config/rules/test_acme.py what is refused",
    "tls/edition.py": "what test_showcase.py writes, reads and shows",
    "master/watches/tickets.py": "scenarios/test_tickets.py rotates keys under workers; when: resources/test_ticket_rotation.py",
    "master/watches/log_rotation.py": "master/test_main.py and test_main_reloads.py rotate logs of real processes",
    "ipc/messages.py": "values; ipc/test_codec.py carries each of them over the wire",
    "ipc/handover.py": "values",
    "sandbox/kernel.py": "system calls, which only sandbox/test_walls.py can ask what they did",
    "cli/control.py": "wires two others together; every scenario's control process runs it",
    "balance/backend.py": "a value",
    "cache/interface.py": "an interface",
    "net/job_thread.py": "test_scratch.py and test_body_files.py stall and fail it, test_password_thread.py leaves it",
    "net/whole_files.py": "test_scratch.py and test_body_files.py read and write by it",
    "cache/buckets.py": "what test_area.py finds answers by",
    "cache/memory.py": "what test_area.py stores and finds in",
    "cache/record.py": "what test_area.py writes and reads, nonsense included",
    "cache/ring.py": "what test_area.py fills many times over",
    "cache/writer.py": "the half of area.py that has the lock; its tests try both",
    "balance/policy.py": "an interface only",
}
"""Files with functions whose promises are checked elsewhere."""


class Import(NamedTuple):
    importer: str
    imported: str  # module as far as it can be told: "from lbproxy.net import dial" names lbproxy.net.dial when that is a module
    line: int
    lazy: bool  # inside a function

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}{' (lazily)' if self.lazy else ''}"


def source_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in source_files("lbproxy")}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _walk(node: ast.AST, lazy: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, lazy
        else:
            yield from _walk(child, lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def imports_of(module: str, path: Path) -> Iterator[Import]:
    for node, lazy in _walk(tree_of(path), False):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(module, name.name, node.lineno, lazy)
        else:
            assert node.level == 0, f"{module}:{node.lineno}: relative import; write it out so that floors can be read off"
            assert node.module is not None
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield Import(module, whole if whole in modules() or node.module == "lbproxy" else node.module, node.lineno, lazy)


@cache
def all_imports() -> list[Import]:
    return [found for module, path in modules().items() for found in imports_of(module, path)]


def inside(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def floor_of(module: str) -> int | None:
    """The floor; None for the roots that hold no code (lbproxy itself and its version)."""
    if module in ("lbproxy", "lbproxy.__version__"):
        return None
    ruling = max((prefix for prefix in FLOORS if inside(module, prefix)), key=len, default=None)
    if ruling is None and modules().get(module, Path()).name == "__init__.py":
        return None  # a folder whose files stand on different floors: its __init__ must stay empty (test below)
    assert ruling is not None, f"{module} stands on no floor: add it to FLOORS and to the docstring of lbproxy/__init__.py"
    return FLOORS[ruling]


def folder_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_imports_point_only_down() -> None:
    """No module knows one on a higher floor, and folders on one floor are strangers."""
    faults = []
    for found in all_imports():
        here, there = floor_of(found.importer), floor_of(found.imported) if inside(found.imported, "lbproxy") else None
        if here is None or there is None:
            continue
        if here < there:
            faults.append(f"{found}: floor {here} must not know floor {there}")
        elif here == there and folder_of(found.importer) != folder_of(found.imported):
            faults.append(f"{found}: both stand on floor {here}, where folders are strangers")
    assert not faults, "\n".join(faults)


def test_every_module_has_a_floor() -> None:
    """A new folder is put on a floor on purpose."""
    for module in modules():
        floor_of(module)


def test_package_roots_hold_no_code() -> None:
    """A folder's __init__ is a docstring: importing one file of it must not drag in its neighbours."""
    faults = [
        module
        for module, path in modules().items()
        if path.name == "__init__.py"
        and module not in ROOTS_WITH_CODE
        and any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(tree_of(path)))
    ]
    assert not faults, f"imports in __init__.py of {faults}"


def test_children_are_wired_lazily() -> None:
    """Whoever wires the children names them only inside functions, so that the master never loads what they need."""
    faults = [
        str(found)
        for found in all_imports()
        for wiring, children in LAZY_ACROSS.items()
        if inside(found.importer, wiring) and not found.lazy and any(inside(found.imported, child) for child in children)
    ]
    assert not faults, "\n".join(faults)


def test_no_import_cycles() -> None:
    """Modules form a tree of knowledge, lazy imports included."""
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for found in all_imports():
        if found.imported in graph and found.imported != found.importer:
            graph[found.importer].add(found.imported)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, "a cycle: " + " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for known in sorted(graph[module]):
                visit(known, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_pure_floors_touch_nothing() -> None:
    """Floors 0 and 1 decide; they see no socket, clock, chance or log."""
    faults = [
        str(found)
        for found in all_imports()
        if (floor_of(found.importer) or 0) <= 1
        and found.imported.split(".")[0] in IMPURE
        and found.imported != "os.path"
        and (found.importer, found.imported) not in IMPURE_WITH_REASON
    ]
    assert not faults, "\n".join(faults)


def pure(module: str) -> bool:
    """Held to be pure: by its floor, or because PURE_ABOVE says so."""
    floor = floor_of(module)
    return floor is None or floor <= 1 or any(inside(module, prefix) for prefix in PURE_ABOVE)


def test_what_is_called_pure_is_pure() -> None:
    """Above floor 1 as well: no socket, clock, chance or log, neither by itself nor by what it imports of ours."""
    faults = []
    for found in all_imports():
        if not any(inside(found.importer, prefix) for prefix in PURE_ABOVE):
            continue
        top = found.imported.split(".")[0]
        if top in IMPURE and found.imported != "os.path" and (found.importer, found.imported) not in IMPURE_WITH_REASON:
            faults.append(str(found))
        if top == "lbproxy" and not pure(found.imported):
            faults.append(f"{found}, which is not pure")
    assert not faults, "\n".join(faults)


def test_what_calls_itself_pure_is_held_to_it() -> None:
    """A docstring that says "Pure" is a promise."""
    faults = [
        module
        for module, path in modules().items()
        if re.search(r"\bPure\b", ast.get_docstring(tree_of(path)) or "") and not pure(module)
    ]
    assert not faults, f"say that they are pure, and stand neither on a pure floor nor in PURE_ABOVE: {faults}"


def test_gevent_stays_in_its_folders() -> None:
    """Only the event-driven processes' own folders name gevent or greenlet; proxy/ works over streams."""
    faults = [
        str(found)
        for found in all_imports()
        if found.imported.split(".")[0] in ("gevent", "greenlet")
        and not any(inside(found.importer, place) for place in GEVENT_FOLDERS)
    ]
    assert not faults, "\n".join(faults)


def test_nobody_monkey_patches() -> None:
    """gevent's modules are used by name; patching would reach into the master's and the libraries' blocking calls."""
    faults = [str(found) for found in all_imports() if inside(found.imported, "gevent.monkey")]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("module", ["lbproxy.cli", "lbproxy.master.main"])
def test_master_loads_no_gevent(module: str) -> None:
    """What the master imports does not load gevent, nor what may be compiled: each child chooses for itself.

    (structlog looks for greenlet by itself; without a hub that does nothing.)
    """
    probe = (
        f"import sys, {module}\n"
        "loaded = sorted(name for name in sys.modules if name.split('.')[0] == 'gevent' or name in lbproxy.compiled.HOT)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
    assert ended.returncode == 0, ended.stderr


def _has_logic(path: Path) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree_of(path)))


def test_every_file_has_its_unit_test() -> None:
    """lbproxy/<folder>/<file>.py is tested by tests/unit/<folder>/test_<file>.py, or WITHOUT_UNIT_TEST tells why not."""
    faults = []
    for path in source_files("lbproxy"):
        inner = path.relative_to(PACKAGE)
        if path.name == "__init__.py" or not _has_logic(path) or str(inner) in WITHOUT_UNIT_TEST:
            continue
        twin = ROOT / "tests" / "unit" / inner.parent / f"test_{inner.name}"
        if not twin.exists():
            faults.append(f"lbproxy/{inner} wants {twin.relative_to(ROOT)}")
    assert not faults, "\n".join(faults)


def test_exemptions_are_alive() -> None:
    """An exemption for a file that is gone, or that got its test, is dropped."""
    stale = [
        name
        for name in WITHOUT_UNIT_TEST
        if not (PACKAGE / name).exists() or (ROOT / "tests/unit" / Path(name).parent / f"test_{Path(name).name}").exists()
    ]
    assert not stale, f"stale exemptions: {stale}"


@pytest.mark.parametrize(("importer", "imported", "allowed"), [
    ("lbproxy.http.grammar", "lbproxy.errors", True),
    ("lbproxy.http.grammar", "lbproxy.net.dial", False),
    ("lbproxy.http.grammar", "lbproxy.balance.pool", False),
    ("lbproxy.proxy.exchange", "lbproxy.net.dial", False),
    ("lbproxy.observe.log", "lbproxy.observe.access", True),
    ("lbproxy.observe.access", "lbproxy.observe.log", False),
    ("lbproxy.worker.main", "lbproxy.master.main", False),
])  # fmt: skip
def test_the_rule_itself(importer: str, imported: str, allowed: bool) -> None:
    """The floors say what we mean: known good and bad imports."""
    here, there = floor_of(importer), floor_of(imported)
    assert here is not None
    assert there is not None
    assert (here > there or (here == there and folder_of(importer) == folder_of(imported))) is allowed


def test_what_is_tried_once_has_nothing_to_do_with_compiled_modules() -> None:
    """Tests that `--both-forms` leaves out, all in one fresh process: nothing they import loads one."""
    tests = sorted(path for path in (ROOT / "tests/unit").rglob("test_*.py") if "bench" not in path.parts)
    once = [str(path) for path in tests if not touches_compiled(path)]
    assert 50 < len(once) < len(tests) - 100
    for name in ("http/h1/test_chunks", "worker/test_main", "net/test_tcp_stream", "cli/test_start", "test_compiled"):
        assert str(ROOT / f"tests/unit/{name}.py") not in once
    probe = (
        "import importlib.util, sys; from lbproxy import compiled\n"
        "for number, path in enumerate(sys.argv[1:]):\n"
        "    spec = importlib.util.spec_from_file_location(f'test_{number}', path)\n"
        "    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "sys.exit(repr(found) if (found := set(compiled.HOT) & sys.modules.keys()) else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", probe, *once], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
    assert ended.returncode == 0, ended.stderr
