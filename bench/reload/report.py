"""The table for people and the JSON for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.reload import outcome
from bench.reload.run import Plan, Result

HEAD = (
    *("proxy", "requests", "lost", "how", "not looking", "told to close", "elsewhere"),
    *("p99 ms", "slowest ms", "reloads", "processes", "left"),
)
LEGEND = """\
lost          requests without the right answer; no client tries anything twice
not looking   the same, had the clients not looked right before each request whether the server has closed their kept connection
elsewhere     requests over HTTP/2 that the server says it has not begun (GOAWAY, REFUSED_STREAM): a client may send them again
reloads       that brought new processes, of those asked for
processes     at most, right before a reload; left: more than at the start, 10 s after the load"""


def row(result: Result, plan: Plan) -> tuple[str, ...]:
    tally = result.tally
    how = ", ".join(f"{count} {kind}" for kind, count in tally.lost.most_common())
    return (
        result.peer,
        str(tally.requests),
        str(tally.lost.total()),
        how or "-",
        str(tally.lost.total() + tally.noticed.total()),
        str(tally.renewed),
        str(tally.elsewhere),
        f"{tally.percentile(0.99) * 1e3:.1f}",
        f"{tally.slowest() * 1e3:.0f}",
        f"{result.took}/{plan.reloads}",
        str(result.most),
        str(result.left),
    )


def table(results: Sequence[Result], plan: Plan) -> str:
    lines = [HEAD, *(row(result, plan) for result in results)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    left = {HEAD.index("proxy"), HEAD.index("how")}
    text = [
        "  ".join(cell.ljust(widths[i]) if i in left else cell.rjust(widths[i]) for i, cell in enumerate(line)) for line in lines
    ]
    text.insert(1, "-" * len(text[0]))
    return "\n".join(line.rstrip() for line in text)


def as_json(facts: Mapping[str, object], results: Sequence[Result], plan: Plan) -> str:
    """Everything but the single waits."""

    def told(result: Result) -> dict[str, Any]:
        tally = outcome.to_dict(result.tally)
        del tally["waits"]
        waits = {f"p{share * 100:g}_ms": result.tally.percentile(share) * 1e3 for share in (0.5, 0.9, 0.99)}
        waits["slowest_ms"] = result.tally.slowest() * 1e3
        lost_total = result.tally.lost.total()
        about = {name: getattr(result, name) for name in ("peer", "took", "most", "left", "left_after")}
        return {**about, "lost_total": lost_total, **tally, **waits}

    return json.dumps({"facts": dict(facts), "plan": asdict(plan), "results": [told(result) for result in results]}, indent=1)
