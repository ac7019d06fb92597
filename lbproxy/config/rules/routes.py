"""[[route]]: what holds between its keys."""

from __future__ import annotations

from lbproxy.coders import BROTLI, maker
from lbproxy.config.model import CompressConfig, MatchConfig, RespondConfig, RouteConfig
from lbproxy.config.model.routing import DESTINATIONS
from lbproxy.config.read import Context
from lbproxy.config.route_values import BODILESS
from lbproxy.config.tables import Table
from lbproxy.config.units import did_you_mean


def route(table: Table, route: RouteConfig, context: Context) -> RouteConfig:
    """[[route]]"""
    _one_destination(table, route, list(context.pools))
    if route.merge_slashes and route.raw_path:
        table.complain("raw_path", "a path that is forwarded as it came cannot have its slashes merged", "take one of them out")
    _paths(table, route)
    _prefixes(table, route)
    for name, asked in (("authorize", route.authorize), ("mirror", route.mirror), ("icap", route.icap)):
        if asked is not None and not asked.pool:
            table.complain(name, '"pool" is missing', f'add pool = "{next(iter(context.pools), "auth")}"')
    if route.basic_auth is not None and route.basic_auth.file is None:
        table.complain("basic_auth", '"file" is missing', 'add file = "users"; htpasswd -B -c users NAME makes one')
    if route.jwt is not None and route.jwt.jwks_file is None and not route.jwt.jwks_url:
        hint = 'add jwks_url = "https://idp.example.com/jwks", or jwks_file = "jwks.json"'
        table.complain("jwt", '"jwks_url" is missing, or "jwks_file"', hint)
    if route.jwt is not None and route.jwt.jwks_url:
        for name in (name for name in route.jwt.algorithms if name.startswith("HS")):
            table.complain("jwt", f"{name} wants a secret, and what can be fetched is none", f"take {name} out, or add jwks_file")
    if route.compress is not None and BROTLI in route.compress.codings and route.cache is None:
        hint = "add [route.cache], or take br out: gzip and zstd are quick enough for answers on their way"
        table.complain("compress", "br is made for answers that are stored, and this route stores none", hint)
    if route.icap is not None and not (route.icap.reqmod or route.icap.respmod):
        table.complain("icap", "neither reqmod nor respmod is there", 'add respmod = "/avscan", the path of a service')
    if route.jwt is not None and "algorithms" not in table.inside("jwt"):
        table.complain("jwt", '"algorithms" is missing: a token may not choose', 'add algorithms = ["RS256"], or what signs yours')
    return route


def match(table: Table, match: MatchConfig, context: Context) -> MatchConfig:
    """[route.match]"""
    if match.exact is not None:
        for key in ("glob", "regex"):
            if key in table:
                table.complain(key, "exact says the whole path already", "take one of them out")
    return match


def respond(table: Table, respond: RespondConfig, context: Context) -> RespondConfig:
    """[route.respond]"""
    if respond.status in BODILESS and respond.body:
        table.complain("body", f"an answer of {respond.status} has no body (RFC 9110 15)", "take it out, or answer 200")
    if "type" in table and not respond.body:
        table.complain("type", "there is no body that it could be of", 'add body = "..."')
    return respond


def compress(table: Table, compress: CompressConfig, context: Context) -> CompressConfig:
    """[route.compress]"""
    for coding in compress.codings:
        if compress.codings.count(coding) > 1:
            table.complain("codings", f"{coding} is there twice", "take one of them out")
            break
        maker(coding)  # loads its library: workers could not
    return compress


def _one_destination(table: Table, route: RouteConfig, pools: list[str]) -> None:
    """Exactly one; and pools that there are."""
    found = [key for key in DESTINATIONS if key in table and table.value(key) is not False]
    if not found:
        hint = f'add pool = "{pools[0]}"' if pools else 'add pool = "..." and a [pool.NAME] for it'
        table.complain("", '"pool" is missing', f"{hint}; or split, redirect, respond or close")
    for key in found[1:]:
        table.complain(key, f"a route leads to one place, and {found[0]} says which", "take one of them out")
    for key, named in (("pool", (route.pool,)), ("split", tuple(name for name, _ in route.split))):
        for name in named:
            if name and name not in pools:
                known = ", ".join(pools)
                hint = did_you_mean(name, pools) or (f"there are: {known}" if pools else f"add [pool.{name}]")
                table.complain(key, f'there is no pool "{name}"', hint)
    if "sticky" in table and "split" not in table:
        hint = "a client is kept with its backend by [pool.NAME.sticky]"
        table.complain("sticky", "means nothing without split", hint)
    elif "sticky" in table and ("cookie" in table.inside("sticky")) == ("header" in table.inside("sticky")):
        table.complain("sticky", "wanted either cookie or header", 'write sticky = { cookie = "shop" } or { header = "X-User" }')
    if "status" in table and "redirect" not in table:
        hint = "an answer's own status stands in respond = { status = ... }"
        table.complain("status", "means nothing without redirect", hint)


def _paths(table: Table, route: RouteConfig) -> None:
    """Path, and what match says of paths: nobody asks for what fits one of them and not the other."""
    if route.match.exact is not None and route.path != "/":
        table.complain("path", "match.exact says the whole path already", "take one of them out")
    glob = route.match.glob
    front = "" if glob is None else glob.partition("*")[0]
    if not _may_begin(front, route.path):
        message = f"no path is below {route.path} and fits {glob}"
        table.complain("path", message, f'a text with stars is of the whole path: write glob = "{route.path.rstrip("/")}/*"')
    if route.merge_slashes and "//" in (route.match.exact or glob or ""):
        table.complain("merge_slashes", "a path with merged slashes never has two in a row, as match asks for", "take one out")


def _may_begin(front: str, path: str) -> bool:
    """Whether a path that begins with `front` may be below `path`, in whole segments."""
    if front.startswith(path):
        return path.endswith("/") or len(front) == len(path) or front[len(path)] == "/"
    return path.startswith(front)


def _prefixes(table: Table, route: RouteConfig) -> None:
    """strip_prefix and its kin."""
    said = [key for key in ("strip_prefix", "add_prefix", "replace_prefix") if key in table]
    if not said:
        return
    if "replace_prefix" in said and len(said) > 1:
        table.complain("replace_prefix", f"says what {said[0]} says as well", "take one of them out")
    if "respond" in table or route.close:
        table.complain(said[0], "no path is forwarded from here", "take it out")
    if route.raw_path:
        table.complain(said[0], "a path that is forwarded as it came keeps its prefix", "take one of them out")
    front = route.paths.front
    begin = route.match.exact or (route.path if route.path != "/" else (route.match.glob or "/").partition("*")[0])
    if front and begin != front and not begin.startswith(front + "/"):
        message = f"this route is also for paths that do not begin with {front}"
        table.complain(said[0], message, f'add path = "{front}"')
