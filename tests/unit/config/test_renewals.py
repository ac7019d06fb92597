"""A file that the configuration names and that holds something else is told by a reload, whichever it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproxy.config.key import Key, Shape, shape_of
from lbproxy.config.kinds import FILE
from lbproxy.config.model import Config, WafConfig
from lbproxy.config.plan import NOTHING, lines, plan
from tests.unit.config.text import read

TEXT = """
[proxy]
ticket_keys = ["ticket.key"]
state_dir = "state"
[acme]
terms_agreed = true
directory = "https://ca.test/dir"
ca = "acme-ca.pem"
eab_key_id = "kid-1"
eab_key = "eab.key"
[[listen]]
address = "0.0.0.0:443"
certificates = [{ cert = "a.crt", key = "a.key" }]
tls = { client_ca = "clients.pem", client_crl = "clients.crl", client_auth = "required" }
[[listen]]
address = "0.0.0.0:8443"
acme = true
[[listen]]
address = "0.0.0.0:80"
redirect_to_https = true
[[route]]
host = "a.test"
path = "/a"
pool = "app"
basic_auth = { file = "users" }
[[route]]
path = "/b"
pool = "app"
jwt = { jwks_file = "keys.json", algorithms = ["ES256"], audience = ["a"], issuer = "b" }
[[route]]
path = "/c"
pool = "app"
jwt = { jwks_url = "https://idp.test/keys", jwks_ca = "idp-ca.pem", algorithms = ["ES256"], audience = ["a"], issuer = "b" }
[[route]]
pool = "app"
waf = { mode = "block" }
[pool.app]
backends = ["10.0.0.2:8080"]
tls = { ca = "ca.pem", crl = "ca.crl", cert = "c.crt", key = "c.key" }
"""
TOLD = {
    "acme-ca.pem": "~ acme: ca /base/acme-ca.pem renewed",
    "eab.key": "~ acme: eab_key /base/eab.key renewed",
    "ticket.key": "~ proxy: ticket_keys /base/ticket.key renewed",
    "a.crt": "~ listener 0.0.0.0:443: certificate /base/a.crt renewed",
    "a.key": "~ listener 0.0.0.0:443: key /base/a.key renewed",
    "clients.pem": "~ listener 0.0.0.0:443: client_ca /base/clients.pem renewed",
    "clients.crl": "~ listener 0.0.0.0:443: client_crl /base/clients.crl renewed",
    "users": "~ route a.test/a: basic_auth.file /base/users renewed",
    "keys.json": "~ route /b: jwt.jwks_file /base/keys.json renewed",
    "idp-ca.pem": "~ route /c: jwt.jwks_ca /base/idp-ca.pem renewed",
    "ca.pem": "~ pool app: ca /base/ca.pem renewed",
    "ca.crl": "~ pool app: crl /base/ca.crl renewed",
    "c.crt": "~ pool app: certificate /base/c.crt renewed",
    "c.key": "~ pool app: key /base/c.key renewed",
}
ELSEWHERE = {
    "pid_file", "control", "temp_dir", "state_dir", "files", "keep", "fifo",  # nobody writes there but lbproxy
    "folder", "certificates",  # pairs that come and go
    "allow_file", "deny_file",  # told with how many came and went (test_plan.py)
}  # fmt: skip


@pytest.mark.parametrize("file", TOLD)
def test_a_file_that_holds_something_else(file: str) -> None:
    """By the part that goes by it; one that is not named any more is no matter."""
    config = read(TEXT)
    assert lines(plan(config, config, [Path("/base") / file])) == [TOLD[file]]
    other = read(TEXT.replace(f'"{file}"', '"other"'))
    assert not [line for line in lines(plan(config, other, [Path("/base") / file])) if "renewed" in line]


def test_files_of_rules() -> None:
    """Those of each route; not too many of them."""
    config = read(TEXT)
    rules = {config.wafs[0]: [f"/r/{number}.conf" for number in range(2)]}
    assert lines(plan(config, config, (), rules)) == ["~ route /: waf.rules /r/0.conf, /r/1.conf renewed"]
    many = {config.wafs[0]: [f"/r/{number}.conf" for number in range(20)]}
    assert lines(plan(config, config, (), many))[0].endswith("/r/4.conf and 15 more renewed")
    assert lines(plan(config, config, (), {config.wafs[0]: []})) == [NOTHING]
    assert lines(plan(config, config, (), {WafConfig("detect", threshold=9): ["/r/1"]})) == [NOTHING]


def files(shape: Shape) -> Iterator[str]:
    """Keys that name files, in a table and those in it."""
    for item in shape.items:
        what = item.what
        if isinstance(what, Key):
            if getattr(what.kind, "_item", what.kind) is FILE:  # or a list of them
                yield item.name
        else:
            yield from files(what.shape)


def test_no_file_is_forgotten() -> None:
    """Whichever key names it."""
    named = set(files(shape_of(Config))) - ELSEWHERE
    told = {key for key in named if any(f"{key} " in line or f".{key} " in line for line in TOLD.values())}
    assert named - told == {"cert"}  # which is told as a certificate
