"""Workers that are worn out are replaced one by one while they serve."""

from __future__ import annotations

from dataclasses import replace

from bench.reload.load import Load, told
from tests.conftest import Stage
from tests.support.moving_site import MovingSite
from tests.support.waiting import eventually


def test_after_so_many_requests(stage: Stage) -> None:
    """Both workers reach their number again and again; no request is lost, and there are never more than two that accept."""
    site = MovingSite(stage)
    proxy = site.proxy
    site.reloads.reload(lambda config: config["proxy"].update(worker_requests=300))
    with Load(replace(site.job(), downloads=0, uploads=0)) as load:
        eventually(lambda: len(proxy.events("worker.replace")) >= 2, "two replacements", within=60)
        proxy.wait_event("worker.left", skip=2, within=60)
        tally = load.stop()
    assert not tally.lost, told(tally)
    served = {event["worker"] for event in proxy.events("worker.replace")}
    assert served <= {1, 2}
    assert all("requests served, 300 are a worker's share" in event["why"] for event in proxy.events("worker.replace"))


def test_a_worker_above_its_ceiling(stage: Stage) -> None:
    """Every worker is above a ceiling of 16 MiB: they are replaced one at a time, with a pause, and the others serve meanwhile."""
    proxy = stage.proxy(stage.app().address, workers=2, proxy={"worker_memory": "16MiB"})
    first = set(proxy.workers())
    proxy.wait_event("worker.replace")
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo").status == 200
    proxy.wait_event("worker.left")
    assert len(first & set(proxy.workers())) == 1
    assert "16384 are allowed" in proxy.events("worker.replace")[0]["why"]


def test_a_worker_above_its_hard_ceiling(stage: Stage) -> None:
    """It stops accepting at once; somebody else serves."""
    proxy = stage.proxy(stage.app().address, workers=1, proxy={"worker_memory_hard": "16MiB"})
    proxy.wait_event("worker.too_large")
    proxy.wait_event("worker.left")
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo").status == 200
