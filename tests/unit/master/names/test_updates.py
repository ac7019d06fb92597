"""What control says of names: checked, and acted on."""

from __future__ import annotations

import pytest

from lbproxy.balance import endpoints
from lbproxy.balance.ledger import SIZE, SLOTS, HealthState, Ledger, PerSlot, SlotState, admin_cell, cell_at, state_at
from lbproxy.balance.slots import SlotTable
from lbproxy.config.model import Address, BackendConfig, Config, PoolConfig
from lbproxy.errors import FrameError
from lbproxy.ipc.messages import Placed, Resolved
from lbproxy.master.names.updates import AddressUpdates
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.shared import MasterResources
from tests.unit.balance.locks import Lock

LISTENERS = SLOTS - 1
"""A slot that is no backend's."""
APP, OTHER = Address("app.test", 80), Address("app.test", 81)


def config_of(*pools: PoolConfig) -> Config:
    return Config("test.toml", (), (), pools)


def pool(name: str, *addresses: Address) -> PoolConfig:
    return PoolConfig(name, tuple(BackendConfig(address) for address in addresses))


class Events(list[tuple[str, dict[str, object]]]):
    """A logger that remembers."""

    def info(self, event: str, **fields: object) -> None:
        self.append((event, fields))

    warning = info


class Desk:
    """A master's names, with everything around them as values."""

    def __init__(self, *configs: Config) -> None:
        self.ledger = Ledger(bytearray(SIZE))
        self.ledger.open_row(0)
        self.shared = MasterResources(self.ledger, Lock(), SlotTable(), None, None)
        self.shared.name_state.addresses = {"app.test": ("10.0.0.1",), "far.test": ("10.5.5.5",)}
        self.resources = {number: self._serving_resources(config) for number, config in enumerate(configs, start=1)}
        self.told: list[tuple[int, Placed]] = []
        self.forgotten: list[tuple[str, list[str]]] = []
        self.names = AddressUpdates(
            self.shared,
            self.resources,
            lambda *told: self.told.append(told),
            lambda of, who: self.forgotten.append((of, list(who))),
        )

    def _serving_resources(self, config: Config) -> GenerationResources:
        pools = endpoints.unplaced(config, self.shared.name_state.addresses)
        slots = self.shared.slot_table.assign(endpoints.identities(config, pools)).slots
        placed = endpoints.placed(pools, slots)
        for slot in slots.values():
            self.ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
        counted = frozenset(slots.values()) | {LISTENERS}
        return GenerationResources(config, 2, (), placed, {}, None, -1, {}, counted)

    def hear(self, *addresses: str, name: str = "app.test") -> None:
        self.names.heard(Resolved(name, ",".join(addresses)))

    def stands(self, generation: int = 1, of: str = "web") -> dict[str, int]:
        return {backend.name: backend.slot for backend in self.resources[generation].backends[of]}


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    said = Events()
    monkeypatch.setattr("lbproxy.master.names.updates.log.get_logger", lambda: said)
    return said


def test_a_new_address_has_a_column_and_everybody_is_told(events: Events) -> None:
    desk = Desk(config_of(pool("web", APP)))
    assert desk.stands() == {"app.test@10.0.0.1:80": 0}  # 1 is the pool's
    desk.hear("10.0.0.1", "10.0.0.2")
    assert desk.stands() == {"app.test@10.0.0.1:80": 0, "app.test@10.0.0.2:80": 2}
    assert desk.told == [(1, Placed("web", "app.test:80", "10.0.0.1=0,10.0.0.2=2"))]
    assert [desk.ledger.health(slot) for slot in (0, 2)] == [HealthState.UP, HealthState.UNKNOWN]
    assert desk.resources[1].slots == {0, 1, 2, LISTENERS}
    assert desk.shared.name_state.addresses["app.test"] == ("10.0.0.1", "10.0.0.2")
    fields = {"pool": "web", "name": "app.test:80", "added": ["app.test@10.0.0.2:80"], "removed": []}
    assert events == [("names.changed", fields)]
    desk.hear("10.0.0.1", "10.0.0.2")  # told again: no news
    assert len(desk.told) == len(events) == 1


def test_who_left_leaves_its_column_for_a_while(events: Events) -> None:
    desk = Desk(config_of(pool("web", APP)))
    desk.ledger.cells[cell_at(0, PerSlot.REQUESTS, 0)] = 7
    desk.hear("10.0.0.2")
    assert desk.resources[1].slots == {1, 2, LISTENERS}
    assert set(desk.shared.name_state.left) == {0}
    assert desk.forgotten == [("web", ["app.test@10.0.0.1:80"])]
    desk.hear("10.0.0.1")  # it comes back, to its own slot and counts, and has to be looked at again
    assert desk.stands() == {"app.test@10.0.0.1:80": 0}
    assert desk.ledger.slot_total(PerSlot.REQUESTS, 0) == 7
    assert desk.ledger.health(0) is HealthState.UNKNOWN


