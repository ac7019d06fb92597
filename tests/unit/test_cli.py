"""The verbs as a person types them. What they start for real is in tests/scenarios; here the master is a fake."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy import __version__, cli
from lbproxy.config.load import load_text
from lbproxy.config.model import Address, Config
from lbproxy.errors import StartError
from tests.support.process import run_cli
from tests.unit.config.text import LEAST

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration that start would take."""
    written = tmp_path / "lbproxy.toml"
    written.write_text(LEAST)
    return written


class FakeMaster:
    """Stands in for lbproxy.master.main.run."""

    def __init__(self) -> None:
        self.config: Config | None = None
        self.result: int | Exception = 0

    def run(self, config: Config, *, worker: object, control: object, on_ready: Callable[[], None] | None = None) -> int:
        self.config = config
        assert callable(worker)
        assert callable(control)
        if on_ready is not None:
            on_ready()
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> FakeMaster:
    fake = FakeMaster()
    monkeypatch.setattr("lbproxy.master.main.run", fake.run)
    return fake


# ---------------------------------------------------------------- start


@pytest.mark.parametrize("code", [0, 2])
def test_start_hands_over_to_the_master(master: FakeMaster, file: Path, code: int) -> None:
    """What the file says, and its exit code."""
    master.result = code
    assert cli.main(["start", "-c", str(file)]) == code
    assert master.config is not None
    assert master.config.listen[0].address == Address("0.0.0.0", 8443)


def test_start_errors_are_a_line_each(master: FakeMaster, file: Path, capsys: Capture) -> None:
    """On stderr, told to come from us; exit 1."""
    master.result = StartError("one\ntwo")
    assert cli.main(["start", "-c", str(file)]) == 1
    assert capsys.readouterr() == ("", "lbproxy: one\nlbproxy: two\n")


def test_start_refuses_a_bad_file_before_anything_runs(master: FakeMaster, file: Path, capsys: Capture) -> None:
    """Complaints about the file, and about what it names."""
    file.write_text(LEAST.replace("least", "") + "worker = 1")
    assert cli.main(["start", "-c", str(file)]) == 1
    assert (
        capsys.readouterr().err == f"lbproxy: {file}:8: pool.app.worker: unknown key (known here: balance, backends, tls, health)\n"
    )
    file.write_text(LEAST.replace('":8443"', '":8443"\ncertificates = [{ cert = "no.crt", key = "no.key" }]'))
    assert cli.main(["start", "-c", str(file)]) == 1
    err = capsys.readouterr().err
    assert "no.crt" in err
    assert "no.key" in err
    assert master.config is None


