"""The engine looks at requests by the rules that it was given, and tells where rules are wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from lbproxy.config.model import WafConfig
from lbproxy.waf.engine import WafEngine, files
from lbproxy.waf.faults import BadRules
from lbproxy.waf.messages import WafQuestion
from tests.unit.config.text import LEAST, read

LIBRARY = WafConfig().engine
EVIL = 'SecRule ARGS "@contains evil" "id:1,phase:2,deny,status:403,log"\n'


@pytest.fixture
def engine() -> WafEngine:
    try:
        return WafEngine(LIBRARY)
    except BadRules:
        pytest.skip("libmodsecurity3 is not installed (scripts/test installs it as root on Debian)")


def asked(target: bytes = b"/", body: bytes = b"", kind: bytes = b"application/x-www-form-urlencoded") -> WafQuestion:
    block = b"\r\nHost: a.test\r\nContent-Type: " + kind + b"\r\nContent-Length: %d" % len(body)
    return WafQuestion(1, 0, 1.0, b"192.0.2.1", b"POST" if body else b"GET", target, block, body)


def test_it_looks_at_queries_forms_and_json(engine: WafEngine, tmp_path: Path) -> None:
    """And prints nothing of them."""
    (tmp_path / "a.conf").write_text(EVIL)
    engine.load(WafConfig("block", rules=(str(tmp_path / "*.conf"),)))
    for question in (asked(b"/?a=evil"), asked(body=b"a=evil"), asked(body=b'{"a": "evil"}', kind=b"application/json")):
        verdict = engine.look(question)
        assert (verdict.blocked, verdict.status, [rule for rule, _ in verdict.rules]) == (True, 403, ["1"])
    assert engine.look(asked(b"/?a=good")).rules == ()
    assert engine.look(asked(body=b"{", kind=b"application/json")).status == 400
    with pytest.raises(ValueError, match="no such rules"):
        engine.look(asked()._replace(rules=1))


def test_to_detect_it_blocks_nothing(engine: WafEngine, tmp_path: Path) -> None:
    """It tells what it would have."""
    (tmp_path / "a.conf").write_text(EVIL)
    engine.load(WafConfig(rules=(str(tmp_path / "a.conf"),)))
    verdict = engine.look(asked(b"/?a=evil"))
    assert (verdict.blocked, [rule for rule, _ in verdict.rules]) == (False, ["1"])


def test_the_table_decides(engine: WafEngine, tmp_path: Path) -> None:
    """A file that would change mode, paranoia or threshold unseen is refused with the key for it, also one that another names."""
    (tmp_path / "inner.conf").write_text('\nSecAction "id:1,phase:1,nolog,pass,setvar:tx.paranoia_level=4"\n')
    (tmp_path / "setup.conf").write_text("Include inner.conf\n")
    with pytest.raises(BadRules, match=r"inner\.conf:2: setvar:tx\.paranoia_level: it is the key paranoia of \[route\.waf\]"):
        engine.load(WafConfig(rules=(str(tmp_path / "setup.conf"),)))
    for line, key in (("SecResponseBodyAccess On", "responses"), ("SecResponseBodyMimeType text/html", "response_types")):
        (tmp_path / "other.conf").write_text(f"{line}\n")
        with pytest.raises(BadRules, match=rf"other\.conf:1: .* the key {key}"):
            engine.load(WafConfig(rules=(str(tmp_path / "other.conf"),)))
    (tmp_path / "other.conf").write_text("SecRuleEngine Off\n")
    with pytest.raises(BadRules, match=r"other\.conf:1: .* the key mode"):
        engine.load(WafConfig("block", rules=(str(tmp_path / "other.conf"),)))


@pytest.mark.parametrize("name", ["comment", "user[comment]", "tags[]", "ctl00$Main$Text", "form:text", "json.a.array_0.b"])
def test_arguments_are_left_out_by_the_names_that_are_told(engine: WafEngine, tmp_path: Path, name: str) -> None:
    """Those of frameworks among them; others are looked at, and so is the same name in other letters."""
    (tmp_path / "a.conf").write_text(
        "SecRule ARGS \"@contains evil\" \"id:1,phase:2,deny,status:403,log,tag:'OWASP_CRS',"
        "logdata:'Matched Data: %{TX.0} found within %{MATCHED_VAR_NAME}: %{MATCHED_VAR}'\"\n"
    )
    settings = WafConfig("block", rules=(str(tmp_path / "a.conf"),))
    engine.load(settings)
    engine.load(read_waf(f'exclude_arguments = ["{name}"]', settings))
    json = name.startswith("json")

    def ask(argument: str, rules: int) -> tuple[tuple[str, str], ...]:
        if json:
            return engine.look(asked(body=b'{"a": [{"b": "evil"}]}', kind=b"application/json")._replace(rules=rules)).rules
        return engine.look(asked(f"/?{quote(argument)}=evil".encode())._replace(rules=rules)).rules

    told = name if ":" not in name else name.partition(":")[0]
    assert ask(name, 0) == (("1", f"ARGS:{told}"),)
    assert ask(name, 1) == ()
    assert json or [len(ask(other, 1)) for other in ("other", name.upper(), f"{name}x")] == [1, 1, 1]


def read_waf(line: str, settings: WafConfig) -> WafConfig:
    """As a file says it."""
    waf = read(LEAST.replace("[pool.app]", f"[route.waf]\n{line}\n[pool.app]")).routes[0].waf
    assert waf is not None
    return replace(settings, exclude_arguments=waf.exclude_arguments)


def test_rules_for_the_end_run_where_they_do_something(engine: WafEngine, tmp_path: Path) -> None:
    """Where something was found, and where they are somebody's own."""
    told = "SecAction \"id:%d,phase:5,log,pass,msg:'Total Inbound Score: 3'\"\n"
    for number, rule in enumerate((980_130, 7)):
        (tmp_path / "a.conf").write_text(EVIL.replace("deny,status:403", "pass") + told % rule)
        engine.load(WafConfig("block", rules=(str(tmp_path / "a.conf"),)))
        found, clean = (engine.look(asked(target)._replace(rules=number)) for target in (b"/?a=evil", b"/"))
        assert (found.score, clean.score) == (3, 3 if rule == 7 else 0)


