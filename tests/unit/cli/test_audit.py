"""audit, as it is typed."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from lbproxy import cli
from tests.support.certificates import Authority
from tests.unit.cli.fake import Capture
from tests.unit.config.text import LEAST


def test_exit_codes_go_by_severity(file: Path, capsys: Capture) -> None:
    """LEAST sends plain text to another machine, which is medium."""
    file.write_text(LEAST)
    for options, code in (([], 1), (["--fail-on", "high"], 0), (["--fail-on", "low"], 1), (["--fail-on", "never"], 0)):
        assert cli.main(["audit", "-c", str(file), *options]) == code
        assert f"medium: backend-plain-text: {file}:7: pool.app.backends[0]: 10.0.0.1:80\n" in capsys.readouterr().out
    accepted = ["--accept", "backend-plain-text=a cable", "--json"]
    assert cli.main(["audit", "-c", str(file), *accepted]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {each["id"]: each["accepted"] for each in findings} == {"backend-plain-text": "a cable", "body-unlimited": ""}
    assert cli.main(["audit", "-c", str(file), "--sarif"]) == 1
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"


def test_what_the_file_itself_lets_pass(file: Path, capsys: Capture) -> None:
    """With its reason, where it says; --fail-on wins over the file; what nobody knows is refused as any other key is."""
    file.write_text(LEAST + '[[audit.accept]]\nid = "backend-plain-text"\nreason = "a cable"\nkey = "pool.app"\n')
    assert cli.main(["audit", "-c", str(file)]) == 0
    assert "    accepted: a cable\n" in capsys.readouterr().out
    file.write_text(LEAST + '[audit]\nfail_on = "critical"\n')
    assert cli.main(["audit", "-c", str(file)]) == 0
    assert cli.main(["audit", "-c", str(file), "--fail-on", "low"]) == 1
    file.write_text(LEAST + '[[audit.accept]]\nid = "backend-plane-text"\nreason = "a cable"\nuntil = "soon"\n')
    assert cli.main(["audit", "-c", str(file)]) == 2
    said = capsys.readouterr().err
    assert "audit.accept[0].id" in said
    assert 'wanted a day such as "2027-12-31"' in said


def test_a_tap_that_others_of_this_machine_read(file: Path, capsys: Capture) -> None:
    """By the modes that the files have now; what is not there yet is nobody's."""
    pipe = file.parent / "pipe"
    folder = file.parent / "tap"
    folder.mkdir(0o700)
    file.write_text(LEAST + f'[tap.ids]\nfolder = "{folder}"\nfifo = "{pipe}"\n')
    cli.main(["audit", "-c", str(file)])
    assert "tap-readable" not in capsys.readouterr().out
    os.mkfifo(pipe)
    pipe.chmod(0o644)
    cli.main(["audit", "-c", str(file)])
    assert f"high: tap-readable: {file}:" in (said := capsys.readouterr().out)
    assert f"tap.ids.fifo: {pipe} is 0644" in said


def test_a_key_that_others_of_this_machine_read(file: Path, authority: Authority, capsys: Capture) -> None:
    """Where its mode is nobody's matter for `check`."""
    pair = authority.issue("client.test")
    os.chmod(pair["key"], 0o644)
    tls = f'ca = "{authority.file}"\ncert = "{pair["cert"]}"\nkey = "{pair["key"]}"\nkey_mode = "any"\n'
    file.write_text(f"{LEAST}[pool.app.tls]\n{tls}")
    assert cli.main(["audit", "-c", str(file), "--fail-on", "high"]) == 1
    told = f"high: key-readable: {file}:12: pool.app.tls.key_mode: {pair['key']} is 0644"
    assert told in capsys.readouterr().out
    os.chmod(pair["key"], 0o600)
    assert cli.main(["audit", "-c", str(file), "--fail-on", "high"]) == 0


@pytest.mark.parametrize(("life", "left", "told"), [(90, 5, True), (90, 20, False), (6, 4, False), (6, 1, True)])
def test_a_certificate_that_ends_soon(file: Path, capsys: Capture, life: int, left: int, told: bool) -> None:
    """Within 14 days, or the last fifth of a shorter life; `check` has nothing to say of it."""
    end = datetime.now(UTC) + timedelta(days=left)
    shown = trustme.CA().issue_cert("a.test", not_before=end - timedelta(days=life), not_after=end)
    pem = file.parent / "a.pem"
    shown.private_key_and_cert_chain_pem.write_to_path(str(pem))
    pem.chmod(0o600)
    file.write_text(f'{LEAST}[[listen]]\naddress = ":8444"\ncertificates = [{{ cert = "{pem}", key = "{pem}" }}]\n')
    assert cli.main(["check", "--strict", "-c", str(file)]) == 0
    cli.main(["audit", "-c", str(file)])
    said = capsys.readouterr().out
    assert (f"the certificate of a.test ends on {end:%Y-%m-%d %H:%M} UTC" in said) is told
    assert ("medium: certificate:" in said) is told


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


def test_what_does_not_run_is_said_and_the_file_is_judged_all_the_same(file: Path, capsys: Capture) -> None:
    """By an exit code of its own, whatever was found and whatever is accepted; a program is told as well."""
    file.write_text(LEAST + f'[proxy]\ncontrol = "{file.parent}/c"\n')
    assert cli.main(["audit", "-c", str(file), "--live", "--fail-on", "never"]) == 3
    out, err = capsys.readouterr()
    assert "medium: backend-plain-text: " in out
    assert "lbproxy: not looked at what runs: no lbproxy is running" in err
    assert cli.main(["audit", "-c", str(file), "--live", "--json"]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["live"]["pid"] == 0
    assert "no lbproxy is running" in answer["live"]["error"]
    assert cli.main(["audit", "-c", str(file), "--live", "--sarif"]) == 3
    [invocation] = json.loads(capsys.readouterr().out)["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False


def test_a_file_without_control_is_told_what_is_missing(file: Path, capsys: Capture) -> None:
    assert cli.main(["audit", "-c", str(file), "--live"]) == 3
    assert "names no control socket" in capsys.readouterr().err
