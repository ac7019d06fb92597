"""The verbs as a person types them: wrong usage, and how the program ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy import __version__, cli, compiled
from lbproxy.cli import check
from tests.support.process import run_cli
from tests.unit.cli.fake import Capture


@pytest.mark.parametrize(("arguments", "told"), [
    ([], "VERB"),
    (["start"], "-c/--config"),
    (["fly"], "invalid choice: 'fly'"),
    (["quick"], "--to"),
    (["quick", "--to", "9000"], '"app.internal:8080", got "9000" (e.g. "127.0.0.1:9000")'),
    (["quick", "--from", "localhost:1", "--to", ":1"], 'wanted the IP address to listen on, got "localhost" (e.g. "127.0.0.1:1")'),
    (["quick", "--to", ":1", "--workers", "63"], 'wanted "auto" or a number from 1 to 62, got the number 63'),
    (["quick", "--to", ":1", "--workers", "x"], 'wanted "auto" or a number from 1 to 62, got "x"'),
    (["respond"], "ADDR"),
    (["check", "-c", "x", "--json", "--effective"], "not allowed with"),
])  # fmt: skip
def test_wrong_usage(arguments: list[str], told: str, capsys: Capture) -> None:
    """Exit 2, what is wrong, and what would be right."""
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert told in capsys.readouterr().err


def test_version(capsys: Capture) -> None:
    """On stdout."""
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"lbproxy {__version__} ({compiled.describe()})\n"


@pytest.mark.parametrize(("error", "told"), [
    (OSError(24, "Too many open files"), "lbproxy: cannot go on: Too many open files (more open files are needed: ulimit -n, "
                                         "LimitNOFILE= in systemd)\n"),
    (MemoryError(), "lbproxy: cannot go on: no memory (more memory is needed: ulimit -v, MemoryMax= in systemd, the container's "
                    "limit)\n"),
    (FileNotFoundError(2, "No such file or directory", "/proc/self/fd"), "lbproxy: cannot go on: /proc/self/fd: No such file or "
                                                                         "directory\n"),
])  # fmt: skip
def test_what_a_poor_system_denies_is_a_sentence(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    """And no traceback, whatever was denied."""

    def denied(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("lbproxy.config.load.load_file", denied)
    assert cli.main(["start", "-c", str(tmp_path / "x.toml")]) == 1
    assert capsys.readouterr().err == told


# ---------------------------------------------------------------- as a process


def test_python_m_is_the_same() -> None:
    """`python -m lbproxy`."""
    assert run_cli("--version").stdout == f"lbproxy {__version__} ({compiled.describe()})\n"


def test_a_reader_that_goes_away() -> None:
    """`lbproxy init | head -0` ends quietly."""
    process = subprocess.Popen([sys.executable, "-u", "-m", "lbproxy", "init"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait(60) == 1


def test_little_is_loaded_for_little() -> None:
    """What a verb does not need is not imported for it: it comes at once."""
    heavy = {"cryptography", "gevent", "asyncio", "psutil", "structlog", "toml", "ssl"}
    program = "import sys; from lbproxy.cli import main; main(['init']); print(*sys.modules, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert heavy & set(ended.stderr.split()) == set()


@pytest.mark.parametrize(("error", "told"), [
    (MemoryError(), "no memory (more memory is needed"),
    (SystemError("<x> error return without exception set"), "<x> error return without exception set (more memory is needed"),
    (RuntimeError("can't start new thread"), "can't start new thread (more processes and threads, or memory for their stacks"),
    (SystemError("bad argument to internal function"), ""),
    (ImportError("No module named 'lbproxy.nothing'"), ""),
    (RuntimeError("anything else"), ""),
])  # fmt: skip
def test_what_is_wanting_is_told_in_a_line(error: Exception, told: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Whatever else it may be is a fault of ours, and not hidden."""

    def fails(arguments: object) -> int:
        raise error

    monkeypatch.setattr(check, "check", fails)
    if told:
        assert cli.main(["check", "-c", "x"]) == 1
        assert f"cannot go on: {told}" in capsys.readouterr().err
    else:
        with pytest.raises(type(error)):
            cli.main(["check", "-c", "x"])
