"""Environment variables in configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toml
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.emit import emit
from lbproxy.config.environment import Variables, expand
from lbproxy.config.load import load_text
from lbproxy.config.model import Address, Config
from lbproxy.config.plan import lines, plan
from lbproxy.errors import ConfigError
from tests.unit.config.text import BASE

TOKEN = "t0p-s3cret"
ENVIRON = {"PORT": "8443", "HOST": "10.0.0.7", "TOKEN": TOKEN, "COUNT": "7", "YES": "true", "DIR": "certs", "QUEUE": "many"}
TEXT = """
[[listen]]
address = "0.0.0.0:${PORT}"
max_connections = "${COUNT}"
certificates = [{ cert = "${DIR}/a.crt", key = "${DIR}/a.key" }]
[[route]]
pool = "app"
merge_slashes = "${YES}"
request_headers = { set = { X-Token = "Bearer ${TOKEN}", X-Price = "$${TOKEN}" } }
[pool.app]
backends = ["${HOST}:80", { address = "[::1]:80", weight = "${COUNT}" }]
[pool.app.health]
type = "http"
headers = { Authorization = "Bearer ${TOKEN}" }
"""


def read(text: str = TEXT, **more: str) -> Config:
    return load_text(text, "lb.toml", BASE, {**ENVIRON, **more})


def refused(text: str, **more: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, **more)
    return list(map(str, caught.value.complaints))


def test_in_any_text() -> None:
    """Addresses, files, header values; and numbers and true where those are wanted."""
    config = read()
    [listen], [route], [pool] = config.listen, config.routes, config.pools
    assert (listen.address, listen.max_connections) == (Address("0.0.0.0", 8443), 7)
    assert listen.certificates[0].cert == Path("/base/certs/a.crt")
    assert route.merge_slashes
    assert dict(route.headers.request.set) == {"X-Token": f"Bearer {TOKEN}", "X-Price": "${TOKEN}"}
    assert [(one.address.host, one.weight) for one in pool.backends] == [("10.0.0.7", 1), ("::1", 7)]


def test_what_is_not_set_is_refused_with_its_line() -> None:
    """All of them at once; an empty one is what it is."""
    assert refused(TEXT.replace("${PORT}", "${NO_PORT}").replace("${HOST}", "${NO_HOST}")) == [
        'lb.toml:3: listen[0].address: the environment variable NO_PORT is not set (a plain "${" is written "$${")',
        'lb.toml:11: pool.app.backends[0]: the environment variable NO_HOST is not set (a plain "${" is written "$${")',
    ]
    assert "wanted" in refused(TEXT, DIR="", HOST="")[0]


@pytest.mark.parametrize("written", ["${", "${}", "${A-B}", "${A", "${1}", "a${ B}"])
def test_what_is_no_name(written: str) -> None:
    """Told, with how a plain one is written."""
    [complaint] = refused(TEXT.replace("${DIR}/a.crt", written))
    assert 'wanted the name of a variable in "${...}"' in complaint
    assert load_text(TEXT.replace("${DIR}/a.crt", written.replace("${", "$${")), "", BASE, ENVIRON)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.0.0.0:${PORT}", "${TOKEN}:443"),
        ('"${COUNT}"\ncert', '"${TOKEN}"\ncert'),
        ('"${YES}"', '"${TOKEN}"'),
        ('pool = "app"', 'pool = "${TOKEN}"'),
        ("${HOST}:80", "${TOKEN}"),
        ('type = "http"', 'type = "${TOKEN}"'),
        ('type = "http"', 'type = "http"\ninterval = "${TOKEN}"'),
        ('type = "http"', 'type = "http"\npath = "${TOKEN}"'),
        ("[pool.app.health]", 'balance = "source_hash"\nhash = "header ${TOKEN} x"\n[pool.app.health]'),
    ],
)
def test_no_complaint_tells_what_a_variable_holds(old: str, new: str) -> None:
    """Whatever is wrong with it, and wherever in the message it would stand."""
    assert old in TEXT
    for secret in (TOKEN, "t0p s3cret"):
        told = refused(TEXT.replace(old, new), TOKEN=secret)
        assert told
        assert not any(secret in line or "s3cret" in line for line in told), told


def test_effective_shows_what_is_written() -> None:
    """And gives the same configuration where it is read with the same variables, and another with others."""
    text = emit(read())
    for secret in (TOKEN, "10.0.0.7", "8443"):
        assert secret not in text
    table = toml.loads(text)
    assert table["listen"][0]["address"] == "0.0.0.0:${PORT}"
    assert table["pool"]["app"]["backends"][0]["address"] == "${HOST}:80"
    assert table["route"][0]["request_headers"]["set"]["X-Price"] == "$${TOKEN}"
    again = read(text)
    assert emit(again) == text
    assert read(text, HOST="10.0.0.8").pools[0].backends[0].address.host == "10.0.0.8"


def test_a_reload_tells_no_values() -> None:
    """That something changed it does."""
    before, after = read(), read(TEXT.replace('type = "http"', 'type = "http"\nbody = "${TOKEN}!"'), TOKEN="0ther-s3cret")
    told = lines(plan(before, after))
    assert told
    assert not any(secret in line for secret in (TOKEN, "0ther-s3cret") for line in told)
    assert "s3cret" not in repr(Variables(after.variables))


def test_short_values_are_hidden_where_they_are_the_whole() -> None:
    """Elsewhere every seven would be one."""
    hide = Variables((("SHORT", "7"), ("LONG", "1234567"))).hide
    assert hide('got "7", wanted 1 to 7; 1234567') == 'got "${SHORT}", wanted 1 to 7; ${LONG}'


def test_short_values_are_hidden_in_addresses() -> None:
    """Hints put them together with what was missing."""
    hide = Variables((("PORT", "80"), ("HOST", "a.b"))).hide
    assert hide('e.g. "a.b:8080", "10.0.0.1:80", "[a.b]:80"') == 'e.g. "${HOST}:8080", "10.0.0.1:${PORT}", "[${HOST}]:${PORT}"'


NAMES = st.text().filter(lambda name: "${" not in name)  # they are as they stand
anything = st.recursive(
    st.text(max_size=8) | st.integers() | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)
)


@given(anything)
def test_without_references_nothing_changes(value: object) -> None:
    """But for escapes."""
    written = json.loads(json.dumps(value).replace("${", "$${"))

    def complain(*why: object) -> None:
        pytest.fail(str(why))

    assert expand({"key": written}, {}, complain) == ({"key": value}, [], {})
