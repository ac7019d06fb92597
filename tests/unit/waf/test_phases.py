"""Rules of later phases are known by what they say."""

from __future__ import annotations

from glob import glob
from pathlib import Path

import pytest

from lbproxy.config.model.waf import CRS
from lbproxy.waf.phases import blind, closes_clean

OTHER = 'SecRule ARGS "@contains evil" "id:1,phase:2,deny"\n'


@pytest.mark.parametrize(
    ("rule", "closes"),
    [
        (OTHER, False),
        ('SecRule ARGS "@contains evil" "id:1,deny"', False),
        ('SecAction "id:7,phase:5,log,pass"', True),
        ("SecRule RESPONSE_STATUS @streq \\\n 500 \"id:7,phase:'logging',log,pass\"", True),
        ('SecRule TX:score "@ge 1" "id:980130,phase:5,log,pass"', False),
        ('SecRule IP:counter "@ge 1" "id:912160,phase:5,nolog,pass"', False),
        ("SecAction \"id:900700,phase:1,nolog,pass,setvar:'tx.dos_burst_time_slice=60'\"", True),
        ('# SecAction "id:7,phase:5,log,pass"', False),
        ('SecRule TX:a "@ge 1" "id:980130,phase:5,pass,chain"\nSecRule TX:b "@ge 1" "t:none"', False),
    ],
)
def test_what_the_end_of_a_clean_request_needs(rule: str, closes: bool) -> None:
    """Rules of others than the Core Rule Set, or its counts, where somebody has switched them on."""
    assert closes_clean(OTHER + rule + "\n") == closes


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ('SecRule REQUEST_BODY "@rx a" "id:1,phase:4,deny"', "REQUEST_BODY"),
        ('SecRule "RESPONSE_BODY|&ARGS_POST:card" "@rx a" "id:1,phase:response,deny"', "ARGS_POST"),
        ('SecRule RESPONSE_STATUS "@streq 500" "id:1,phase:3,deny,chain"\nSecRule FILES_NAMES "@rx a" "t:none"', "FILES_NAMES"),
        ('SecRule RESPONSE_BODY|ARGS|!ARGS_POST:a "@rx a" "id:1,phase:4,deny"', ""),
        ('SecRule REQUEST_BODY "@rx a" "id:1,phase:2,deny"', ""),
        ('SecRule XML:/* "@rx a" "id:1,deny"', ""),
    ],
)
def test_what_rules_for_answers_cannot_find(rule: str, found: str) -> None:
    """It came with the body of the request."""
    lines = list(blind("\n" + rule + "\n"))
    assert [name for _, name in lines] == ([found] if found else [])
    assert all(line == 2 + rule[: rule.index(found)].count("\n") for line, _ in lines)


def test_the_core_rule_set_misses_nothing() -> None:
    """No rule of it for answers asks for a request's body, and its rules for the end only tell what was found."""
    files = [path for pattern in CRS for path in glob(pattern)]
    if not files:
        pytest.skip("modsecurity-crs is not installed (scripts/test installs it as root on Debian)")
    for path in files:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        assert not [*blind(text)], path
        assert not closes_clean(text), path
