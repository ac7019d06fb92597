"""Names are found as the system finds them: lbproxy and getaddrinfo side by side, in namespaces with a resolv.conf, a hosts file
and a name server of the test's own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.process import ROOT
from tests.support.tools import need

NAMESPACES = ["--user", "--map-root-user", "--mount", "--net"]
HOSTS = "127.0.0.1 localhost # caf\xe9\x85 10.9.9.9 app\n10.0.0.7 listed\n10.0.0.8\xa0listed\n10.0.0.999 listed\n"
NAMES = ["app", "app.", "listed", "localhost", "app.corp.test", "xn--strae-oqa.test", "many.test", "no.test", "app.broken.test"]


@pytest.fixture(scope="module")
def unshare() -> list[str]:
    """Skips where the kernel, or the container that this runs in, does not allow it."""
    command = [need("unshare"), *NAMESPACES]
    need("ip")
    done = subprocess.run([*command, need("mount"), "--bind", "/etc/hosts", "/etc/resolv.conf"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"namespaces are not permitted here: {done.stderr.decode().strip()}")
    return command


@pytest.mark.parametrize(
    "conf",
    [
        "nameserver 127.0.0.1#53\nnameserver 127.0.0.1\nsearch broken.test corp.test a..b\n# caf\xe9\n",
        "nameserver 127.1\nsearch nothing.test broken.test east.test\noptions ndots:2 timeout:1 rubbish:\n",
        "nameserver 127.0.0.1\noptions ndots:0\nsearch corp.test\ndomain east.test\n",
        "search corp.test\noptions use-vc\n",
    ],
)
def test_as_getaddrinfo_does(unshare: list[str], conf: str) -> None:
    """Lines that it passes over, empty labels, bytes of other encodings; search domains that fail, or know no address; many
    addresses; absolute names."""
    told = json.dumps({"resolv.conf": conf, "hosts": HOSTS, "names": NAMES})
    inside = [*unshare, sys.executable, "-m", "tests.support.own_names"]
    done = subprocess.run(inside, input=told, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: ours for name, (ours, _) in found.items()} == {name: theirs for name, (_, theirs) in found.items()}
    assert found["app.corp.test"][0] == ["10.0.0.1"]
    assert len(found["many.test"][0]) == 60
