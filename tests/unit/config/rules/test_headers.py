"""The keys about header fields: what is read, what is refused and why."""

from __future__ import annotations

import pytest

from lbproxy.config.header_values import NEVER, NEVER_IN_REQUESTS, format_hsts, parse_hsts
from lbproxy.config.model import HeaderRulesConfig, HeadersConfig, Hsts, ProcessConfig, headers
from lbproxy.http.grammar import HOP_BY_HOP
from lbproxy.http.presets import PRESETS
from tests.unit.config.text import LEAST, complaint, line_of, read, refused


def with_rules(table: str, lines: str) -> str:
    return f"{LEAST}[pool.app.{table}]\n{lines}\n"


def test_everything() -> None:
    """Of a pool, of a route, and for all."""
    text = LEAST.replace(
        'pool = "app"',
        'pool = "app"\nhsts = "1y subdomains"\ntrace = "pass"\nrequest_headers = { remove = ["X-Debug", "x-internal-*"] }',
    ) + (
        'security_headers = "strict"\n[pool.app.request_headers]\nset = { "X-Team" = "blue", Host = "app.internal:81" }\n'
        'add = { Accept = ["a", "b {client_ip}"] }\n'
        '[pool.app.response_headers]\nset = { X-Served-By = "{backend}" }\nkeep = ["server", "X-ASPNET-Version"]\n'
        '[proxy]\nrequest_id = "make"\n'
    )
    config = read(text)
    assert config.routes[0].headers == HeadersConfig(
        HeaderRulesConfig(remove=("X-Debug", "x-internal-*")), hsts=Hsts(365 * 86400, True), trace="pass"
    )
    assert config.pools[0].headers == HeadersConfig(
        HeaderRulesConfig(
            set=(("X-Team", "blue"), ("Host", "app.internal:81")), add=(("Accept", "a"), ("Accept", "b {client_ip}"))
        ),
        HeaderRulesConfig(set=(("X-Served-By", "{backend}"),), keep=("Server", "X-AspNet-Version")),
        security_headers="strict",
    )
    assert config.proxy.headers == HeadersConfig(security_headers="off", hsts=Hsts(), request_id="make", trace="off")
    assert read(LEAST).proxy.headers == ProcessConfig().headers


def test_replacements() -> None:
    """To nothing as well. Via may go, though it may not be written."""
    lines = 'remove = ["Via"]\nreplace = { Destination = { from = "https:", to = "http:" }, X-A = { from = "a", to = "" } }'
    headers = (
        read(with_rules("request_headers", lines) + with_rules("response_headers", lines).removeprefix(LEAST)).pools[0].headers
    )
    for rules in (headers.request, headers.response):
        assert rules.remove == ("Via",)
        assert rules.replace == (("Destination", "https:", "http:"), ("X-A", "a", ""))