def test_every_generation_and_every_use_follows_and_the_log_tells_each_once(events: Events) -> None:
    """The same address in two generations has one slot; in two pools, or at two ports, two."""
    desk = Desk(config_of(pool("web", APP)), config_of(pool("web", APP, OTHER), pool("api", APP)))
    desk.hear("10.0.0.2")
    assert [(generation, message.pool, message.backend) for generation, message in desk.told] == [
        (1, "web", "app.test:80"),
        (2, "web", "app.test:80"),
        (2, "web", "app.test:81"),
        (2, "api", "app.test:80"),
    ]
    assert desk.stands(1)["app.test@10.0.0.2:80"] == desk.stands(2)["app.test@10.0.0.2:80"]
    used = [*desk.stands(2).values(), *desk.stands(2, "api").values()]
    assert len(set(used)) == len(used) == 3
    assert sorted((fields["pool"], fields["name"]) for _, fields in events) == [
        ("api", "app.test:80"),
        ("web", "app.test:80"),
        ("web", "app.test:81"),
    ]


def test_generations_that_another_program_began_are_left_alone(events: Events) -> None:
    """Their children may not know the message."""
    desk = Desk(config_of(pool("web", APP)), config_of(pool("web", APP)))
    desk.resources[1].backends = {}
    desk.hear("10.0.0.2")
    assert [generation for generation, _ in desk.told] == [2]
    assert desk.resources[1].slots == {0, 1, LISTENERS}


def test_orders_for_the_name(events: Events) -> None:
    desk = Desk(config_of(pool("web", APP)))
    desk.shared.name_state.order("web/app.test:80", admin_cell(True, None))
    desk.hear("10.0.0.1", "10.0.0.2")
    assert [desk.ledger.cells[state_at(SlotState.ADMIN, slot)] for slot in (0, 2)] == [0, admin_cell(True, None)]


def test_orders_for_the_name_hold_for_who_comes_back_where_a_program_before_this_one_still_counts(events: Events) -> None:
    """Its generation knows of no news, and its slots are in use all the time."""
    desk = Desk(config_of(pool("web", APP)), config_of(pool("web", APP)))
    desk.resources[1].backends = {}
    desk.hear("10.0.0.2")
    desk.shared.name_state.order("web/app.test:80", admin_cell(True, None))
    desk.hear("10.0.0.1", "10.0.0.2")
    assert desk.ledger.cells[state_at(SlotState.ADMIN, desk.stands(2)["app.test@10.0.0.1:80"])] == admin_cell(True, None)


def test_no_room(events: Events) -> None:
    """Everything stays; it is tried again when control says it again, and then there may be."""
    ports = [Address("10.9.9.9", 1000 + number) for number in range(SLOTS - 3)]
    desk = Desk(config_of(pool("web", APP, *ports)))
    desk.hear("10.0.0.2", "10.0.0.3")
    assert desk.told == []
    assert [event for event, _ in events] == ["names.no_room"]
    assert desk.shared.name_state.addresses["app.test"] == ("10.0.0.1",)
    desk.hear("10.0.0.2")  # there is one slot
    desk.hear("10.0.0.3")  # and none left: that of 10.0.0.1 lingers
    assert [event for event, _ in events] == ["names.no_room", "names.changed", "names.no_room"]
    desk.shared.name_state.left.clear()
    desk.ledger.cells[cell_at(0, PerSlot.REQUESTS, 0)] = 7
    desk.hear("10.0.0.3")
    assert desk.stands()["app.test@10.0.0.3:80"] == 0
    assert desk.ledger.slot_total(PerSlot.REQUESTS, 0) == 0  # nothing of the old owner shines through


@pytest.mark.parametrize("said", ["", "app.test", "0.0.0.0", "10.0.0.2,10.0.0.1", "10.0.0.1\n"])
def test_what_no_control_of_ours_says(said: str) -> None:
    desk = Desk(config_of(pool("web", APP)))
    with pytest.raises(FrameError, match=r"Resolved\.addresses: "):
        desk.hear(said)
    assert desk.stands() == {"app.test@10.0.0.1:80": 0}


def test_a_name_that_is_none_of_ours_any_more(events: Events) -> None:
    desk = Desk(config_of(pool("web", APP)))
    desk.hear("10.0.0.2", name="strange.test")
    desk.hear("10.0.0.2", name="far.test")  # known, and in no generation
    assert desk.told == []
    assert events == []