def test_rules_for_answers_that_find_nothing_are_refused(engine: WafEngine, tmp_path: Path) -> None:
    """They ask for what came with a request's body; where answers are not looked at it does not matter."""
    (tmp_path / "a.conf").write_text('\nSecRule ARGS_POST:card "@rx 4" "id:1,phase:4,deny,status:403"\n')
    engine.load(WafConfig(rules=(str(tmp_path / "a.conf"),)))
    with pytest.raises(BadRules, match=r"a\.conf:2: ARGS_POST in a rule for answers: .* phase 2"):
        engine.load(WafConfig(rules=(str(tmp_path / "a.conf"),), responses=True))


def test_depth_of_json_is_bounded(engine: WafEngine, tmp_path: Path) -> None:
    """Names of its values grow with it."""
    (tmp_path / "a.conf").write_text(EVIL)
    engine.load(WafConfig("block", rules=(str(tmp_path / "a.conf"),)))
    for depth, status in ((90, 200), (9000, 400)):
        body = b"[" * depth + b",".join([b"1"] * 900) + b"]" * depth
        assert engine.look(asked(body=body, kind=b"application/json")).status == status


def test_what_cannot_be_used_is_told(engine: WafEngine, tmp_path: Path) -> None:
    """With the file and the line; also that the library is not there."""
    (tmp_path / "bad.conf").write_text(EVIL + "\nSecNonsense\n")
    with pytest.raises(BadRules, match=r"bad\.conf:3: Invalid input"):
        engine.load(WafConfig(rules=(str(tmp_path / "bad.conf"),)))
    with pytest.raises(BadRules, match="no such file"):
        files([str(tmp_path / "*.rules")])
    with pytest.raises(BadRules, match="libmodsecurity3"):
        WafEngine("libnone.so.9")


