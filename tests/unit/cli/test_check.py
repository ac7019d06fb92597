"""check and init."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest

from lbproxy import cli
from lbproxy.config.load import load_text
from lbproxy.config.model import Address
from lbproxy.errors import Unresolved
from lbproxy.names.answer import NameAnswer
from tests.unit.cli.fake import Capture
from tests.unit.config.text import LEAST
from tests.unit.tls.files import pair


def test_check_fine(file: Path, capsys: Capture) -> None:
    """One line; as JSON an empty list."""
    assert cli.main(["check", "-c", str(file)]) == 0
    assert capsys.readouterr() == (f"{file} is fine: 1 listener, 1 route, 1 pool, 1 backend\n", "")
    assert cli.main(["check", "-c", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "complaints": [], "warnings": []}


def test_check_complains(file: Path, capsys: Capture) -> None:
    """Lines on stderr for people, objects on stdout for programs."""
    file.write_text(LEAST + "balanse = 1")
    told = "unknown key"
    assert cli.main(["check", "-c", str(file)]) == 1
    assert capsys.readouterr() == ("", f'lbproxy: {file}:8: pool.app.balanse: {told} (did you mean "balance"?)\n')
    assert cli.main(["check", "-c", str(file), "--json"]) == 1
    out, err = capsys.readouterr()
    complaint = {"file": str(file), "line": 8, "key": "pool.app.balanse", "message": told, "hint": 'did you mean "balance"?'}
    assert (json.loads(out), err) == ({"ok": False, "complaints": [complaint], "warnings": []}, "")


def test_check_warns(file: Path, capsys: Capture) -> None:
    """Of what starts all the same: exit 0, and 1 where a pipeline asks for it; nothing but the file on stdout."""
    old = pair(file.parent, "old.test", end=timedelta(seconds=-5))
    certificates = f'certificates = [{{ cert = "{old.cert}", key = "{old.key}" }}]'
    file.write_text(LEAST.replace('":8443"', f'":8443"\n{certificates}'))
    about = f"{file}:3: listen[0].certificates[0].cert: the certificate of old.test expired on "
    assert cli.main(["check", "-c", str(file)]) == 0
    out, err = capsys.readouterr()
    assert " is fine: " in out
    assert err.startswith(f"lbproxy: warning: {about}")
    assert cli.main(["check", "-c", str(file), "--strict"]) == 1
    assert capsys.readouterr() == ("", err)
    for strict, ok in (([], True), (["--strict"], False)):
        assert cli.main(["check", "-c", str(file), "--json", *strict]) == (0 if ok else 1)
        answer = json.loads(capsys.readouterr().out)
        assert (answer["ok"], answer["complaints"], len(answer["warnings"])) == (ok, [], 1)
    assert cli.main(["check", "-c", str(file), "--effective"]) == 0
    assert load_text(capsys.readouterr().out, "", file.parent).listen[0].certificates == (old,)


def test_check_resolves_names(file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together with what is wrong about certificates, in file order; addresses are asked nobody about."""
    asked = []

    def lookup(host: str, resolvers: object) -> NameAnswer:
        asked.append(host)
        if host == "known.internal":
            return NameAnswer(("10.0.0.1",), 60.0)
        raise Unresolved("no such name")

    monkeypatch.setattr("lbproxy.names.lookup.lookup", lookup)
    names = '"10.0.0.1:80", "known.internal:80", "[::1]:80",\n"gone.internal:80", "gone.internal:81"'
    backends = f'backends = [{names}]\ntls = {{ ca = "no.pem" }}'
    file.write_text(LEAST.replace('backends = ["10.0.0.1:80"]', backends))
    assert cli.main(["check", "-c", str(file), "--json"]) == 1
    found = [(each["line"], each["message"]) for each in json.loads(capsys.readouterr().out)["complaints"]]
    lost = 'cannot resolve "gone.internal": no such name'
    assert sorted(asked) == ["gone.internal", "known.internal"]
    assert found[-2:] == [(8, lost), (8, lost)]
    assert "no.pem" in found[0][1]


def test_check_standard_input(file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked for in the current folder; environment variables are read, and not shown."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LEAST.replace("10.0.0.1", "${SECRET_HOST}").encode())))
    monkeypatch.setenv("SECRET_HOST", "10.0.0.77")
    assert cli.main(["check", "-c", "-", "--effective"]) == 0
    out = capsys.readouterr().out
    assert '"${SECRET_HOST}:80"' in out
    assert "10.0.0.77" not in out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LEAST.encode() + b'balanse = "x"\n\xff')))
    assert cli.main(["check", "-c", "-", "--json"]) == 1
    [complaint] = json.loads(capsys.readouterr().out)["complaints"]
    assert (complaint["file"], complaint["line"]) == ("stdin", 9)


def test_check_tells_the_file_of_each_complaint(file: Path, capsys: Capture) -> None:
    """As text and as JSON."""
    (file.parent / "site.toml").write_text("[pool.more]\nbackends = []\n")
    file.write_text('include = ["site.toml"]\n' + LEAST)
    assert cli.main(["check", "-c", str(file)]) == 1
    site = file.parent / "site.toml"
    assert capsys.readouterr().err.startswith(f"lbproxy: {site}:2: pool.more.backends: the pool has no backends")
    assert cli.main(["check", "-c", str(file), "--json"]) == 1
    [complaint] = json.loads(capsys.readouterr().out)["complaints"]
    assert (complaint["file"], complaint["line"], complaint["key"]) == (str(site), 2, "pool.more.backends")


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


def test_check_warns_of_what_is_easily_overlooked(file: Path, capsys: Capture) -> None:
    """Dangers that audit finds as well, but for those that somebody lives with."""
    text = file.read_text() + '\n[cache]\nmemory = "8MiB"\n'
    file.write_text(text.replace("[[route]]\n", '[[route]]\ncache = { default_ttl = "1m" }\n', 1))
    assert cli.main(["check", "-c", str(file)]) == 0
    assert "route[0].cache.default_ttl: Answers that say nothing of caching are stored" in capsys.readouterr().err
    assert cli.main(["check", "-c", str(file), "--strict"]) == 1
    file.write_text(file.read_text() + '[[audit.accept]]\nid = "cache-default-cookies"\nreason = "nobody logs in"\n')
    capsys.readouterr()
    assert cli.main(["check", "-c", str(file), "--strict"]) == 0
    assert not capsys.readouterr().err


def test_check_warns_of_heads_that_http_2_cannot_have(file: Path, capsys: Capture) -> None:
    """Where it stands, and what to do: a field beyond 64 KiB is nothing that libnghttp2 would read."""
    text = 'limits.head = "1MiB"\n' + file.read_text()
    file.write_text(text.replace("[[listen]]\n", '[[listen]]\nprotocols = ["h2", "http/1.1"]\n', 1))
    assert cli.main(["check", "-c", str(file)]) == 0
    warning = capsys.readouterr().err
    assert f"{file}:1: limits.head: Over HTTP/2 no field may be longer than 64 KiB" in warning
    assert '(Say head = "64KiB", or protocols' in warning
