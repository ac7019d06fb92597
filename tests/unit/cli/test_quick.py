"""quick, with a master that is a fake; what it starts for real is in tests/scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy import cli
from lbproxy.config.model import Address
from lbproxy.errors import StartError
from tests.unit.cli.fake import Capture, FakeMaster


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


def test_quick_with_a_backend_twice(master: FakeMaster, capsys: Capture) -> None:
    """Is wrong usage too, in whichever way it is written."""
    assert cli.main(["quick", "--to", ":1", "--to", "127.0.0.1:1"]) == 2
    assert capsys.readouterr().err == "lbproxy: 127.0.0.1:1 is given twice\n"
    assert master.config is None
