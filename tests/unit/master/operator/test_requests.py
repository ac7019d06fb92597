"""lbproxy.master.operator.requests: what is understood, and what is said about the rest."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.master.operator.requests import (
    ACTIONS,
    COMMANDS,
    LEVELS,
    MAX_WEIGHT,
    NAMES,
    BackendRequest,
    LogLevelRequest,
    ReloadRequest,
    Request,
    RequestRefused,
    StatusRequest,
    StopRequest,
    WorkersRequest,
    encode,
    parse,
)

EVERY_REQUEST: list[Request] = [
    StatusRequest(),
    ReloadRequest(),
    StopRequest(False),
    StopRequest(True),
    BackendRequest("api/127.0.0.1:9001", "drain", 0),
    BackendRequest("bücher/[::1]:9001", "enable", 0),
    BackendRequest("127.0.0.1:9001", "weight", 0),
    BackendRequest("127.0.0.1:9001", "weight", MAX_WEIGHT),
    WorkersRequest(1),
    WorkersRequest(-1),
    *(LogLevelRequest(level) for level in ("debug", "info", "warning", "error")),
]


@pytest.mark.parametrize("request_", EVERY_REQUEST, ids=str)
def test_there_and_back(request_: Request) -> None:
    """A request arrives as it was sent, in one line."""
    line = encode(request_)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert parse(line) == request_
    assert type(parse(line)) is type(request_)


def test_tables_agree() -> None:
    """Every command can be sent, every request has its command, every field is one of the value's."""
    assert {name: command.make for name, command in COMMANDS.items()} == {name: kind for kind, name in NAMES.items()}
    for kind, name in NAMES.items():
        assert tuple(COMMANDS[name].fields) == kind._fields  # type: ignore[attr-defined]  # all are NamedTuples
    assert {request.action for request in EVERY_REQUEST if isinstance(request, BackendRequest)} == set(ACTIONS)
    assert {request.level for request in EVERY_REQUEST if isinstance(request, LogLevelRequest)} == set(LEVELS)


@pytest.mark.parametrize(("line", "request_"), [
    (b'{"command":"stop"}', StopRequest(False)),
    ('{"name":"bücher/a:1","command":"backend","action":"drain"}\n'.encode(), BackendRequest("bücher/a:1", "drain", 0)),
    (b' {"command": "status"} \r\n', StatusRequest()),
])  # fmt: skip
def test_written_by_hand(line: bytes, request_: Request) -> None:
    """What somebody types into socat."""
    assert parse(line) == request_


@pytest.mark.parametrize(("line", "said"), [
    (b"", "wanted one line of JSON"),
    (b"status", "wanted one line of JSON"),
    (b"\xff\xfe", "wanted one line of JSON"),
    (b"[" * 60_000, "wanted one line of JSON"),
    (b'["status"]', "wanted a JSON object, came list"),
    (b"null", "wanted a JSON object, came NoneType"),
    (b"{}", '"command": wanted one of status, reload, stop, backend, workers, cache, certificates, log-level, came none'),
    (b'{"command":"stat"}', "came 'stat'"),
    (b'{"command":7}', "came 7"),
    (b'{"command":["status"]}', "came ['status']"),
    (b'{"command":"status","command":"stop"}', "a field stands twice"),
    (b'{"command":"status","verbose":true}', "status has no field 'verbose'; it has none"),
    (b'{"command":"stop","forced":true}', "stop has no field 'forced'; it has now"),
    (b'{"command":"stop","now":1}', "wanted true or false, came int"),
    (b'{"command":"stop","now":"yes"}', "wanted true or false, came str"),
    (b'{"command":"stop","now":null}', 'stop wants a field "now"'),
    (b'{"command":"workers"}', 'workers wants a field "delta"'),
    (b'{"command":"workers","delta":2}', "wanted 1 or -1, came 2"),
    (b'{"command":"workers","delta":true}', "wanted 1 or -1, came True"),
    (b'{"command":"workers","delta":1.0}', "no field takes the number 1.0"),
    (b'{"command":"workers","delta":NaN}', "no field takes the number NaN"),
    (b'{"command":"workers","delta":' + b"9" * 50_000 + b"}", "a number of 50000 digits"),
    (b'{"command":"log-level","level":"loud"}', "wanted one of debug, info, warning, error, came 'loud'"),
    (b'{"command":"backend","action":"drain"}', 'backend wants a field "name"'),
    (b'{"command":"backend","name":"a:1"}', 'backend wants a field "action"'),
    (b'{"command":"backend","name":"a:1","action":"kill"}', "wanted one of drain, enable, weight, came 'kill'"),
    (b'{"command":"backend","name":"a:1","action":"weight"}', 'wants field "weight"'),
    (b'{"command":"backend","name":"a:1","action":"drain","weight":1}', 'has no field "weight"'),
    (b'{"command":"backend","name":"a:1","action":"weight","weight":1001}', "wanted 0 to 1000, came 1001"),
    (b'{"command":"backend","name":"a:1","action":"weight","weight":-1}', "wanted 0 to 1000, came -1"),
    (b'{"command":"backend","name":"a:1","action":"weight","weight":true}', "wanted an integer, came bool"),
    (b'{"command":"backend","name":"\\ud800","action":"drain"}', "came a lone surrogate"),
    (b'{"command":"backend","name":"' + b"x" * 1025 + b'","action":"drain"}', "wanted at most 1024 characters, came 1025"),
])  # fmt: skip
def test_refused(line: bytes, said: str) -> None:
    """Each misunderstanding is told in its own words."""
    with pytest.raises(RequestRefused) as refused:
        parse(line)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 400


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([*COMMANDS, *ACTIONS, *LEVELS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["command", "now", "name", "action", "weight", "delta", "level"]) | st.text(max_size=5)


@given(st.binary(max_size=300) | st.dictionaries(KEYS, JSON, max_size=6).map(lambda fields: json.dumps(fields).encode()))
def test_any_bytes(line: bytes) -> None:
    """Whatever comes is a request that goes there and back, or is refused."""
    try:
        request = parse(line)
    except RequestRefused:
        return
    assert parse(encode(request)) == request
