"""audit, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbproxy import cli
from tests.unit.cli.fake import Capture
from tests.unit.config.text import LEAST


def test_exit_codes_go_by_severity(file: Path, capsys: Capture) -> None:
    """LEAST sends plain text to another machine, which is medium."""
    file.write_text(LEAST)
    for options, code in (([], 1), (["--fail-on", "high"], 0), (["--fail-on", "low"], 1), (["--fail-on", "never"], 0)):
        assert cli.main(["audit", "-c", str(file), *options]) == code
        assert f"medium: backend-plain-text: {file}:7: pool.app.backends: 10.0.0.1:80\n" in capsys.readouterr().out
    accepted = ["--accept", "backend-plain-text=a cable", "--json"]
    assert cli.main(["audit", "-c", str(file), *accepted]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {each["id"]: each["accepted"] for each in findings} == {"backend-plain-text": "a cable", "body-unlimited": ""}
    assert cli.main(["audit", "-c", str(file), "--sarif"]) == 1
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"


def test_what_check_refuses_is_not_judged(file: Path, capsys: Capture) -> None:
    file.write_text(LEAST + "balanse = 1\n")
    assert cli.main(["audit", "-c", str(file)]) == 2
    assert "balanse" in capsys.readouterr().err


@pytest.mark.parametrize("accepted", ["nothing-of-that-name=why", "walls-off", "walls-off= "])
def test_who_lives_with_something_says_with_what_and_why(file: Path, capsys: Capture, accepted: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["audit", "-c", str(file), "--accept", accepted])
    assert ended.value.code == 2
    assert "argument --accept" in capsys.readouterr().err
