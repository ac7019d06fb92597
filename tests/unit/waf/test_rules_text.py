"""What a route's table says in the words of the engine's files."""

from __future__ import annotations

from lbproxy.config.model import WafConfig
from lbproxy.waf.rules_text import after, before


def test_what_stands_around_the_rules() -> None:
    """Mode, paranoia and threshold in front, with what reads JSON and XML; what is left out behind."""
    settings = WafConfig("block", paranoia=3, threshold=9, exclude_rules=("1-2",), exclude_tags=("a-b",), exclude_arguments=("c",))
    text = before(settings)
    assert "SecRuleEngine On\n" in text
    assert "SecRuleEngine DetectionOnly\n" in before(WafConfig())
    assert "tx.paranoia_level=3" in text
    assert "tx.inbound_anomaly_score_threshold=9" in text
    assert "id:200000" in text
    assert "id:200001" in text
    assert after(WafConfig()) == ""
    assert after(settings) == 'SecRuleRemoveById 1-2\nSecRuleRemoveByTag "a-b"\nSecRuleUpdateTargetByTag "OWASP_CRS" "!ARGS:c"\n'
