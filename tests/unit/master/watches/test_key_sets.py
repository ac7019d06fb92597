"""What control has fetched goes live in the workers of all generations that want it, and nothing else does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lbproxy.config import model
from lbproxy.ipc.messages import KeySetState, KeysFetched, KeysWanted, Message, NewDocument
from lbproxy.master.fleet.child import Role
from lbproxy.master.resources import key_sets
from lbproxy.master.watches.key_sets import EARLIEST, KeySetWatch
from lbproxy.tls.keystore import KeyStore, Piece


def config(*jwts: model.JwtConfig, path: str = "/") -> model.Config:
    routes = tuple(model.RouteConfig("app", path=f"{path}{number}", jwt=jwt) for number, jwt in enumerate(jwts))
    return model.Config("a.toml", (), routes, (model.PoolConfig("app", ()),))


IDP = model.JwtConfig(jwks_url="https://idp.test/jwks")
OTHER = model.JwtConfig(jwks_url="https://other.test/jwks")
NAME = config(IDP).key_sets[0].name


class Children:
    """Pipes that remember."""

    def __init__(self) -> None:
        self.told: list[tuple[object, Message]] = []

    def single(self, number: int, role: Role) -> Any:
        return SimpleNamespace(row=9) if role is Role.CONTROL else None

    def tell(self, row: int, message: Message) -> None:
        self.told.append((row, message))

    def tell_workers(self, number: int, message: Message) -> None:
        self.told.append((f"workers of {number}", message))


class World:
    """A generation that serves, and one that is on its way."""

    def __init__(self) -> None:
        self.pipes = Children()
        self.generations: dict[int, Any] = {}
        self.forgotten: list[Piece] = []
        for number, jwts in ((1, [IDP]), (2, [OTHER, IDP])):
            self.prepare(number, *jwts)
        self.watch = KeySetWatch(
            self.generations, lambda: (1, self.generations[1]), self.pipes, lambda store, piece, now: self.forgotten.append(piece)
        )

    def prepare(self, number: int, *jwts: model.JwtConfig) -> Any:
        store, made = KeyStore(), config(*jwts)
        pieces = key_sets.inherited(made, store, self.generations.values())
        self.generations[number] = SimpleNamespace(config=made, keys=store, documents=pieces)
        return self.generations[number]

    def held(self, number: int) -> list[bytes]:
        resources = self.generations[number]
        return [resources.keys.text(*piece) for piece in resources.documents]


def test_what_was_fetched_is_shown_to_all_that_want_it() -> None:
    """Also to those that are not Ready yet; the same again is nothing new, and a later generation begins with it."""
    world = World()
    assert world.held(2) == [b"", b""]
    for keys in ("first", "first", "second"):
        world.watch.heard(KeysFetched(NAME, keys), 0.0)
    assert (world.held(1), world.held(2)) == ([b"second"], [b"", b"second"])
    assert [who for who, _ in world.pipes.told] == ["workers of 1", "workers of 2"] * 2
    assert {told.number for who, told in world.pipes.told if who == "workers of 2" and isinstance(told, NewDocument)} == {1}
    assert len(world.forgotten) == 2
    assert world.prepare(3, IDP, OTHER) is world.generations[3]
    assert world.held(3) == [b"second", b""]


def test_what_is_not_of_the_configuration_is_not_heard() -> None:
    """Whatever control has become."""
    world = World()
    world.watch.heard(KeysFetched("0123456789abcdef", "keys"), 0.0)
    for number in range(1000):
        world.watch.heard(KeySetState(str(number), 1, 2, 3, ""), 0.0)
        world.watch.heard(KeysWanted(str(number)), 0.0)
    assert world.pipes.told == []
    assert [one["why"] for one in world.watch.told()] == ["not fetched yet"]


def test_wishes_of_workers_reach_control_now_and_then() -> None:
    """Workers may have been taken over: one a second, of each set."""
    world = World()
    for _ in range(1000):
        world.watch.heard(KeysWanted(NAME), 5.0)
    world.watch.heard(KeysWanted(NAME), 5.0 + EARLIEST)
    assert world.pipes.told == [(9, KeysWanted(NAME))] * 2


def test_operators_are_told() -> None:
    """Of what serves."""
    world = World()
    world.watch.heard(KeySetState(NAME, 2, 1000, 0, ""), 0.0)
    [told] = world.watch.told()
    assert (told["url"], told["keys"], told["fetched"]) == ("https://idp.test/jwks", 2, 1000)
