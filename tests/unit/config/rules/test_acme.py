"""[acme]: what is refused, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config.load import load_text
from lbproxy.errors import ConfigError

GOOD = """
[proxy]
state_dir = "/var/lib/lbproxy"
[[listen]]
address = ":443"
acme = true
[[listen]]
address = ":80"
redirect_to_https = true
[[route]]
host = "a.example"
pool = "app"
[[route]]
host = "*.b.example"
pool = "app"
[pool.app]
backends = ["10.0.0.1:80"]
[acme]
terms_agreed = true
"""


def complaints(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load_text(text, "x.toml", Path("/etc"))
    return "\n".join(map(str, refused.value.complaints))


def test_good() -> None:
    """Listeners have their pairs by it; what http-01 is not good for is left out."""
    pytest.importorskip("acme")
    config = load_text(GOOD, "x.toml", Path("/etc"))
    assert [str(pair.cert) for pair in config.listen[0].pairs] == ["/var/lib/lbproxy/acme/a.example.pem"]
    assert config.listen[0].secure
    assert not config.listen[1].pairs


@pytest.mark.parametrize(("old", "new", "told"), [
    ("terms_agreed = true", "terms_agreed = false", "x.toml:19: acme.terms_agreed: no authority gives"),
    ("terms_agreed = true", "", '"terms_agreed" is missing'),
    ("acme = true", "", "no listener asks for its certificates (say acme = true in [[listen]])"),
    ("[acme]\nterms_agreed = true", "", "there is no [acme] (add it, with terms_agreed = true)"),
    ('state_dir = "/var/lib/lbproxy"', "", 'add state_dir = "/var/lib/lbproxy" to [proxy]'),
    ('address = ":80"\nredirect_to_https = true', 'address = "unix:/run/x"', "http-01 is answered on a listener without TLS"),
    ('host = "a.example"', "", "there is no name to have a certificate for"),
    ("terms_agreed = true", 'terms_agreed = true\nchallenge = "dns-01"', "dns-01 needs a command that sets records"),
    ("terms_agreed = true", 'terms_agreed = true\ndns_command = ["/x"]', "means nothing with http-01"),
    ("terms_agreed = true", 'terms_agreed = true\nchallenge = "dns-01"\ndns_command = ["x"]', "wanted the whole path of a program"),
    ("terms_agreed = true", 'terms_agreed = true\nnames = ["*.c.example"]', "http-01 is for single names"),
    ("terms_agreed = true", 'terms_agreed = true\nnames = ["10.0.0.1"]', "wanted a DNS name"),
    ("terms_agreed = true", 'terms_agreed = true\neab_key_id = "k"', 'add eab_key = "..."'),
    ("terms_agreed = true", "terms_agreed = true\n[acme.fallback]", "is the same authority once more"),
    ("terms_agreed = true", 'terms_agreed = true\ndirectory = "http://a/dir"', "wanted an address with https and a host"),
    ("terms_agreed = true", 'terms_agreed = true\ndirectory = "https://u@a/dir"', "wanted an address with https and a host"),
    ("terms_agreed = true", 'terms_agreed = true\ndirectory = "https://a:x/dir"', "wanted the address of a directory"),
    ("terms_agreed = true", 'terms_agreed = true\nemail = "me"', "wanted a mail address"),
    ("acme = true", 'acme = true\ncertificates = [{ cert = "a", key = "b" }]', "from files or by acme"),
    ("acme = true", "acme = true\nredirect_to_https = true", "speaks HTTPS already"),
])  # fmt: skip
def test_refused(old: str, new: str, told: str) -> None:
    """With line and hint."""
    assert old in GOOD
    assert told in complaints(GOOD.replace(old, new))


def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setattr("lbproxy.config.rules.acme.find_spec", lambda name: None)
    assert "needs acme and josepy, which are not installed here (pip install 'lbproxy[acme]')" in complaints(GOOD)
