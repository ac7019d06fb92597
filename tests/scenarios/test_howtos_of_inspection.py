"""How-tos of what looks at requests are followed to the letter: configurations and commands are taken out of the pages, and run.

Only ports, files and certificates are others (tests/support/howto.py). The same is done for antivirus in test_icap.py, and for the
portal of LemonLDAP::NG in test_lemonldap.py.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.scenarios.test_tap import reading
from tests.support.howto import Page
from tests.support.ports import free_port
from tests.support.process import run_cli
from tests.support.tools import need
from tests.support.waiting import PATIENCE, eventually


def run(command: list[str]) -> str:
    """What it says. A proxy of this machine's has no part in it."""
    need(command[0])
    env = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False, env=env).stdout


@pytest.mark.skipif(not Path("/usr/share/modsecurity-crs").is_dir(), reason="modsecurity-crs is not installed (see scripts/test)")
def test_web_application_firewall(stage: Stage) -> None:
    """From detecting to blocking: the event is the one on the page, and then the attack is refused."""
    try:
        ctypes.CDLL("libmodsecurity.so.3")
    except OSError:
        pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)")
    port = free_port()
    words = {"0.0.0.0:80": f"127.0.0.1:{port}", "127.0.0.1:9000": stage.app().address, "localhost/": f"localhost:{port}/"}
    page = Page("waf.md", words)
    control = stage.directory / "control.sock"
    proxy = stage.run(page.toml(control))
    attack = page.command("curl")
    wanted = json.loads(page.block(""))

    def found() -> bool:
        run(attack)  # on a busy machine rules may take more than the two seconds that they have
        return bool(proxy.events("waf.found"))

    eventually(found, "what is found is told")
    told = proxy.events("waf.found")[0]
    assert {name: told[name] for name in wanted} == wanted
    proxy.file.write_text(page.toml(control, number=1))
    assert run_cli("reload", "-c", str(proxy.file)).returncode == 0
    code = [*attack, "-o", os.devnull, "-w", "%{http_code}"]
    eventually(lambda: run(code) == "403", "the attack is refused")
    line = proxy.wait_access(status=403)[0]
    for name in ("reason", "inspected"):
        assert f'`"{name}": "{line[name]}"`' in page.text


@pytest.mark.skipif(not Path("/usr/share/modsecurity-crs").is_dir(), reason="modsecurity-crs is not installed (see scripts/test)")
def test_policy_of_the_rule_set(stage: Stage) -> None:
    """What the page's file allows is refused without it."""
    try:
        ctypes.CDLL("libmodsecurity.so.3")
    except OSError:
        pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)")
    port, policy = free_port(), stage.directory / "policy.conf"
    words = {"0.0.0.0:80": f"127.0.0.1:{port}", "127.0.0.1:9000": stage.app().address, "localhost/": f"localhost:{port}/"}
    page = Page("waf.md", {**words, "/etc/lbproxy/policy.conf": str(policy)})
    control = stage.directory / "control.sock"
    proxy = stage.run(page.toml(control, number=1).replace('mode = "block"', 'mode = "block"\ntimeout = "30s"'))
    asked = [*page.command("curl -X PUT"), "-o", os.devnull, "-w", "%{http_code}"]
    assert run(asked) == "403"
    assert proxy.wait_access(status=403)[0]["reason"] == "waf_blocked:911100"
    policy.write_text(page.block("apache"))
    proxy.file.write_text(page.toml(control, "policy.conf").replace('mode = "block"', 'mode = "block"\ntimeout = "30s"'))
    assert run_cli("reload", "-c", str(proxy.file)).returncode == 0
    eventually(lambda: run(asked) == "200", "it passes")


def test_tap(stage: Stage) -> None:
    """Programs that the page names read what was decrypted, from a pipe, over TCP and from files."""
    if os.geteuid() != 0:
        pytest.skip("tcpdump and tshark give up their rights to files of others, and want to be root")
    for tool in ("tcpdump", "tshark"):
        need(tool)
    port, folder = free_port(), stage.directory / "tap"
    certificate = stage.authority.issue("localhost", "127.0.0.1")
    words = {
        "0.0.0.0:443": f"127.0.0.1:{free_port()}",
        "/var/lib/lbproxy/tap": str(folder),
        "/run/lbproxy/tap.fifo": str(stage.directory / "tap.fifo"),
        "57012": str(port),
        "127.0.0.1:9000": stage.app().address,
        'interface = "tap0"\n': "",  # for that there is test_tap.py, in a network namespace
        '"example.com.crt"': f'"{certificate["cert"]}"',
        '"example.com.key"': f'"{certificate["key"]}"',
    }
    page = Page("tap.md", words)
    subprocess.run(page.command("install -d"), check=True, timeout=60)
    proxy = stage.run(page.toml(stage.directory / "control.sock"))
    pipe, wire = stage.directory / "from-pipe", stage.directory / "from-wire"
    live = [page.command("tcpdump -nAr /run/lbproxy/tap.fifo"), page.command("tshark")]
    with reading((live[0], pipe), (live[1], wire)):

        def came() -> bool:
            with stage.client(proxy) as client:
                assert client.request("GET", "/a-path-to-be-seen").status == 200
            return all(b"a-path-to-be-seen" in file.read_bytes() for file in (pipe, wire))

        eventually(came, "both have it")
    files = page.command("tcpdump -nAr /var/lib/lbproxy/tap/ids")
    eventually(lambda: "a-path-to-be-seen" in run(files), "it is in a file as well")
