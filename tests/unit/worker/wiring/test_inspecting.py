"""Steps that ask are made where a route wants them, in their order; whoever follows a document hears of each new one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lbproxy.balance.ledger import SIZE, Ledger
from lbproxy.config import model
from lbproxy.ipc.messages import KeysWanted
from lbproxy.observe.log import Noisy
from lbproxy.observe.metrics import INSPECTIONS
from lbproxy.observe.snapshot import totals
from lbproxy.proxy.steps.authorize import Authorize
from lbproxy.proxy.steps.basic_auth import BasicAuth
from lbproxy.waf.messages import WafVerdict
from lbproxy.worker.wiring.inspecting import Documents, KeyWishes, make_means
from tests.unit.proxy.world import World

USERS = model.BasicAuthConfig(file=Path("users"))


def config(*routes: model.RouteConfig) -> model.Config:
    return model.Config(source="", listen=(), routes=routes, pools=(model.PoolConfig("app", ()),))


def test_passwords_come_before_others_are_asked() -> None:
    """Whoever has none costs the log-in server nothing."""
    world = World(route=model.RouteConfig("app", basic_auth=USERS, authorize=model.AuthorizeConfig("auth")), contents=(b"",))
    [(_, destination)] = world.routed
    assert [type(step) for step in destination.steps or ()] == [BasicAuth, Authorize]
    [(_, destination)] = World().routed
    assert destination.steps is None
    assert destination.rewriter is None


@pytest.mark.parametrize("route", [model.RouteConfig(respond=model.RespondConfig(200), authorize=model.AuthorizeConfig("app")),
                                   model.RouteConfig(split=(("app", 1),), authorize=model.AuthorizeConfig("app"))])  # fmt: skip
def test_wherever_a_route_leads(route: model.RouteConfig) -> None:
    """A redirect, an answer of its own, or shares of several pools."""
    [(_, destination)] = World(route=route).routed
    if destination.split is not None:
        destination = destination.split.choose(None, None, None)  # type: ignore[arg-type]
    assert isinstance((destination.steps or ())[0], Authorize)


def test_documents_are_followed() -> None:
    """By several, and by nobody; a number of another configuration is nobody's."""
    documents = Documents(config(model.RouteConfig("app", basic_auth=USERS)), [b"first"])
    heard: list[bytes] = []
    documents.renew(0, b"nobody hears it")
    documents.follow(model.Document("htpasswd", Path("users")), heard.append)
    documents.renew(0, b"second")
    documents.renew(1, b"third")
    assert heard == [b"first", b"second"]


def test_what_steps_make_of_requests_is_counted() -> None:
    """Each kind in its own cell, where the metrics find it; there is no thread where nobody is asked for a password."""
    ledger = Ledger(bytearray(SIZE))
    ledger.open_row(0)
    handover: Any = SimpleNamespace(ledger=ledger, child=0, config=config(model.RouteConfig("app")), inspectors=None, tap_link=None)
    documents = Documents(handover.config, [])
    means = make_means(handover, documents, None, Noisy(), lambda wish: None, lambda seconds, run: None)  # type: ignore[arg-type]
    assert means.verify is None
    for step, outcome in INSPECTIONS:
        means.told(step, outcome)
    means.attacked("/", "", WafVerdict(0, False, 200, 5, (("942100", "ARGS:a"), ("949110", ""))))
    assert totals(ledger).inspected == (1,) * len(INSPECTIONS)
    assert totals(ledger).waf.rules == ((942100, 1), (949110, 1))


def test_wishes_for_keys_are_told_now_and_then() -> None:
    """Strangers make tokens that name any key: of each set one a second."""
    told: list[KeysWanted] = []
    now = [10.0]
    wishes = KeyWishes(told.append, lambda: now[0])
    for _ in range(1000):
        wishes.wish("a")
        wishes.wish("b")
    assert told == [KeysWanted("a"), KeysWanted("b")]
    now[0] += 1.0
    wishes.wish("a")
    assert told[2:] == [KeysWanted("a")]


def test_sets_of_keys_stand_behind_documents() -> None:
    """Their numbers go on where those of the files end."""
    jwt = model.JwtConfig(jwks_url="https://idp.test/k", algorithms=("ES256",))
    made = config(model.RouteConfig("app", basic_auth=model.BasicAuthConfig(Path("users")), jwt=jwt))
    documents = Documents(made, [b"users", b"keys"])
    heard: list[bytes] = []
    documents.follow(made.key_sets[0], heard.append)
    documents.renew(1, b"other keys")
    assert heard == [b"keys", b"other keys"]
