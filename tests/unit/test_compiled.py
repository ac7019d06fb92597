"""Which form runs: never a compiled one whose sources have changed, and plain Python whenever anything is amiss."""

from __future__ import annotations

import ast
import importlib
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy import compiled

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "lbproxy"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, without a build."""
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    copy = tmp_path / "lbproxy"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", compiled.FOLDER))
    monkeypatch.setattr(compiled, "_PACKAGE", str(copy))
    return copy


def build(package: Path, manifest: str | None = None) -> None:
    """What a build leaves behind, with nothing in it."""
    folder = package / compiled.FOLDER
    folder.mkdir(exist_ok=True)
    (folder / compiled.MANIFEST).write_text(compiled.describe_sources() if manifest is None else manifest)


def test_nothing_built(package: Path) -> None:
    assert compiled.form() == compiled.Form({}, "not built")
    assert compiled.describe() == "pure: not built"


def test_a_build_of_these_sources_is_taken(package: Path) -> None:
    build(package)
    paths, why, _ = compiled.form()
    assert why == ""
    assert tuple(paths) == compiled.HOT
    assert set(paths.values()) == {str(package / compiled.FOLDER / compiled.LIBRARY)}
    assert compiled.describe() == f"compiled: {len(compiled.HOT)} modules"


@pytest.mark.parametrize("edited", ["proxy/exchange.py", "net/tcp_stream.pxd", "compiled.py"])
def test_any_edit_makes_all_of_it_plain(package: Path, edited: str) -> None:
    build(package)
    path = package / edited
    times = path.stat()
    path.write_text(path.read_text() + "\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # the contents decide, not the time
    assert compiled.form() == compiled.Form({}, "sources changed", (edited,))
    assert compiled.describe().startswith(f"pure: sources changed: {edited}; ")


def test_what_changed_is_told_with_the_way_out(package: Path) -> None:
    """By name, as long as there are few; in a checkout scripts/compile builds, elsewhere an installation does."""
    build(package)
    for name in ("streams.py", "proxy/exchange.py", "net/tls_engine.pxd", "net/wire.pyx", "net/strands.py"):
        (package / name).write_text("")
    assert compiled.form().stale.endswith(" and 2 more; install it again to build anew")
    (package.parent / "scripts").mkdir()
    (package.parent / "scripts/compile").touch()
    assert compiled.form().stale.endswith("; scripts/compile builds anew")
    assert compiled.Form({}, "not built").stale == ""


def test_a_type_file_that_is_new_counts_as_an_edit(package: Path) -> None:
    build(package)
    (package / "proxy/relay.pxd").write_text("# types\n")
    assert compiled.form().why == "sources changed"


def test_a_source_that_is_gone_is_no_crash(package: Path) -> None:
    build(package)
    (package / "proxy/exchange.py").unlink()
    assert compiled.form().paths == {}


def test_a_build_that_failed_says_why(package: Path) -> None:
    build(package, f"{compiled.FAILED} no C compiler, or no Python.h\n")
    assert compiled.describe() == "pure: no C compiler, or no Python.h"


@pytest.mark.parametrize(("value", "forced"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_switch(package: Path, monkeypatch: pytest.MonkeyPatch, value: str, forced: bool) -> None:
    build(package)
    monkeypatch.setenv(compiled.SWITCH, value)
    assert compiled.form() == compiled.Form({}, compiled.SWITCH) if forced else compiled.form().paths


def test_the_finder_answers_for_hot_modules_alone_and_stays_with_its_choice(package: Path) -> None:
    finder = compiled.Finder()
    build(package)
    assert finder.find_spec("lbproxy.errors") is None
    assert finder.find_spec("json") is None
    spec = finder.find_spec("lbproxy.proxy.exchange")
    assert spec is not None
    assert spec.origin == str(package / compiled.FOLDER / compiled.LIBRARY)
    (package / "proxy/exchange.py").write_text("")
    assert finder.find_spec("lbproxy.proxy.client") is not None, "half compiled, half plain would not fit together"


def test_modules_are_told_apart_in_one_library() -> None:
    """Python looks for a function named after the last part of a module's name."""
    assert len({module.rpartition(".")[2] for module in compiled.HOT}) == len(compiled.HOT)


def test_this_process_runs_what_is_said() -> None:
    """With the real package: compiled as a whole, or plain as a whole."""
    paths = compiled.form().paths
    for module in compiled.HOT:
        loaded = importlib.import_module(module).__file__
        assert loaded is not None
        assert loaded.endswith(compiled.SUFFIX if paths else ".py"), f"{module} is {loaded}, and {compiled.describe()}"


@pytest.mark.parametrize("switch", ["0", "1"])
def test_another_process_does_what_the_environment_says(switch: str) -> None:
    code = "import lbproxy.proxy.exchange as it; from lbproxy import compiled; print(it.__file__); print(compiled.describe())"
    env = {**os.environ, compiled.SWITCH: switch}
    said = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    file, form = said.splitlines()
    assert file.endswith(compiled.SUFFIX) == form.startswith("compiled: ")
    assert switch == "0" or form == f"pure: {compiled.SWITCH}"


# ---------------------------------------------------------------- the build


