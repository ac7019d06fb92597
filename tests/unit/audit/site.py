"""Configurations to audit: one in which nothing is found, and what is changed about it."""

from __future__ import annotations

from lbproxy.audit.finding import Check
from lbproxy.config.load import load_text
from lbproxy.config.model import Config
from tests.unit.config.text import BASE

GOOD = """\
[proxy]
hsts = "365d"
[limits]
body = "64MiB"
[[listen]]
address = "0.0.0.0:443"
certificates = [{ cert = "a.crt", key = "a.key" }]
#listen
[[listen]]
address = "0.0.0.0:80"
redirect_to_https = true
[[route]]
pool = "app"
#route
[pool.app]
backends = ["10.0.0.1:443"]
tls = { ca = "ca.pem" }
#pool
"""


def site(**changes: str) -> Config:
    """`changes`: by the word behind a "#": lines to put there; `instead`: "old -> new" of the text."""
    text = GOOD
    for old, _, new in (changes.pop("instead", "").partition(" -> "),):
        assert not old or old in text
        text = text.replace(old, new) if old else text
    text += changes.pop("more", "")
    for where, lines in changes.items():
        text = text.replace(f"#{where}\n", f"{lines}\n")
    return load_text(text, "lbproxy.toml", BASE)


def found(checks: tuple[Check, ...], name: str, config: Config) -> list[tuple[str, str]]:
    """(the key's last word, what it says) of all that the check of that name finds."""
    [check] = [check for check in checks if check.id == name]
    return [([part for part in evidence.path if isinstance(part, str)][-1], evidence.value) for evidence in check.find(config)]
