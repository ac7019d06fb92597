"""Routes that are never reached, because one before them takes all they could take.

What is in doubt is taken for reachable: a complaint is always right. Only single routes are weighed against each other; that
several take everything together is not seen. Each route is compared with those that stand at its host or a wider one, and at a
prefix of its path, so that thousands of routes do not cost millions of comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbproxy.config.model import MatchConfig, Patterns, RouteConfig
from lbproxy.globs import Glob
from lbproxy.regex import searcher

MOST_COMPARED = 100
"""Routes of one host and prefix that differ in what else they ask for: further ones are compared with those and no others."""


def never_reached(routes: Sequence[RouteConfig]) -> Iterator[tuple[RouteConfig, RouteConfig]]:
    """(a route, the first one before it that takes all it could take), in order."""
    seen: dict[tuple[str | None, str], list[RouteConfig]] = {}
    """By host, and by what paths begin with, without a slash at its end, or the whole of it ("=/x")."""
    order = {id(route): index for index, route in enumerate(routes)}
    for route in routes:
        near = [earlier for host in _hosts(route.host) for path in _fronts(route) for earlier in seen.get((host, path), ())]
        covering = (earlier for earlier in near if covers(earlier, route))
        first = min(covering, key=lambda earlier: order[id(earlier)], default=None)
        if first is not None:
            yield route, first
            continue  # what it would take, that one takes as well
        there = seen.setdefault((route.host, _key(route)), [])
        if len(there) < MOST_COMPARED or route.match == MatchConfig(exact=route.match.exact):
            there.append(route)


def _hosts(host: str | None) -> list[str | None]:
    """That host, and those that are wider."""
    if host is None:
        return [None]
    return [host, None] if host.startswith("*.") else [host, f"*.{host.partition('.')[2]}", None]


def _key(route: RouteConfig) -> str:
    return begin(route).rstrip("/") if route.match.exact is None else f"={route.match.exact}"


def _fronts(route: RouteConfig) -> Iterator[str]:
    """The keys of routes that may take all it takes."""
    if route.match.exact is not None:
        yield f"={route.match.exact}"
    for path in {begin(route).rstrip("/"), _front(route).rstrip("/")}:  # which differ where path and glob exclude each other
        while path:
            yield path
            path = path[: path.rfind("/")].rstrip("/")
    yield ""


def begin(route: RouteConfig) -> str:
    """What all its paths begin with, in whole segments; or the only one."""
    if route.match.exact is not None:
        return route.match.exact
    front = _front(route)
    return front if _under(front, route.path) else route.path


def _front(route: RouteConfig) -> str:
    """What its glob begins with, in whole segments."""
    front = (route.match.glob or "").partition("*")[0]
    return front[: front.rfind("/") + 1]


def covers(earlier: RouteConfig, later: RouteConfig) -> bool:
    """Whether every request for `later` is one for `earlier`."""
    methods, wanted = earlier.match.all_methods, later.match.all_methods
    return (
        earlier.host in _hosts(later.host)
        and _covers_path(earlier, later)
        and (not methods or (bool(wanted) and wanted <= methods))
        and _covers_patterns(earlier.match.headers, later.match.headers, any_case=True)
        and _covers_patterns(earlier.match.query, later.match.query, any_case=False)
    )


def _covers_path(earlier: RouteConfig, later: RouteConfig) -> bool:
    one, other = earlier.match, later.match
    if one.exact is not None:
        return one.exact == other.exact
    if not _under(begin(later), earlier.path):
        return False
    if other.exact is not None:  # a single path: it can be tried
        fits_glob = one.glob is None or Glob(one.glob.encode()).matches(other.exact.encode())
        return fits_glob and (one.regex is None or searcher(one.regex)(other.exact.encode()))
    covers_glob = one.glob is None or (other.glob is not None and Glob(one.glob.encode()).covers(other.glob.encode()))
    return covers_glob and (one.regex is None or one.regex == other.regex)


def _under(path: str, prefix: str) -> bool:
    """Whether all below a path, or the path itself, is below a prefix; "/api" leaves "/apis" alone."""
    return prefix in ("/", path) or path.startswith(prefix if prefix.endswith("/") else prefix + "/")


def _covers_patterns(earlier: Patterns, later: Patterns, *, any_case: bool) -> bool:
    """Whether whatever fits the later ones fits the earlier: each name is asked for, too, and by texts that are as narrow."""
    said = {(name.lower() if any_case else name): texts for name, texts in later}
    return all(_narrower(said.get(name.lower() if any_case else name, ()), texts, any_case) for name, texts in earlier)


def _narrower(these: tuple[str, ...], those: tuple[str, ...], any_case: bool) -> bool:
    wide = [Glob(_bytes(text, any_case)) for text in those]
    return bool(these) and all(any(glob.covers(_bytes(text, any_case)) for glob in wide) for text in these)


def _bytes(text: str, any_case: bool) -> bytes:
    return (text.lower() if any_case else text).encode()
