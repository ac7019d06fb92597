"""Files of rules that decide what a route's table decides are found, with the line."""

from __future__ import annotations

import pytest

from lbproxy.waf.overridden import Overridden, included, overridden

PARANOIA = """# SecAction "setvar:tx.paranoia_level=4"
SecAction \\
  "id:900000,\\
   phase:1,\\
   setvar:tx.paranoia_level=4"
"""


@pytest.mark.parametrize(("text", "found"), [
    (PARANOIA, [Overridden(2, "setvar:tx.paranoia_level", "paranoia")]),
    ('\nSecAction "id:1,setvar:\'tx.BLOCKING_paranoia_level=2\'"',
     [Overridden(2, "setvar:tx.BLOCKING_paranoia_level", "paranoia")]),
    ("SecAction id:1,setvar:tx.inbound_anomaly_score_threshold=9",
     [Overridden(1, "setvar:tx.inbound_anomaly_score_threshold", "threshold")]),
    ("SecRuleEngine DetectionOnly", [Overridden(1, "SecRuleEngine DetectionOnly", "mode")]),
    ("secruleengine Off\nSecRequestBodyAccess Off",
     [Overridden(1, "secruleengine Off", "mode"), Overridden(2, "SecRequestBodyAccess Off", "max_body")]),
    ("SecAction id:1,ctl:ruleEngine=Off", [Overridden(1, "ctl:ruleEngine", "mode")]),
    ("SecRuleEngine on\nSecRequestBodyAccess On", []),
    ('SecRule REQUEST_URI "@beginsWith /api" "id:1,setvar:tx.inbound_anomaly_score_threshold=9"', []),
    ('SecAction "id:900990,setvar:tx.crs_setup_version=334,setvar:tx.executing_paranoia_level=3"', []),
    ("SecAction id:1,\\", []),
])  # fmt: skip
def test_what_would_win_unseen(text: str, found: list[Overridden]) -> None:
    """Not what has a condition, what says the same, or what is commented out."""
    assert list(overridden(text, "On")) == found


def test_files_in_files() -> None:
    """As they are written."""
    assert list(included('Include a/*.conf\n# Include b\ninclude "/c.conf"\n')) == ["a/*.conf", "/c.conf"]