@pytest.mark.parametrize(("table", "line", "key", "message", "hint"), [
    ("request_headers", 'set = { "X Team" = "a" }', 'set."X Team"', "the name of a header", ""),
    ("request_headers", 'set = { "X-Team\\r\\nEvil" = "a" }', 'set."X-Team\\r\\nEvil"', "the name of a header", ""),
    ("request_headers", 'set = { X-Team = "a\\r\\nEvil: 1" }', "set.X-Team", "visible ASCII", ""),
    ("request_headers", 'set = { X-Team = "caf\u00e9" }', "set.X-Team", "visible ASCII", ""),
    ("request_headers", 'set = { X-Team = " a" }', "set.X-Team", "visible ASCII", ""),
    ("request_headers", 'set = { X-Team = "" }', "set.X-Team", "an empty one", "remove takes a header out"),
    ("request_headers", "set = { X-Team = 1 }", "set.X-Team", "got the number 1", ""),
    ("request_headers", "set = { X-Team = [] }", "set.X-Team", "got a list", ""),
    ("request_headers", f'set = {{ X-Team = "{"a" * 4097}" }}', "set.X-Team", "at most 4096 characters, got 4097", ""),
    ("request_headers", 'set = ["X-Team"]', "set", "got a list", ""),
    ("request_headers", 'set = { X-Team = "{cleint_ip}" }', "set.X-Team", "no variable {cleint_ip}", 'did you mean "client_ip"?'),
    ("request_headers", 'set = { X-Team = "{backend}" }', "set.X-Team", "not known before", "it is for response_headers"),
    ("request_headers", 'set = { X-A = "1", x-a = "2" }', "set.x-a", "in two spellings", "names of headers"),
    ("request_headers", 'set = { X-A = "1" }\nremove = ["x-a"]', "remove[0]", "is set as well", "set takes out"),
    ("request_headers", 'set = { Content-Length = "1" }', "set.Content-Length", "where the body ends", ""),
    ("request_headers", 'remove = ["transfer-encoding"]', "remove[0]", "where the body ends", ""),
    ("request_headers", 'add = { Connection = "close" }', "add.Connection", "one connection only", ""),
    ("request_headers", 'remove = ["TE"]', "remove[0]", "one connection only", ""),
    ("request_headers", 'set = { Via = "1.1 me" }', "set.Via", "knows loops", "remove may take it off"),
    ("request_headers", 'replace = { Via = { from = "1", to = "2" } }', "replace.Via", "knows loops", "remove may"),
    ("request_headers", 'replace = { Host = { from = "a", to = "b" } }', "replace.Host", "not for this rule", "requests can"),
    ("request_headers", 'replace = { Connection = { from = "a", to = "b" } }', "replace.Connection", "one connection only", ""),
    ("request_headers", 'replace = { Destination = "https:" }', "replace.Destination", 'wanted { from = "...", to = "..." }', ""),
    ("request_headers", 'replace = { Destination = { from = "a" } }', "replace.Destination", 'wanted { from', ""),
    ("request_headers", 'replace = { Destination = [] }', "replace.Destination", 'wanted { from', ""),
    ("request_headers", 'replace = { Destination = { from = "", to = "b" } }', "replace.Destination", "in from", ""),
    ("request_headers", 'replace = { Destination = { from = "a", to = "\\r" } }', "replace.Destination", "visible ASCII", ""),
    ("request_headers", 'replace = { Destination = { from = "a", to = "{hots}" } }', "replace.Destination", "no variable", "did"),
    ("request_headers", 'replace = ["Destination"]', "replace", "got a list", ""),
    ("response_headers", 'replace = { A = { from = "a", to = "{host}" } }', "replace.A", "variables do not stand", "set can"),
    ("request_headers", 'set = { Proxy = "a" }', "set.Proxy", "HTTP_PROXY", ""),
    ("request_headers", 'set = { Expect = "100-continue" }', "set.Expect", "the body in mind", ""),
    ("request_headers", 'set = { Sec-WebSocket-Key = "a" }', "set.Sec-WebSocket-Key", "WebSocket", ""),
    ("request_headers", 'add = { Host = "a" }', "add.Host", "exactly one", "requests can have it set"),
    ("request_headers", 'remove = ["Host"]', "remove[0]", "exactly one", "requests can have it set"),
    ("request_headers", 'set = { Host = "{host}" }', "set.Host", "wanted a host", "variables do not stand in Host"),
    ("request_headers", 'remove = ["Con*"]', "remove[0]", "would remove connection as well", "name what is to go"),
    ("request_headers", 'remove = ["*"]', "remove[0]", "would remove connection as well", "name what is to go"),
    ("request_headers", 'remove = ["ho*"]', "remove[0]", "would remove host as well", "name what is to go"),
    ("request_headers", 'add = { X-Forwarded-For = "a" }', "add.X-Forwarded-For", "sent by lbproxy", "use set to replace it"),
    ("request_headers", 'remove = "X-A"', "remove", "wanted a list of names", ""),
    ("request_headers", 'keep = ["Server"]', "keep", "unknown key", "known here: set, add, remove"),
    ("request_headers", 'sett = {}', "sett", "unknown key", 'did you mean "set"?'),
    ("response_headers", 'set = { Host = "a" }', "set.Host", "no response", "requests can have it set"),
    ("response_headers", 'set = { Strict-Transport-Security = "a" }', "set.Strict-Transport-Security", "over plain HTTP",
     'write hsts = "365d" instead'),
    ("response_headers", 'keep = ["Servr"]', "keep[0]", "removed otherwise", 'did you mean "server"?'),
    ("response_headers", 'keep = [1]', "keep[0]", "removed otherwise", ""),
])  # fmt: skip
def test_rules_refused(table: str, line: str, key: str, message: str, hint: str) -> None:
    """One complaint each, where it stands, with the reason."""
    found = complaint(with_rules(table, line))
    assert found.key == f"pool.app.{table}.{key}"
    assert message in found.message
    assert found.hint.startswith(hint)
    assert bool(found.hint) == bool(hint)
    assert found.line == line_of(with_rules(table, line), line.rpartition("\n")[2][:8])


