"""Bad input is refused at start: exit code 1, and a line that a tired person can act on; nothing is served and nothing is left."""

from __future__ import annotations

import copy
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toml

from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.process import ROOT, run_cli

Config = dict[str, Any]


def _refused(directory: Path, config: Config | str, *words: str) -> str:
    """Start it: exit 1 quickly, no traceback, and one line with all these words, which is returned."""
    file = directory / "bad.toml"
    file.write_text(config if isinstance(config, str) else toml.dumps(config))
    ended = run_cli("start", "-c", str(file), within=60)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1, said
    assert "Traceback" not in said, said
    fitting = [line for line in said.splitlines() if all(word.lower() in line.lower() for word in words)]
    assert fitting, f"no line with all of {words} in:\n{said}"
    return fitting[0]


def _line_of(text: str, directory: Path) -> int:
    lines = (directory / "bad.toml").read_text().splitlines()
    return 1 + next(number for number, line in enumerate(lines) if text in line)


@pytest.fixture
def good(stage: Stage) -> Config:
    """A configuration that would start."""
    return copy.deepcopy(stage.config(f"127.0.0.1:{free_port()}"))


def test_broken_toml(tmp_path: Path) -> None:
    """File and line of the syntax error."""
    _refused(tmp_path, '[proxy]\nworkers = 2\nuser = "half\n', "bad.toml:3")


def test_missing_file(tmp_path: Path) -> None:
    """The name of the file that is not there."""
    ended = run_cli("start", "-c", str(tmp_path / "absent.toml"))
    assert ended.returncode == 1
    assert "absent.toml" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_unknown_key(tmp_path: Path, good: Config) -> None:
    """Key, line, and what was probably meant."""
    good["proxy"]["worker"] = good["proxy"].pop("workers")
    line = _refused(tmp_path, good, "worker", 'did you mean "workers"')
    assert f"bad.toml:{_line_of('worker =', tmp_path)}" in line


def test_every_complaint_at_once(tmp_path: Path, good: Config) -> None:
    """Three mistakes, three lines, one run."""
    good["proxy"]["worker"] = 2
    good["timeouts"] = {"connect": "4 parsecs"}
    good["route"][0]["pool"] = "ap"
    for words in (("worker",), ("timeouts.connect", "parsecs"), ("pool", "ap")):
        _refused(tmp_path, good, *words)


def test_missing_certificate(tmp_path: Path, good: Config) -> None:
    """The path that is not there."""
    good["listen"][0]["certificates"][0]["cert"] = "/nowhere/site.pem"
    _refused(tmp_path, good, "/nowhere/site.pem")


def test_key_that_does_not_match(tmp_path: Path, good: Config, stage: Stage) -> None:
    """A key of another certificate is named."""
    other = stage.authority.issue("other.test")
    good["listen"][0]["certificates"][0]["key"] = other["key"]
    _refused(tmp_path, good, other["key"], "match")


def test_key_readable_by_others(tmp_path: Path, good: Config) -> None:
    """Refused, with the command that mends it."""
    own = good["listen"][0]["certificates"][0]
    loose = tmp_path / "loose.key"
    loose.write_bytes(Path(own["key"]).read_bytes())
    loose.chmod(0o644)
    own["key"] = str(loose)
    _refused(tmp_path, good, str(loose), "chmod 600")


def test_port_in_use(tmp_path: Path, good: Config) -> None:
    """The address that somebody else has."""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        good["listen"][0]["address"] = address
        _refused(tmp_path, good, address, "in use")


def test_pool_without_backends(tmp_path: Path, good: Config) -> None:
    """The pool that has none."""
    good["pool"]["app"]["backends"] = []
    _refused(tmp_path, good, "pool.app", "backend")


def test_unresolvable_name(tmp_path: Path, good: Config) -> None:
    """The name that nobody knows."""
    good["pool"]["app"]["backends"] = ["no-such-host.invalid:8080"]
    _refused(tmp_path, good, "no-such-host.invalid")


MISTAKES: list[tuple[str, Callable[[Config], object], tuple[str, ...]]] = [
    ("no listener", lambda config: config.pop("listen"), ("listen",)),
    ("no pool", lambda config: config.update(pool={}), ("pool",)),
    ("bad address", lambda config: config["listen"][0].update(address="localhost:https"), ("listen", "address")),
    ("bad port", lambda config: config["listen"][0].update(address="127.0.0.1:70000"), ("70000",)),
    ("bad balance", lambda config: config["pool"]["app"].update(balance="least_con"), ("least_con", "did you mean")),
    ("bad type", lambda config: config["proxy"].update(workers="two"), ("workers", "two")),
    ("negative", lambda config: config["proxy"].update(workers=-1), ("workers", "-1")),
    ("bad size", lambda config: config.update(limits={"head": "32KB!"}), ("limits.head",)),
    ("bad network", lambda config: config["proxy"].update(trusted_proxies=["10.0.0.0/33"]), ("trusted_proxies", "10.0.0.0/33")),
    ("same listener twice", lambda config: config["listen"].append(config["listen"][0]), ("listen", "already")),
]


@pytest.mark.parametrize(("change", "words"), [mistake[1:] for mistake in MISTAKES], ids=[mistake[0] for mistake in MISTAKES])
def test_more_mistakes(tmp_path: Path, good: Config, change: Callable[[Config], object], words: tuple[str, ...]) -> None:
    """Each is refused with its place."""
    change(good)
    _refused(tmp_path, good, "bad.toml", *words)


def test_check_says_the_same(tmp_path: Path, good: Config) -> None:
    """`check` finds what `start` would, and exits 0 for what would start."""
    file = tmp_path / "lbproxy.toml"
    file.write_text(toml.dumps(good))
    fine = run_cli("check", "-c", str(file))
    assert fine.returncode == 0, fine.stdout + fine.stderr
    good["pool"]["app"]["backends"] = []
    file.write_text(toml.dumps(good))
    bad = run_cli("check", "-c", str(file))
    assert bad.returncode == 1
    assert "pool.app" in bad.stdout + bad.stderr


def test_daemon_tells_the_caller(tmp_path: Path, good: Config) -> None:
    """`start --daemon` of what cannot start returns 1 with the reason to the shell that asked."""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        good["listen"][0]["address"] = address
        file = tmp_path / "lbproxy.toml"
        file.write_text(toml.dumps(good))
        command = [sys.executable, "-m", "lbproxy", "start", "--daemon", "-c", str(file)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert ended.returncode == 1
    assert address in ended.stdout + ended.stderr