def test_interrupted(master: FakeMaster, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before the master listens to signals is a forced end, without a traceback."""

    def interrupt(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("lbproxy.master.main.run", interrupt)
    assert cli.main(["start", "-c", str(file)]) == 2


# ---------------------------------------------------------------- check, init


def test_check_fine(file: Path, capsys: Capture) -> None:
    """One line; as JSON an empty list."""
    assert cli.main(["check", "-c", str(file)]) == 0
    assert capsys.readouterr() == (f"{file} is fine: 1 listener, 1 route, 1 pool, 1 backend\n", "")
    assert cli.main(["check", "-c", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "complaints": []}


def test_check_complains(file: Path, capsys: Capture) -> None:
    """Lines on stderr for people, objects on stdout for programs."""
    file.write_text(LEAST + "balanse = 1")
    told = "unknown key"
    assert cli.main(["check", "-c", str(file)]) == 1
    assert capsys.readouterr() == ("", f'lbproxy: {file}:8: pool.app.balanse: {told} (did you mean "balance"?)\n')
    assert cli.main(["check", "-c", str(file), "--json"]) == 1
    out, err = capsys.readouterr()
    complaint = {"file": str(file), "line": 8, "key": "pool.app.balanse", "message": told, "hint": 'did you mean "balance"?'}
    assert (json.loads(out), err) == ({"ok": False, "complaints": [complaint]}, "")


def test_check_resolves_names(file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together with what is wrong about certificates, in file order; addresses are asked nobody about."""
    asked = []

    def first_address(host: str, port: int) -> str:
        asked.append(host)
        if host == "known.internal":
            return "10.0.0.1"
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("lbproxy.master.resolve.first_address", first_address)
    names = '"10.0.0.1:80", "known.internal:80", "[::1]:80",\n"gone.internal:80", "gone.internal:81"'
    backends = f'backends = [{names}]\ntls = {{ ca = "no.pem" }}'
    file.write_text(LEAST.replace('backends = ["10.0.0.1:80"]', backends))
    assert cli.main(["check", "-c", str(file), "--json"]) == 1
    found = [(each["line"], each["message"]) for each in json.loads(capsys.readouterr().out)["complaints"]]
    lost = 'cannot resolve "gone.internal": Name or service not known'
    assert sorted(asked) == ["gone.internal", "known.internal"]
    assert found[-2:] == [(8, lost), (8, lost)]
    assert "no.pem" in found[0][1]


def test_check_effective(file: Path, capsys: Capture) -> None:
    """A file that says the same."""
    assert cli.main(["check", "-c", str(file), "--effective"]) == 0
    out = capsys.readouterr().out
    assert load_text(out, "", file.parent).pools[0].backends[0].address == Address("10.0.0.1", 80)
    assert "keepalive" in out


def test_init_passes_check(tmp_path: Path, capsys: Capture) -> None:
    """As it stands: no certificate has to be there."""
    assert cli.main(["init"]) == 0
    (tmp_path / "new.toml").write_text(capsys.readouterr().out)
    assert cli.main(["check", "-c", str(tmp_path / "new.toml")]) == 0


# ---------------------------------------------------------------- quick, demo


def test_quick(master: FakeMaster, tmp_path: Path, capsys: Capture) -> None:
    """Both spellings of several backends; a certificate in DIR; the banner once it serves, and not before."""
    arguments = ["quick", "--from", "127.0.0.1:9443", "--to", ":9000", "10.0.0.1:80", "--to", "app:81", "--workers", "3"]
    assert cli.main([*arguments, "--dir", str(tmp_path / "state")]) == 0
    config = master.config
    assert config is not None
    addresses = [backend.address for backend in config.pools[0].backends]
    assert addresses == [Address("127.0.0.1", 9000), Address("10.0.0.1", 80), Address("app", 81)]
    assert (config.listen[0].address, config.proxy.workers) == (Address("127.0.0.1", 9443), 3)
    assert config.listen[0].certificates[0].cert == tmp_path / "state/quick.crt"
    assert f"curl --cacert {tmp_path}/state/quick.crt https://localhost:9443/" in capsys.readouterr().out


def test_quick_that_cannot_start_prints_no_banner(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told of an URL that does not answer."""

    def fail(*_: object, **__: object) -> int:
        raise StartError("the port is in use")

    monkeypatch.setattr("lbproxy.master.main.run", fail)
    assert cli.main(["quick", "--to", ":1", "--dir", str(tmp_path / "s")]) == 1
    assert capsys.readouterr() == ("", "lbproxy: the port is in use\n")


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


def test_quick_with_a_backend_twice(master: FakeMaster, capsys: Capture) -> None:
    """Is wrong usage too, in whichever way it is written."""
    assert cli.main(["quick", "--to", ":1", "--to", "127.0.0.1:1"]) == 2
    assert capsys.readouterr().err == "lbproxy: 127.0.0.1:1 is given twice\n"
    assert master.config is None


def test_version(capsys: Capture) -> None:
    """On stdout."""
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"lbproxy {__version__}\n"


# ---------------------------------------------------------------- as a process


def test_python_m_is_the_same() -> None:
    """`python -m lbproxy`."""
    assert run_cli("--version").stdout == f"lbproxy {__version__}\n"


def test_a_reader_that_goes_away() -> None:
    """`lbproxy init | head -0` ends quietly."""
    process = subprocess.Popen([sys.executable, "-u", "-m", "lbproxy", "init"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait(20) == 1


def test_little_is_loaded_for_little() -> None:
    """What a verb does not need is not imported for it: it comes at once."""
    heavy = {"cryptography", "gevent", "asyncio", "psutil", "structlog", "toml", "ssl"}
    program = "import sys; from lbproxy.cli import main; main(['init']); print(*sys.modules, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert heavy & set(ended.stderr.split()) == set()
