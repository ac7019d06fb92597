"""Very many certificates: pairs that lbproxy takes, and the table of what they cost."""

from __future__ import annotations

from pathlib import Path

from bench.store import command, pairs
from lbproxy.config.certificate_folder import pairs_in
from lbproxy.config.load import load_text
from lbproxy.tls.folder_audit import audit_folder


def test_pairs_can_be_used(tmp_path: Path) -> None:
    """Each by its name, in the configuration that is started."""
    folder = tmp_path / "certs"
    folder.mkdir()
    pairs.make(folder, 3)
    assert [one.cert.stem for one in pairs_in(folder).pairs] == [pairs.name_of(number) for number in range(3)]
    [listen] = load_text(command.config(folder, 8443), "x.toml", tmp_path).listen
    assert len(listen.listed) == 3
    assert audit_folder(listen) == []


def test_table() -> None:
    """A line for each start."""
    told = command.table([command.Figures(1, 0.5, 0.25, 29.4, 24.0, 300.0, 310.0)])
    assert told.splitlines()[-1] == "| 1 | 0.50 | 0.25 | 29 | 24 | 300 | 310 |"
