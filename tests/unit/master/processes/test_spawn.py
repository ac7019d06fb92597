"""What a child finds when it comes to life: its inheritance, and nothing else of the master's."""

from __future__ import annotations

import pytest

from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.events import Spawn
from lbproxy.master.processes.spawn import title


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (Spawn(1, Role.WORKER, 0, 5), "lbproxy: worker 1 (generation 1)"),
        (Spawn(12, Role.WORKER, 3, 5), "lbproxy: worker 4 (generation 12)"),
        (Spawn(2, Role.CONTROL, -1, 5), "lbproxy: control (generation 2)"),
    ],
)
def test_titles(order: Spawn, name: str) -> None:
    assert title(order) == name
