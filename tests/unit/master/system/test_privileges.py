"""Root drops to somebody who is nobody, for good."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys

import pytest

from lbproxy.config.model import Config, ProcessConfig
from lbproxy.errors import StartError
from lbproxy.master.system.privileges import Account, account_for

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to drop")

DROP = """
import json, os, sys
from lbproxy.master.system.privileges import Account, drop
drop(Account(*json.loads(sys.argv[1])))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
back = []
for name, call in (("setuid", lambda: os.setuid(0)), ("setgid", lambda: os.setgid(0)), ("setgroups", lambda: os.setgroups([0]))):
    try:
        call()
    except PermissionError:
        continue
    back.append(name)
print(json.dumps({
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(), "back": back,
    "no_new": status["NoNewPrivs"].strip(), "caps": int(status["CapEff"], 16) | int(status["CapPrm"], 16),
}))
"""

GIVEN = """
import ctypes, json, os, struct, sys
from lbproxy.master.system.privileges import CAPABILITIES_3, give_up
libc, mask = ctypes.CDLL(None), 1 << 10 | 1 << 13
libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
os.setresuid(65534, 65534, 65534)
assert libc.capset(struct.pack("=Ii", CAPABILITIES_3, 0), struct.pack("=6I", mask, mask, mask, 0, 0, 0)) == 0
for number in (10, 13):
    assert libc.prctl(47, 2, number, 0, 0) == 0  # PR_CAP_AMBIENT_RAISE
def held():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")]
before = held()
print(json.dumps([before, give_up(None), held()]))
"""


def config_of(user: str | None) -> Config:
    return Config("proxy.toml", listen=(), routes=(), pools=(), proxy=ProcessConfig(user=user))


@as_root
def test_by_default_it_is_lbproxy_or_nobody() -> None:
    account = account_for(config_of(None))
    assert account is not None
    names = [name for name in ("lbproxy", "nobody") if any(entry.pw_name == name for entry in pwd.getpwall())]
    assert account.name == names[0]
    assert account.uid != 0


@as_root
def test_an_account_that_does_not_exist_is_refused_with_the_way_out() -> None:
    with pytest.raises(StartError, match=r'^proxy\.toml: proxy\.user: there is no account "no-such-user".*useradd --system'):
        account_for(config_of("no-such-user"))


def test_without_root_there_is_nothing_to_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert account_for(config_of("no-such-user")) is None


@as_root
def test_after_the_drop_there_is_no_way_back() -> None:
    nobody = pwd.getpwnam("nobody")
    account = Account("nobody", nobody.pw_uid, nobody.pw_gid)
    said = subprocess.run([sys.executable, "-c", DROP, json.dumps(account)], stdout=subprocess.PIPE, check=True).stdout
    assert json.loads(said) == {
        "uid": [account.uid] * 3, "gid": [account.gid] * 3, "groups": [account.gid], "back": [], "no_new": "1", "caps": 0,
    }  # fmt: skip


@as_root
def test_capabilities_are_given_up_by_who_is_not_root() -> None:
    """A service manager gave them to the master, which binds ports and opens interfaces; its children would inherit them."""
    ended = subprocess.run([sys.executable, "-c", GIVEN], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    given = 1 << 10 | 1 << 13
    assert json.loads(ended.stdout) == [[given] * 4, True, [0] * 4]
