"""What workers and inspectors say to each other arrives as it was said, and nothing of a request is in an answer but names."""

from __future__ import annotations

import pytest

from lbproxy.waf.messages import MOST_RULES, WafQuestion, WafVerdict, answer, found, heard, pack, unpack

ASKED = WafQuestion(7, 1, 0.5, b"192.0.2.1", b"POST", b"/a?b=c", b"\r\nHost: a.test\r\nX: y", b"body\0")
SQLI = (
    'ModSecurity: Warning. detected SQLi using libinjection. [file "x.conf"] [line "46"] [id "942100"] [data "Matched Data: s&sos '
    'found within ARGS:id: 1\' or \'1\'=\'1"] [severity "2"]'
)
SCORE = 'Access denied. against variable `TX:ANOMALY_SCORE\' [id "949110"] [msg "Inbound Anomaly Score Exceeded (Total Score: 15)"]'


def test_a_question_arrives_as_it_was_asked() -> None:
    """Whole, or not at all."""
    data = pack(ASKED)
    assert unpack(data) == ASKED
    answer = ASKED._replace(status=500, answered=b"\r\nServer: x", text=b"text", until=12345.678)
    assert unpack(pack(answer)) == answer
    for broken in (b"", data[:-1], data + b"x", data[:10]):
        with pytest.raises(ValueError, match="question"):
            unpack(broken)


def test_of_what_the_engine_logs_ids_and_names_are_kept() -> None:
    """What somebody sent is in no answer; the rule that adds up tells the score."""
    verdict = found(7, True, 403, [SQLI, SQLI, SCORE])
    assert verdict == WafVerdict(7, True, 403, 15, (("942100", "ARGS:id"),))
    assert b"or" not in answer(verdict)
    assert heard(answer(verdict)) == verdict
    many = found(1, False, 200, [f'x [id "{number}"]' for number in range(1000)])
    assert len(many.rules) == MOST_RULES


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"[1,true,403,5]", b'[1,true,403,5,[["1\\"","x"]]]', b'[1,true,403,5,[["1","a b"]]]', b"[" * 5000]
)
def test_what_is_no_verdict_is_none(data: bytes) -> None:
    """An inspector may have been taken over: nothing that it says gets into a log unseen."""
    with pytest.raises(ValueError):  # noqa: PT011  # of json's or of ours
        heard(data)