def test_what_may_be_done() -> None:
    """The operator decides over what is not framing: Authorization, X-Forwarded-*, underscores, wildcards, braces of JSON."""
    rules = read(with_rules("request_headers", 'set = { X-Forwarded-Proto = "https", Authorization = "Basic eDp5", x_y = "{}" }\n'
                            'remove = ["Forwarded", "X-*"]')).pools[0].headers.request  # fmt: skip
    assert rules.remove == ("Forwarded", "X-*")
    values = read(with_rules("response_headers", """set = { NEL = '{"max_age":1}' }""")).pools[0].headers.response.set
    assert values == (("NEL", '{"max_age":1}'),)


def test_nothing_hop_by_hop_gets_past() -> None:
    """The table of this file knows every name that http/ treats as meant for one connection."""
    assert {name.decode() for name in HOP_BY_HOP} <= NEVER.keys()
    assert not NEVER.keys() & NEVER_IN_REQUESTS.keys()
    assert set(headers.PRESETS) == set(PRESETS)


@pytest.mark.parametrize(("value", "expected"), [
    ("off", Hsts()), ("0", Hsts(0)), ("365d", Hsts(31536000)), ("1y", Hsts(31536000)), ("1h30m", Hsts(5400)),
    ("2y subdomains", Hsts(63072000, True)), ("1y preload subdomains", Hsts(31536000, True, True)),
])  # fmt: skip
def test_hsts(value: str, expected: Hsts) -> None:
    """How long, and for whom; what is written back is read back."""
    assert parse_hsts(value) == expected
    assert parse_hsts(format_hsts(expected)) == expected


@pytest.mark.parametrize(("value", "message", "hint"), [
    ('"on"', "wanted a duration", ""), ("true", "got true", ""), ('"1y subdomain"', 'wanted "off"', 'did you mean "subdomains"?'),
    ('"1y preload"', "only with subdomains", '"1y subdomains preload"'), ('"30d subdomains preload"', "at least a year", '"1y'),
    ('"11y"', "at most 10y", ""), ('""', 'wanted "off"', ""), ('"1y subdomains subdomains"', 'wanted "off"', ""),
])  # fmt: skip
def test_hsts_refused(value: str, message: str, hint: str) -> None:
    """What browsers would not take, or nobody can mean."""
    [found] = refused(f"{LEAST}hsts = {value}\n")
    assert found.key == "pool.app.hsts"
    assert message in found.message
    assert found.hint.startswith(hint)


@pytest.mark.parametrize("key", ["request_id", "trace", "security_headers"])
def test_words(key: str) -> None:
    """Of three words one; true is none of them."""
    assert complaint(f"{LEAST}{key} = true\n").key == f"pool.app.{key}"
    assert complaint(f'{LEAST}[proxy]\n{key} = "of"\n').hint == 'did you mean "off"?'


@pytest.mark.parametrize(("variable", "hint"), [
    ("request_id", 'add request_id = "make"'), ("trace_id", 'add trace = "make"'), ("client_subject", "add tls = "),
])  # fmt: skip
def test_variables_that_never_say_anything(variable: str, hint: str) -> None:
    """What they tell of is off wherever the rule counts."""
    rule = f'request_headers = {{ set = {{ X-A = "{{{variable}}}" }} }}\n'
    of_pool, of_route = complaint(LEAST + rule), complaint(LEAST.replace('pool = "app"', f'pool = "app"\n{rule}'))
    assert (of_pool.key, of_route.key) == ("pool.app", "route")
    assert (of_pool.line, of_route.line) == (line_of(LEAST, "[pool.app]"), line_of(LEAST, "[[route]]"))
    assert f"{{{variable}}} says nothing" in of_pool.message
    assert of_pool.hint.startswith(hint)
    assert of_pool[3:] == of_route[3:]


def test_variables_that_say_something_somewhere() -> None:
    """One of the routes is enough for a pool's rule; the word may stand in a wider table."""
    rule = 'response_headers = { add = { X-A = "{request_id}" } }\n'
    assert read(LEAST + rule + '[proxy]\nrequest_id = "make"\n')
    assert read(LEAST.replace("[[route]]", '[[route]]\npath = "/a/"\npool = "app"\nrequest_id = "pass"\n[[route]]') + rule)
    of_nobody = LEAST + '[pool.spare]\nbackends = ["10.0.0.1:80"]\n' + rule
    assert read(of_nobody)
