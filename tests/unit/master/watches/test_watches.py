"""What processes beside the workers say reaches the watch that it is for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lbproxy.ipc.messages import KeySetState, Message, Resolved
from lbproxy.master.processes.child_pipes import ASIDE
from lbproxy.master.watches.watches import Watches
from tests.unit.master.watches.test_key_sets import IDP, NAME, config


def test_whoever_may_say_something_is_heard() -> None:
    """Roles and watches agree with the pipes; a name goes to the names, and how a set of keys stands to operators."""
    resources: Any = SimpleNamespace(config=config(IDP))
    operator: Any = SimpleNamespace()
    resolved: list[Message] = []
    names: Any = SimpleNamespace(heard=resolved.append)
    shared = SimpleNamespace(tickets=None, ledger=None, account=None, sockets={})
    pipes = SimpleNamespace(on_stranger=[])
    anything: Any = None
    rest = pipes, operator, names, anything, anything
    made = Watches(shared, {1: resources}, lambda: (1, resources), *rest)  # type: ignore[arg-type]
    assert set(made.heard) == set(ASIDE)
    control = next(heard for role, heard in made.heard.items() if role.value == "control")
    control(Resolved("a.test", "10.0.0.1"))
    assert resolved == [Resolved("a.test", "10.0.0.1")]
    control(KeySetState(NAME, 2, 1000, 0, ""))
    assert [one["keys"] for one in operator.key_sets()] == [2]
