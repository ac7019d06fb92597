"""[route.authorize] and its kin: what holds between their keys."""

from __future__ import annotations

import pytest

from lbproxy.config.model import AuthorizeConfig
from lbproxy.errors import ConfigError
from tests.unit.config.text import LEAST, complaint, read


def with_(table: str) -> str:
    return LEAST.replace('pool = "app"', f'pool = "app"\n{table}', 1)


def test_by_default_nobody_is_asked() -> None:
    """And a table needs no more than its pool."""
    [route] = read(LEAST).routes
    assert (route.authorize, route.asks, route.inspects, route.claims) == (None, (), False, ())
    [route] = read(with_('authorize = { pool = "app" }')).routes
    assert (route.authorize, route.asks, route.inspects) == (AuthorizeConfig("app"), ("app",), True)


@pytest.mark.parametrize(
    ("table", "key", "message", "hint"),
    [
        ('authorize = {}', "", '"pool" is missing', 'add pool = "app"'),
        ('authorize = { path = "/x" }', "", '"pool" is missing', 'add pool = "app"'),
        ('authorize = { pool = "ap" }', ".pool", 'there is no pool "ap"', 'did you mean "app"?'),
        ('authorize = { pool = "app", cache = "1s" }', ".cache", "answer would hold for another", "tells users apart"),
        ('authorize = { pool = "app", cache_by = ["Cookie"] }', ".cache_by", 'means nothing without "cache"', 'add cache = "10s"'),
        ('authorize = { pool = "app", copy = ["Host"] }', ".copy[0]", "Host is not for this rule", ""),
        ('authorize = { pool = "app", copy = ["Content-Length"] }', ".copy[0]", "Content-Length is not for rules", ""),
        ('authorize = { pool = "app", max_answer = "1" }', ".max_answer", "size", ""),
        ('authorize = { pool = "app", timeout = "2h" }', ".timeout", "at most", ""),
        ('request_headers = { set = { X-User = "{user}" } }', "route", "{user} says nothing", "add authorize"),
    ],
)  # fmt: skip
def test_refused(table: str, key: str, message: str, hint: str) -> None:
    """With what to do instead."""
    found = complaint(with_(table))
    assert found.key == (key if key == "route" else f"route[0].authorize{key}")
    assert message in found.message
    assert hint in found.hint


def test_what_a_user_is_called_may_stand_in_rules() -> None:
    """Where somebody says it."""
    read(with_('authorize = { pool = "app", user = "Remote-User" }\nrequest_headers = { set = { X-User = "{user}" } }'))


def test_a_password_needs_a_file() -> None:
    """It is looked at later: see config/documents.py."""
    assert complaint(with_("basic_auth = {}")).key == "route[0].basic_auth"
    [route] = read(with_('basic_auth = { file = "users", header = "X-User" }')).routes
    assert (route.inspects, route.claims, [document.kind for document in route.documents]) == (True, ("X-User",), ["htpasswd"])
    found = complaint(with_("basic_auth = { file = \"users\", realm = 'a \"b' }"))
    assert found.key == "route[0].basic_auth.realm"


def test_a_mirror_needs_a_pool() -> None:
    """One that is there."""
    assert complaint(with_("mirror = { percent = 10 }")).key == "route[0].mirror"
    assert complaint(with_('mirror = { pool = "ap" }')).hint == 'did you mean "app"?'
    [route] = read(with_('mirror = { pool = "app" }')).routes
    assert (route.asks, route.inspects) == (("app",), False)


def test_a_token_needs_keys_and_named_algorithms() -> None:
    """It may not choose."""
    assert complaint(with_('jwt = { algorithms = ["RS256"] }')).message == '"jwks_url" is missing, or "jwks_file"'
    secret = complaint(with_('jwt = { jwks_url = "https://a.test/k", algorithms = ["RS256", "HS256"] }'))
    assert "HS256" in secret.message
    for url in ("idp.test", "ftp://idp.test/", "https://", "https://u:p@idp.test/", "https://idp.test:0/", "https://idp.test:x/"):
        with pytest.raises(ConfigError) as caught:
            read(with_(f'jwt = {{ jwks_url = "{url}", algorithms = ["RS256"] }}'))
        assert caught.value.complaints[0].key == "route[0].jwt.jwks_url"
    assert "algorithms" in complaint(with_('jwt = { jwks_file = "k" }')).message
    found = complaint(with_('jwt = { jwks_file = "k", algorithms = ["none"] }'))
    assert found.key == "route[0].jwt.algorithms[0]"
    [route] = read(with_('jwt = { jwks_file = "k", algorithms = ["ES256"], claims = { X-User = "sub" } }')).routes
    assert (route.inspects, route.claims, [document.kind for document in route.documents]) == (True, ("X-User",), ["jwks"])


def test_icap_needs_servers_and_a_service() -> None:
    """Of a pool of their own, that speak nothing else."""
    assert complaint(with_('icap = { respmod = "/s" }')).message == '"pool" is missing'
    own = with_('icap = { pool = "av", respmod = "/s" }') + '\n[pool.av]\nbackends = ["10.0.0.9:1344"]\n'
    [route] = read(own).routes
    assert (route.asks, route.inspects) == (("av",), True)
    assert "neither reqmod nor respmod" in complaint(own.replace(', respmod = "/s"', "")).message
    assert "another protocol" in complaint(with_('icap = { pool = "app", respmod = "/s" }')).message
    assert complaint(own + 'health = { type = "http", path = "/" }\n').key == "pool.av.health.type"
    assert complaint(own + 'protocol = "h2"\n').key == "pool.av.protocol"
    assert complaint(own.replace('"/s"', '"/s", stream_after = "1GiB"')).key == "route[0].icap.stream_after"


def test_a_tap_is_there_and_has_a_folder() -> None:
    """Where a route names it."""
    assert complaint(with_('tap = "ids"')).hint == "add [tap.ids] with its folder, fifo, listen or interface"
    assert complaint(with_('tap = "id"') + '\n[tap.ids]\nfolder = "/taps"\n').hint == 'did you mean "ids"?'
    assert complaint(with_('tap = "ids"') + "\n[tap.ids]\npercent = 5\n").key == "tap.ids"
    config = read(with_('tap = "ids"') + '\n[tap.ids]\nfolder = "/taps"\nblank = []\n')
    assert (config.routes[0].tap, config.taps[0].blank, str(config.taps[0].folder)) == ("ids", (), "/taps")


def test_rules_and_a_server_look_at_the_same_requests() -> None:
    """Whether the rules block or only tell."""
    lines = 'waf = { mode = "%s" }\nicap = { pool = "scan", reqmod = "/req" }'
    pool = '\n[pool.scan]\nbackends = ["127.0.0.1:1344"]\n'
    for mode in ("block", "detect"):
        [route] = read(with_(lines % mode) + pool).routes
        assert route.waf is not None
        assert route.icap is not None
