"""What single keys accept."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.balance.ledger import ROWS
from lbproxy.config import values
from lbproxy.config.units import Parse, ValueRefused

BASE = Path("/base")


@pytest.mark.parametrize(("parse", "value", "result"), [
    (values.text, "a b", "a b"),
    (values.boolean, False, False),
    (values.choice("a", "b"), "b", "b"),
    (values.whole(1, 5), 5, 5),
    (values.workers, "auto", 0),
    (values.workers, 62, 62),
    (values.duration(), "1ms", 0.001),
    (values.duration(zero=True), 0, 0.0),
    (values.size(0, 10), "10B", 10),
    (values.ceiling(1024), "1KiB", 1024),
    (values.ceiling(1024), "0", 0),
    (values.file_below(BASE), "a/b.pem", BASE / "a/b.pem"),
    (values.file_below(BASE), "/c.pem", Path("/c.pem")),
    (values.access_log(BASE), "off", "off"),
    (values.access_log(BASE), "a.log", "/base/a.log"),
    (values.route_host, "Example.COM", "example.com"),
    (values.route_host, "*.Example.com", "*.example.com"),
    (values.route_host, "*.bücher.example", "*.xn--bcher-kva.example"),
    (values.route_host, "127.0.0.1", "127.0.0.1"),
    (values.route_host, "[0::1]", "[::1]"),
    (values.route_host, "::1", "[::1]"),
    (values.host_field, "app:8080", "app:8080"),
    (values.host_field, "[::1]:80", "[::1]:80"),
    (values.host_field, "App", "app"),
    (values.server_name, "::1", "::1"),
    (values.server_name, "API.internal", "api.internal"),
    (values.url_path, "/a?b=c", "/a?b=c"),
    (values.route_path, "/a/", "/a/"),
    (values.status_range, "200-399", (200, 399)),
    (values.status_range, "204", (204, 204)),
    (values.status_range, 200, (200, 200)),
    (values.pool_name, "a.b-c_1", "a.b-c_1"),
])  # fmt: skip
def test_accepted(parse: Parse[object], value: object, result: object) -> None:
    """Value in, value out."""
    assert parse(value) == result


@pytest.mark.parametrize(("parse", "value", "hint"), [
    (values.text, "", ""),
    (values.text, "a\nb", ""),
    (values.boolean, "true", "write true without quotes"),
    (values.boolean, 1, ""),
    (values.choice("modern", "intermediate"), "moden", 'did you mean "modern"?'),
    (values.choice("a"), ["a"], ""),
    (values.whole(1, 5), 0, ""),
    (values.whole(1, 5), 6, ""),
    (values.whole(0, 5), True, ""),
    (values.whole(1, 5), "3", "write it without quotes"),
    (values.whole(1, 5), 2.0, ""),
    (values.workers, 0, '"auto" is one for each core'),
    (values.workers, 63, '"auto" is one for each core'),
    (values.workers, "4", "write it without quotes"),
    (values.workers, True, ""),
    (values.duration(), "0", "no limit at all is not offered"),
    (values.duration(), "0.1ms", "no limit at all is not offered"),
    (values.duration(), "31d", ""),
    (values.size(1024, 2048), "1B", ""),
    (values.size(1024, 2048), "1MiB", ""),
    (values.ceiling(1024), "1023B", ""),
    (values.ceiling(1024), "9999999999TiB", ""),
    (values.ceiling(1024), "1k", 'write "1KiB" (1024) or "1KB" (1000)'),
    (values.file_below(BASE), "", ""),
    (values.file_below(BASE), "a\0b", ""),
    (values.file_below(BASE), "~/x", '"~" is not expanded: write the whole path'),
    (values.access_log(BASE), "stderr", "stderr is for events"),
    (values.route_host, "*", 'leave "host" out to match every host'),
    (values.route_host, "*.com", "one star, as the whole first label, above a domain"),
    (values.route_host, "a.*.example.com", "one star, as the whole first label, above a domain"),
    (values.route_host, "*.*.example.com", "one star, as the whole first label, above a domain"),
    (values.route_host, "a*.example.com", "one star, as the whole first label, above a domain"),
    (values.route_host, "example.com:443", 'write "example.com"'),
    (values.route_host, "exa mple.com", ""),
    (values.route_host, "http://example.com", ""),
    (values.route_host, 5, ""),
    (values.host_field, "a\r\nX: y", ""),
    (values.host_field, "[zz]:80", ""),
    (values.host_field, "a:b:c", ""),
    (values.server_name, "a b", ""),
    (values.url_path, "a", 'write "/a"'),
    (values.url_path, "/ü", "percent-encode the others"),
    (values.url_path, "/a b", "percent-encode the others"),
    (values.url_path, "/a\r\nX: y", "percent-encode the others"),
    (values.url_path, "/a#b", ""),
    (values.route_path, "/a?b", 'write "/a"'),
    (values.route_path, "/a/*", 'a prefix needs no star: write "/a/"'),
    (values.status_range, "399-200", ""),
    (values.status_range, "99", ""),
    (values.status_range, "600", ""),
    (values.status_range, True, ""),
    (values.pool_name, "a/b", ""),
    (values.pool_name, "", ""),
    (values.pool_name, "x" * 65, ""),
])  # fmt: skip
def test_refused(parse: Parse[object], value: object, hint: str) -> None:
    """Says what was wanted, and the way out where there is one."""
    with pytest.raises(ValueRefused, match="wanted ") as refused:
        parse(value)
    assert refused.value.hint == hint


def test_workers_fit_into_the_ledger() -> None:
    """Three generations of them and their control processes have a row each, beside the retired one."""
    assert 3 * (values.MAX_WORKERS + 1) < ROWS
