"""Another Python may run lbproxy if it can load the same packages; what cannot is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.macro.errors import BenchError
from bench.macro.interpreter import VARIABLE, interpreter

ROOT = Path(__file__).parents[3]


def test_this_one_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    found = interpreter()
    assert (found.program, found.path(ROOT)) == (sys.executable, str(ROOT))
    assert sys.version.startswith(found.version)


def test_another_finds_the_packages_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the one that the environment was made from, which has none of its own."""
    base = os.path.realpath(sys.executable)
    monkeypatch.setenv(VARIABLE, base)
    found = interpreter()
    command = [found.program, "-c", "import gevent, lbproxy; print(lbproxy.__file__)"]
    done = subprocess.run(command, env={"PYTHONPATH": found.path(ROOT)}, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.strip(), done.stderr) == (str(ROOT / "lbproxy" / "__init__.py"), "")
    assert base in found.version


@pytest.mark.parametrize("named", ["/nowhere/python", "/bin/true"])
def test_what_is_no_python(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, named)
    with pytest.raises(BenchError, match=f"{VARIABLE}: wanted a Python, came '{named}'"):
        interpreter()


def test_one_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not load what is compiled."""
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 3.9.1 cpython-39\n")
    old.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(old))
    with pytest.raises(BenchError, match="wanted one like this"):
        interpreter()
