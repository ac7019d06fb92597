"""After preload nothing more is read from the files of the library or of this package."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import builtins, sys
from lbproxy.net import preload
preload.modules()
from gevent._hub_local import get_hub_if_exists
assert get_hub_if_exists() is None  # a loop that was made before a fork would be everybody's
preload.loop()
assert "lbproxy.worker.main" in sys.modules
import socket, ssl
from lbproxy.net import dial, listener, strands, tcp_stream, tls_stream
before = set(sys.modules)
from gevent.hub import get_hub
import gevent
ours, theirs = socket.socketpair()
ours.setblocking(False)
from lbproxy.net.deadlines import Deadlines
stream = tcp_stream.TcpStream(ours, Deadlines(get_hub().loop), 1.0)
theirs.send(b"x")
assert stream.read(16384) == b"x"
ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="example.org")
stream.close()
theirs.close()
print(sorted(set(sys.modules) - before))
"""


def test_streams_load_no_module_after_preload() -> None:
    ended = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[]"


PLAIN = """
import re, sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

def closure(name, found):
    # What an installation without extras brings; what is for another platform or Python is not here.
    if name not in found:
        try:
            lines = distribution(name).requires or ()
        except PackageNotFoundError:
            return found
        found.add(name)
        for line in lines:
            if "extra ==" not in line:
                closure(plain(re.match(r"[A-Za-z0-9._-]+", line)[0]), found)
    return found

brought = closure("lbproxy", set())
extra = {top for top, names in packages_distributions().items() if not brought & set(map(plain, names))}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in extra:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
assert {"acme", "requests", "bcrypt"} <= extra, sorted(extra)
assert not {"gevent", "structlog", "cryptography"} & extra
from lbproxy.net import preload
preload.modules()
assert "lbproxy.worker.main" in sys.modules
"""


def test_a_plain_installation_starts() -> None:
    """What only extras bring, and what these stand on, is missed by nobody whose configuration does not need it."""
    ended = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


LIBRARIES = """
import sys

import pytest
from lbproxy.net import preload
preload.modules(acme={acme})
assert ("lbproxy.acme.main" in sys.modules) is {acme}
libraries = ("acme", "josepy", "requests", "urllib3", "jwt", "bcrypt", "argon2", "re2", "zstandard")
print([name for name in libraries if name in sys.modules])
"""


@pytest.mark.parametrize("acme", [False, True])
def test_libraries_are_loaded_where_the_configuration_needs_them(acme: bool) -> None:
    """Installed ones, too: every process would hold them, and every start take a third longer."""
    probe = LIBRARIES.format(acme=acme)
    ended = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ("requests" in ended.stdout) is acme
    assert acme or ended.stdout.strip() == "[]"


CONTROL = """
import sys
from lbproxy.cli.control import ready
load = ready(acme=True)
before = set(sys.modules)
from lbproxy.config.model import Config
config = Config("", (), (), ())
load(config, "control")
load(config, "acme")
print(sorted(set(sys.modules) - before), "lbproxy.worker.main" in sys.modules, "lbproxy.proxy.tries" in sys.modules)
"""


def test_who_forks_control_has_loaded_that_and_nothing_of_workers() -> None:
    ended = subprocess.run([sys.executable, "-c", CONTROL], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[] False False"
