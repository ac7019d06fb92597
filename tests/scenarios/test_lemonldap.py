"""LemonLDAP::NG lets people in: a browser is sent to its portal, logs in, comes back, and the backend hears who it is."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.support.backends import Server
from tests.support.certificates import public_key_pin
from tests.support.chromium import Chromium
from tests.support.howto import Page
from tests.support.ports import free_port
from tests.support.tools import need
from tests.support.waiting import eventually

SHIPPED = Path("/var/lib/lemonldap-ng/conf/lmConf-1.json")
INI = Path("/etc/lemonldap-ng/lemonldap-ng.ini")


def lemonldap(folder: Path, port: int, own: int, page: Page) -> Server:
    """Its portal, and the handler that is asked, in one server, with the demonstration's users, and run as the page says; `port`:
    where clients come in."""
    if not SHIPPED.exists() or subprocess.run(["perl", "-MLemonldap::NG::Portal", "-e1"], capture_output=True).returncode:
        pytest.skip("LemonLDAP::NG is not installed")
    for name in ("conf", "sessions/lock", "psessions/lock", "cache", "notifications"):
        (folder / name).mkdir(parents=True)
    config = json.loads(SHIPPED.read_text().replace("/var/lib/lemonldap-ng/", f"{folder}/"))
    config |= {
        "portal": f"https://auth.example.com:{port}/",
        "locationRules": {"app.example.com": {"^/admin": '$uid eq "rtyler"', "default": "accept"}},
        "exportedHeaders": {"app.example.com": {"Auth-User": "$uid", "Auth-Groups": "$groups"}},
        "vhostOptions": {"app.example.com": {"vhostHttps": 1, "vhostPort": port}},
        "groups": {"timelords": '$uid eq "dwho"', "staff": "$uid =~ /^(dwho|rtyler)$/"},
        "securedCookie": 1,
        "key": "0123456789abcdef",
    }
    (folder / "conf" / "lmConf-1.json").write_text(json.dumps(config))
    (folder / "lemonldap-ng.ini").write_text(INI.read_text().replace("/var/lib/lemonldap-ng/", f"{folder}/"))
    psgi = page.block("perl")
    (folder / "llng.psgi").write_text(psgi)
    starman, *arguments = shlex.split(psgi.splitlines()[0].partition("run by: ")[2])
    assert arguments.pop() == "llng.psgi"
    settings = f"LLNG_DEFAULTCONFFILE={folder}/lemonldap-ng.ini"
    listen = [*arguments, "--workers", "2", str(folder / "llng.psgi")]
    return Server(["env", settings, f"HOME={os.environ.get('HOME', '/')}", need(starman), *listen], own, folder)


def test_a_browser_logs_in_at_the_portal(stage: Stage, tmp_path: Path) -> None:
    """Set up as the how-to says: Auth-User and the groups are at the backend, from nobody but the portal; what is not for this user
    is a 403."""
    certificate = stage.authority.issue("auth.example.com", "app.example.com", "localhost")
    port, own = free_port(), free_port()
    words = {
        "0.0.0.0:443": f"127.0.0.1:{port}",
        '"example.com.crt"': f'"{certificate["cert"]}"',
        '"example.com.key"': f'"{certificate["key"]}"',
        "127.0.0.1:9000": stage.app().address,
        "127.0.0.1:5000": f"127.0.0.1:{own}",
        'user = "Auth-User" }': 'user = "Auth-User", timeout = "60s" }',
    }
    page = Page("authorization.md", words)
    stage.server(lemonldap(tmp_path / "llng", port, own, page))
    proxy = stage.run(page.toml(stage.directory / "control.sock", "auth.example.com", workers=2))
    pin = public_key_pin(Path(certificate["cert"]))
    hosts = "--host-resolver-rules=MAP *.example.com 127.0.0.1"
    with Chromium(tmp_path / "profile", hosts, f"--ignore-certificate-errors-spki-list={pin}") as browser:
        browser.go(f"https://app.example.com:{port}/echo?page=1")
        form = "document.querySelector('input[name=password]') !== null && location.host.startsWith('auth.')"
        eventually(lambda: browser.run(form), "the portal asks for a password", within=60)
        browser.run(
            "document.querySelector('input[name=user]').value = 'dwho';"
            "document.querySelector('input[name=password]').value = 'dwho';"
            "HTMLFormElement.prototype.submit.call(document.querySelector('input[name=password]').form)"
        )
        shown = eventually(
            lambda: browser.run("location.host.startsWith('app.') ? document.body.innerText : ''"), "it is back", within=60
        )
        browser.go(f"https://app.example.com:{port}/admin/")
        proxy.wait_access(path="/admin/", status=403, inspected="authorize=denied")  # the page leaves for another one by itself
    fields = [(name.lower(), value) for name, value in json.loads(shown)["fields"]]
    assert [field for field in fields if field[0] == "auth-user"] == [("auth-user", "dwho")]
    [groups] = [value for name, value in fields if name == "auth-groups"]  # said twice in its answer, which is one value
    assert {"timelords", "staff"} <= set(groups.replace(" ", "").split(";"))
    proxy.wait_access(status=200, inspected="authorize=allowed", user="dwho")