@pytest.mark.parametrize(("missing", "why"), [("compiler", "no C compiler, or no Python.h"), ("Cython", "no Cython")])
def test_what_cannot_be_built_is_no_failure(tmp_path: Path, missing: str, why: str) -> None:
    """As pip does it. Whoever has no compiler installs lbproxy all the same, and can find out that it is plain Python."""
    pytest.importorskip("setuptools")
    pytest.importorskip("Cython")
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(PACKAGE, tmp_path / "lbproxy", ignore=shutil.ignore_patterns("__pycache__", compiled.FOLDER))
    env = {name: value for name, value in os.environ.items() if name != compiled.SWITCH}
    if missing == "compiler":
        env["CC"] = "false"
    else:
        (tmp_path / "shadow/Cython").mkdir(parents=True)
        (tmp_path / "shadow/Cython/__init__.py").write_text("raise ImportError('not here')")
        env["PYTHONPATH"] = str(tmp_path / "shadow")
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "build_ext", "--inplace"]
    ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    said = subprocess.run(
        [sys.executable, "-c", "from lbproxy import compiled; print(compiled.describe())"],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert said.stdout == f"pure: {why}\n"


# ---------------------------------------------------------------- the types


TYPED = sorted(PACKAGE.rglob("*.pxd"))
_CLASS = re.compile(r"^cdef class (\w+)(?:\((\w+)\))?:\n((?:(?:    .*)?\n)*)", re.M)
_AHEAD = re.compile(r"^cdef class (\w+)(?:\(\w+\))?$", re.M)  # of two that name each other, the one whose types come second
_FIELD = re.compile(r"^    cdef (?:public |readonly )?(?!.*\()[\w\[\]:. ]+? (\w+)$", re.M)
_METHOD = re.compile(r"^    cp?def [^=\n]*?(\w+)\(", re.M)
_FUNCTION = re.compile(r"^cp?def (?!class)[^=\n]*?(\w+)\(", re.M)


def test_types_are_for_hot_modules() -> None:
    """A .pxd beside a module that is not compiled would type nothing."""
    assert TYPED
    for path in TYPED:
        assert ".".join(("lbproxy", *path.relative_to(PACKAGE).with_suffix("").parts)) in compiled.HOT


@pytest.mark.parametrize("path", TYPED, ids=lambda path: path.stem)
def test_types_fit_the_module(path: Path) -> None:
    """A compiled class has exactly the attributes that its .pxd declares: any other would fail when it is first set."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(path.with_suffix(".py").read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for name, _, body in _CLASS.findall(text):
        assert name in classes, f"class {name} is gone"
        slots = [
            ast.literal_eval(node.value)
            for node in classes[name].body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__slots__"
        ]
        assert slots, f"{name} has no __slots__: then its plain form has other attributes than its compiled one"
        assert sorted(_FIELD.findall(body)) == sorted(slots[0]), f"{name}: __slots__ (right) and {path.name} (left) differ"
        methods = {node.name for node in classes[name].body if isinstance(node, ast.FunctionDef)}
        assert set(_METHOD.findall(body)) <= methods, f"{name}: methods that are gone"
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    only_c = path.with_suffix(".pyx")
    if only_c.exists():
        functions |= set(_FUNCTION.findall(only_c.read_text(encoding="utf-8")))
    assert set(_FUNCTION.findall(text)) <= functions
    assert set(_AHEAD.findall(text)) <= set(classes), "classes named ahead that are gone"
    assert len(re.findall(r"^cdef class", text, re.M)) == len(_CLASS.findall(text)) + len(_AHEAD.findall(text))


def test_a_process_tells_what_it_loaded_and_not_what_it_would(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(package)
    finder = compiled.Finder()
    monkeypatch.setattr(compiled, "_finder", finder)
    assert compiled.loaded() == ""
    assert finder.find_spec(compiled.HOT[0]) is not None
    (package / compiled.FOLDER / compiled.MANIFEST).unlink()
    assert compiled.describe() == "pure: not built"
    assert compiled.loaded() == f"compiled: {len(compiled.HOT)} modules"


@pytest.mark.filterwarnings("ignore")  # setuptools' own
def test_what_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module takes types from is part of its key, through any number of hands; what it does not is none of it."""
    pytest.importorskip("setuptools")
    monkeypatch.setattr(sys, "argv", ["setup.py", "--version"])
    depends_on = runpy.run_path(str(ROOT / "setup.py"))["_depends_on"]
    for module in compiled.HOT:
        path = PACKAGE.parent / module.replace(".", "/")
        found = {file.relative_to(ROOT) for file in depends_on(module)}
        assert path.with_suffix(".pyx" if path.with_suffix(".pyx").exists() else ".py").relative_to(ROOT) in found
        for file in found:
            for name in re.findall(r"^from (lbproxy\.[\w.]+) cimport", (ROOT / file).read_text(encoding="utf-8"), re.M):
                assert Path(name.replace(".", "/") + ".pxd") in found
    said = {file.name for file in depends_on("lbproxy.proxy.client")}
    assert {"client.py", "client.pxd", "service.pxd", "access.pxd", "streams.pxd"} <= said
    assert not {"tcp_stream.pxd", "chunks.pxd", "service.py"} & said
