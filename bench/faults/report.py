"""The table for people and the JSON for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.faults.run import Plan, Result
from bench.macro.report import aligned
from bench.reload import outcome

HEAD = ("fault", "proxy", "requests", "GET lost", "POST lost", "left s", "back s", "met", "others", "p99 ms", "slowest ms")
LEGEND = """\
lost    requests without the right answer, over the whole run; no client tries anything twice
left    seconds from the fault's beginning until hardly a request (5 %) met the backend any more; "stays": never
back    seconds from its end until the backend had half of its fair share of the requests again
met     requests that were tried at the backend while the fault lasted, of all that began then; a third is its fair share
others  requests of the busier of the other two backends by their mean: 1.00 is even, 2.00 is all at one of them
p99     of the GETs' waits, over the whole run"""
POSTS = "upload"
"""The kind of client that is not idempotent."""


def row(result: Result) -> tuple[str, ...]:
    tally, effect = result.tally, result.effect
    posts = tally.lost_by[POSTS]
    return (
        result.fault,
        result.peer,
        str(tally.requests),
        str(tally.lost.total() - posts),
        str(posts),
        "stays" if effect.left is None else f"{effect.left:.1f}",
        "not" if effect.back is None else f"{effect.back:.1f}",
        f"{effect.met} of {effect.requests}",
        f"{effect.evenness:.2f}",
        f"{tally.percentile(0.99) * 1e3:.0f}",
        f"{tally.slowest() * 1e3:.0f}",
    )


def table(results: Sequence[Result]) -> str:
    """Faults parted by a rule, each named once."""
    lines: list[tuple[str, ...]] = [HEAD]
    for before, result in zip([None, *results], results, strict=False):
        line = row(result)
        if before is None or before.fault != result.fault:
            lines.append(())
        else:
            line = ("", *line[1:])
        lines.append(line)
    return aligned(lines)


def as_json(facts: Mapping[str, object], results: Sequence[Result], plan: Plan) -> str:
    """Everything but the single waits."""

    def told(result: Result) -> dict[str, Any]:
        tally = outcome.to_dict(result.tally)
        del tally["waits"]
        waits = {f"p{share * 100:g}_ms": result.tally.percentile(share) * 1e3 for share in (0.5, 0.9, 0.99)}
        waits["slowest_ms"] = result.tally.slowest() * 1e3
        return {"fault": result.fault, "peer": result.peer, **result.effect._asdict(), **tally, **waits}

    return json.dumps({"facts": dict(facts), "plan": asdict(plan), "results": [told(result) for result in results]}, indent=1)
