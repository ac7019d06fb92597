"""What `lbproxy cert` says of files, and of answers; scenarios/test_certificates.py asks a running one."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from lbproxy.cli import main
from lbproxy.cli.cert import _rows
from tests.unit.tls.files import pair


def config(tmp_path: Path) -> str:
    file = tmp_path / "lb.toml"
    file.write_text('[[listen]]\naddress = "127.0.0.1:8443"\ncertificates = "certs"\n[[route]]\nclose = true\n')
    return str(file)


def test_check_is_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With files that are good; as a table, and as JSON."""
    (tmp_path / "certs").mkdir()
    pair(tmp_path / "certs", "a.test", "b.test", "c.test", "d.test")
    assert main(["cert", "check", "-c", config(tmp_path)]) == 0
    heads, row = capsys.readouterr().out.splitlines()
    assert heads.split() == ["names", "key", "days", "left", "until", "listener", "file"]
    assert row.split()[:6] == ["a.test,", "b.test,", "c.test", "and", "1", "more"]
    assert main(["cert", "check", "-c", config(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert told["certificates"][0]["names"] == ["a.test", "b.test", "c.test", "d.test"]


def test_check_finds_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A date, and half of a pair, of which start only warns."""
    (tmp_path / "certs").mkdir()
    pair(tmp_path / "certs", "a.test", end=timedelta(seconds=-5))
    (tmp_path / "certs/b.crt").touch()
    assert main(["cert", "check", "-c", config(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "a.test expired on" in said
    assert "b.crt has no key beside it" in said


def test_why_one_is_not_renewed_is_a_column_where_there_is_one() -> None:
    one = {"names": ["a"], "kind": "EC", "days_left": 1.5, "not_after": "2026-01-01T00:00:00Z", "listener": "l", "file": "f"}
    assert "because" not in next(_rows([one]))
    heads, row = _rows([{**one, "refused": "the key does not match"}])
    assert heads.endswith("not renewed because")
    assert row.endswith("the key does not match")
