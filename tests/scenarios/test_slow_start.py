"""A backend that was away begins with a tenth of its share, and has all of it in the end."""

from __future__ import annotations

from lbproxy.balance.ledger import HealthState, SlotState, state_at
from tests.conftest import Stage
from tests.support.shared import LedgerView, assert_books_close
from tests.support.waiting import eventually


def test_the_share_grows(stage: Stage) -> None:
    """Requests that the backends hold show how they are shared: few for the one that warms up, as many as for the others later."""
    apps = [stage.app(f"app{number}") for number in range(3)]
    health = {"interval": "100ms", "timeout": "10s", "rise": 1, "fall": 1}
    proxy = stage.proxy(*[app.address for app in apps], workers=4, app={"health": health, "slow_start": "3s"})
    proxy.wait_up(*[app.address for app in apps])
    apps[0].kill()
    proxy.wait_event("backend.down", backend=apps[0].address)
    clients = [stage.client(proxy) for _ in range(60)]
    early, late = clients[:24], clients[24:]
    apps[0].start()
    with LedgerView(proxy.pid) as view:
        share, state = (view.ledger.cells[state_at(state, 0) :] for state in (SlotState.SHARE, SlotState.HEALTH))
        proxy.wait_event("backend.up", backend=apps[0].address, skip=1)
        assert share[0] >= 10, "it did not begin slowly"
        for client in early:
            client.send_head("GET", "/hold")
        eventually(lambda: sum(view.in_flight(3)) == 24, "24 requests in flight")
        warming, *others = view.in_flight(3)
        most = share[0] if state[0] == HealthState.WARMING else 100  # by now; each was placed by a smaller one
        assert 1 <= warming <= 1 + most * (max(others) + 1) / 100, (warming, others, most)
        assert max(others) - min(others) <= 1
        eventually(lambda: view.ledger.health(0) is HealthState.UP, "it is warm")
        for client in late:
            client.send_head("GET", "/hold")
        eventually(lambda: view.in_flight(3) == [20, 20, 20], "equal shares")
        eventually(lambda: sum(app.held() for app in apps) == 60, "the backends have them all")
        share.release()
        state.release()
    for app in apps:
        app.release()
    for client in clients:
        assert client.response().status == 200
    assert_books_close(proxy)
