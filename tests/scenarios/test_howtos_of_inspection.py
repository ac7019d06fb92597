"""How-tos of what looks at requests are followed to the letter: configurations and commands are taken out of the pages, and run.

Only ports, files and certificates are others, and what a test needs is put in front: one worker, a control socket, patience.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.scenarios.test_tap import reading
from tests.support.ports import free_port
from tests.support.process import run_cli
from tests.support.tools import need
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Page:
    """A how-to, with some of its words replaced."""

    def __init__(self, name: str, words: Mapping[str, str]) -> None:
        text = (ROOT / "docs/howto" / name).read_text(encoding="utf-8")
        self._blocks = [(match[1], match[2]) for match in _BLOCK.finditer(text)]
        self.text = " ".join(text.split())
        self._words = dict(words)

    def said(self, text: str) -> str:
        for word, other in self._words.items():
            text = text.replace(word, other)
        return text

    def block(self, kind: str, number: int = 0) -> str:
        return self.said([text for of, text in self._blocks if of == kind][number])

    def command(self, beginning: str) -> list[str]:
        """The first one that begins so."""
        lines = [line for kind, text in self._blocks if kind == "sh" for line in text.splitlines()]
        return shlex.split(self.said(next(line for line in lines if line.startswith(beginning))), comments=True)


def patient(stage: Stage) -> str:
    """What is in front of a page's configuration."""
    return f'[proxy]\nworkers = 1\ncontrol = "{stage.directory / "control.sock"}"\n\n'


def run(command: list[str]) -> str:
    """What it says."""
    need(command[0])
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


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
    proxy = stage.run(patient(stage) + page.block("toml"))
    attack = page.command("curl")
    wanted = json.loads(page.block(""))

    def found() -> bool:
        run(attack)  # on a busy machine rules may take more than the two seconds that they have
        return bool(proxy.events("waf.found"))

    eventually(found, "what is found is told")
    told = proxy.events("waf.found")[0]
    assert {name: told[name] for name in wanted} == wanted
    proxy.file.write_text(patient(stage) + page.block("toml", 1))
    assert run_cli("reload", "-c", str(proxy.file)).returncode == 0
    code = [*attack, "-o", os.devnull, "-w", "%{http_code}"]
    eventually(lambda: run(code) == "403", "the attack is refused")
    line = proxy.wait_access(status=403)[0]
    for name in ("reason", "inspected"):
        assert f'`"{name}": "{line[name]}"`' in page.text


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
    proxy = stage.run(patient(stage) + page.block("toml"))
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
