from __future__ import annotations

import json
from collections import Counter

from bench.reload import report
from bench.reload.outcome import Lost, Tally
from bench.reload.run import Plan, Result


def _result(peer: str, lost: int) -> Result:
    tally = Tally(done=Counter(busy=100), noticed=Counter(closed=7), renewed=3, elsewhere=2, waits=[0.001, 0.5])
    for _ in range(lost):
        tally.lose(0.0, "idle", Lost("closed", "after 0 bytes"))
    return Result(peer, tally, 8, 5, 1, 10.0)


def test_table() -> None:
    """A line for each proxy; what is lost stands beside what would have been lost without looking."""
    lines = report.table([_result("nginx", 5), _result("lbproxy", 0)], Plan()).splitlines()
    assert lines[2].split()[:6] == ["nginx", "105", "5", "5", "closed", "12"]
    assert lines[3].split()[:5] == ["lbproxy", "100", "0", "-", "7"]
    assert lines[3].split()[5:7] == ["3", "2"]
    assert lines[3].split()[-3:] == ["8/8", "5", "1"]


def test_json() -> None:
    """Everything but the single waits."""
    told = json.loads(report.as_json({"cpu": "x"}, [_result("nginx", 2)], Plan(reloads=8)))
    assert told["facts"] == {"cpu": "x"}
    assert told["plan"]["reloads"] == 8
    [result] = told["results"]
    assert (result["peer"], result["lost_total"], result["lost"], result["noticed"]) == ("nginx", 2, {"closed": 2}, {"closed": 7})
    assert (result["took"], result["left"], result["slowest_ms"]) == (8, 1, 500.0)
    assert "waits" not in result
