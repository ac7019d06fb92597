"""Sets of keys that are fetched: what makes two of them the same."""

from __future__ import annotations

from lbproxy.config import model


def test_routes_that_say_the_same_share_a_set() -> None:
    """By a name that is another one for each; where it is asked for follows from its address."""
    same = [model.RouteConfig("app", path=path, jwt=model.JwtConfig(jwks_url="https://a.test/k")) for path in ("/a", "/b")]
    other = model.RouteConfig("app", jwt=model.JwtConfig(jwks_url="https://a.test/k", jwks_verify=False))
    plain = model.RouteConfig("app", jwt=model.JwtConfig(jwks_url="http://[::1]:81/k"))
    found = model.Config("", (), (*same, other, plain), ()).key_sets
    assert [keys.port for keys in found] == [443, 443, 81]
    assert len({keys.name for keys in found}) == 3
    assert all(len(keys.name) == 16 for keys in found)