def test_all_that_is_wrong_is_told_at_once(engine: WafEngine, tmp_path: Path) -> None:
    """Also what the engine takes without a word, and that would never find anything; sound rules beside that are no matter."""
    rule = 'SecRule ARGS%s "%s" "id:%d,phase:2,deny%s"\n'
    conditions = ("", "@rx ("), ("", "@nosuch x"), (":/[/", "@streq x"), ("", "@rx ^a$")
    texts = {
        "a.conf": "".join(rule % (*condition, number, "") for number, condition in enumerate(conditions, 1)),
        "b.conf": rule % ("", "@pmFromFile no.data", 7, ""),
        "c.conf": EVIL.replace("id:1", "id:8") + EVIL.replace("id:1", "id:8") + rule % ("", "x", 9, ",chain"),
        "d.conf": "SecNonsense\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BadRules) as raised:
        engine.load(WafConfig(rules=(str(tmp_path / "*.conf"),)))
    places = {(Path(fault.file).name, fault.line) for fault in raised.value.faults}
    assert places == {("a.conf", 1), ("a.conf", 2), ("a.conf", 3), ("b.conf", 1), ("c.conf", 2), ("c.conf", 3), ("d.conf", 1)}
    told = str(raised.value)
    for words in ("'(' is no pattern", "missing terminating ]", "@nosuch is no operator", "no.data", "8 is taken", "chained"):
        assert words in told
    assert told.count("no.data. Looking") == 1  # the engine repeats what it said of the file before


def test_other_operators_may_be_the_engines(engine: WafEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked about those that are not known here: another version has others."""
    monkeypatch.setattr("lbproxy.waf.engine.KNOWN", frozenset())
    (tmp_path / "a.conf").write_text(EVIL + EVIL.replace("id:1", "id:2").replace("@contains evil", "@ipMatch 192.0.2.1"))
    engine.load(WafConfig(rules=(str(tmp_path / "a.conf"),)))


def test_it_looks_at_answers(engine: WafEngine, tmp_path: Path) -> None:
    """By rules of their phases alone: what was found in the request's head was told before."""
    (tmp_path / "a.conf").write_text(
        'SecRule REQUEST_HEADERS:Host "@contains a.test" "id:1,phase:1,deny,status:403,log"\n'
        'SecRule RESPONSE_STATUS "@streq 500" "id:2,phase:3,deny,status:403,log"\n'
        'SecRule RESPONSE_BODY "@contains secret" "id:3,phase:4,deny,status:403,log"\n'
    )
    engine.load(WafConfig("block", rules=(str(tmp_path / "a.conf"),), responses=True))
    engine.load(WafConfig("block", rules=(str(tmp_path / "a.conf"),)))
    for status, text, found in ((200, b"fine", []), (500, b"", ["2"]), (200, b"a secret", ["3"])):
        answer = asked()._replace(status=status, answered=b"\r\nContent-Type: text/html", text=text)
        verdict = engine.look(answer)
        assert [rule for rule, _ in verdict.rules] == found
        assert verdict.blocked == bool(found)
    assert not engine.look(answer._replace(rules=1)).blocked  # nobody asked for bodies


@pytest.mark.parametrize("lines", [b"", b"\r\nContent-Type:", b"\r\nContent-Type: \t"])
def test_a_body_whose_type_nobody_tells_is_a_form(engine: WafEngine, tmp_path: Path, lines: bytes) -> None:
    """To some applications it is one."""
    (tmp_path / "a.conf").write_text(EVIL)
    engine.load(WafConfig("block", rules=(str(tmp_path / "a.conf"),)))
    question = asked(body=b"x=1&a=%65vil")._replace(block=b"\r\nHost: a.test\r\nContent-Length: 12" + lines)
    assert engine.look(question).blocked
    assert not engine.look(question._replace(body=b"x=1&a=%67ood")).blocked
    assert not engine.look(question._replace(method=b"PUT")).blocked, "it is a file that somebody uploads"


def test_a_body_of_two_types_is_read_by_nobody(engine: WafEngine, tmp_path: Path) -> None:
    """A backend might read the other one."""
    (tmp_path / "a.conf").write_text(EVIL)
    engine.load(WafConfig("block", rules=(str(tmp_path / "a.conf"),)))
    question = asked(body=b"x=1")
    for second in (b"text/plain", b"multipart/form-data; boundary=x", b"application/x-www-form-urlencoded"):
        assert engine.look(question._replace(block=question.block + b"\r\nContent-Type: " + second)).status == 400
