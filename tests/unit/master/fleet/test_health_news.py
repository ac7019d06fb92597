"""Said once."""

from __future__ import annotations

from lbproxy.ipc.messages import HealthChanged
from lbproxy.master.fleet.health_news import HealthNews


def test_news_is_what_was_not_said_last() -> None:
    verdicts = HealthNews()
    up, down = HealthChanged("web", "a:1", "up", "x"), HealthChanged("web", "a:1", "down", "y")
    assert [verdicts.is_news(message) for message in (up, up, down, up)] == [True, False, True, True]
    assert verdicts.is_news(up._replace(pool="api"))


def test_who_is_gone_and_comes_back_is_news() -> None:
    verdicts = HealthNews()
    up = HealthChanged("web", "a:1", "up", "x")
    assert verdicts.is_news(up)
    verdicts.forget("api", ["a:1"])
    assert not verdicts.is_news(up)
    verdicts.forget("web", ["a:1", "never:1"])
    assert verdicts.is_news(up)
