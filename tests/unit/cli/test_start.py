"""start: what it refuses before anything runs, and what it hands to the master."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lbproxy import cli
from lbproxy.config.model import Address
from lbproxy.errors import ConfigError, StartError
from lbproxy.tls.fork import NoAnswer
from tests.unit.cli.fake import Capture, FakeMaster
from tests.unit.config.text import LEAST


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


@pytest.mark.parametrize("place", ["/mnt/a.pem", ""])
def test_files_that_are_not_answered_for(
    master: FakeMaster, file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Are told by their path, where that can be found out."""

    def silent(*_: object) -> None:
        raise NoAnswer("no answer within 10 s")

    monkeypatch.setattr("lbproxy.tls.apart.audit_apart", silent)
    monkeypatch.setattr("lbproxy.master.resources.first_look.hanging", lambda config: place)
    assert cli.main(["start", "-c", str(file)]) == 1
    why = f"nothing is heard of the disk that {place} is on" if place else "no answer within 10 s"
    assert capsys.readouterr() == ("", f"lbproxy: {why}\n")
    assert master.config is None


def test_start_refuses_a_bad_file_before_anything_runs(master: FakeMaster, file: Path, capsys: Capture) -> None:
    """Complaints about the file, and about what it names."""
    file.write_text(LEAST.replace("least", "") + "worker = 1")
    assert cli.main(["start", "-c", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(rf"lbproxy: {re.escape(str(file))}:8: pool\.app\.worker: unknown key \(known here: [a-z_, ]+\)\n", err), err
    assert "balance, " in err
    assert err.count("\n") == 1
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


def test_a_reload_reads_the_same_file(master: FakeMaster, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever folder the master is in by then; what is wrong is told by the name that was typed."""
    monkeypatch.chdir(file.parent)
    assert cli.main(["start", "-c", file.name]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert master.reread is not None
    file.write_text(LEAST.replace("8443", "9443"))
    assert master.reread().listen[0].address == Address("0.0.0.0", 9443)
    file.write_text(LEAST + "balanse = 1")
    with pytest.raises(ConfigError, match=r"^lbproxy\.toml:8: pool\.app\.balanse: unknown key"):
        master.reread()
    file.write_text(LEAST.replace('":8443"', '":8443"\ncertificates = [{ cert = "no.crt", key = "no.key" }]'))
    with pytest.raises(ConfigError, match=r"no\.crt"):
        master.reread()


def test_new_code_is_tried_with_the_same_file(master: FakeMaster, file: Path, tmp_path: Path) -> None:
    """The command that checks it runs, from any folder, and is not fooled by what lies about there."""
    assert cli.main(["start", "-c", str(file)]) == 0
    (tmp_path / "lbproxy.py").write_text("raise SystemExit('not this one')")
    assert master.commands is not None
    ended = subprocess.run(master.commands.check, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert master.commands.start[-3:] == ["start", "-c", str(file)]
