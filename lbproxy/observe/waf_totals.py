"""The figures of the rule engine's processes, over all workers, and as families of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

INSPECTOR_CELLS = ("alive", "replaced", "late")
"""What stands in the ledger's Header.INSPECTORS, in that order."""


class WafTotals(NamedTuple):
    """Nothing of it is there where no route has a table waf."""

    alive: int = 0
    """Inspectors of the generation that serves."""
    replaced: int = 0
    """That ended before their time; those that were ended for taking too long are among them, and told once more."""
    late: int = 0
    waiting: int = 0
    """Requests that inspectors have, or will have."""
    unanswered: int = 0
    """Requests of which nobody said in time what they are."""
    rules: tuple[tuple[int, int], ...] = ()
    """Hits by the rule's id."""
    other_rules: int = 0
    """Hits of further ones."""

    def described(self) -> dict[str, object]:
        """For JSON."""
        return {**self._asdict(), "rules": {str(rule): hits for rule, hits in self.rules}}


Sample = tuple[str, Mapping[str, str], float]
"""As metrics.Sample."""


def waf_families(waf: WafTotals) -> Iterable[tuple[str, str, str, list[Sample]]]:
    """Name, kind, text and samples of each; nothing where there is no table waf, and was none."""
    if waf == WafTotals():
        return
    figures = (
        ("inspectors", "gauge", "Processes that look at requests by rules.", waf.alive),
        ("inspectors_replaced_total", "counter", "Those that ended before their time, and were replaced.", waf.replaced),
        ("inspectors_late_total", "counter", "Those of them that were ended because they took too long.", waf.late),
        ("waiting_requests", "gauge", "Requests that they have, or will have.", waf.waiting),
        ("unanswered_requests_total", "counter", "Requests of which nobody said in time what they are.", waf.unanswered),
    )
    for name, kind, text, figure in figures:
        yield f"lbproxy_waf_{name}", kind, text, [("", {}, figure)]
    hits: list[Sample] = [("", {"rule": str(rule)}, count) for rule, count in waf.rules]
    text = "Requests in which a rule found something, by its id; those without a place are summed as other."
    yield "lbproxy_waf_rule_hits_total", "counter", text, [*hits, ("", {"rule": "other"}, waf.other_rules)]
