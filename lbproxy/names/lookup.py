"""Asking for a name's addresses. It waits, so it is for threads: of the master before a fork, of control while it goes on.

In this order, which is that of most systems ("hosts: files dns"):

1. "localhost" and "*.localhost" are this machine, and "*.invalid" is nobody (RFC 6761 6.3, 6.4).
2. The hosts file: what stands there needs no server, and no server is asked about it. Containers get names this way.
3. The name servers: those of `proxy.resolvers`, else those of resolv.conf; search list and ndots as resolv.conf says (see
   resolv_conf.py). A and, where this machine speaks IPv6, AAAA; the time to live is the least of all records on the way. A family
   that cannot be learned while the other one can (there are servers that are mute about AAAA) is told as such and is no failure.
4. When servers of resolv.conf do not know the name: the system's own way (mDNS, a directory), which tells no time to live.

Both files are read at each question: they change while we run. dnspython does the talking; it is loaded by `preload`, where there
are names at all, or by the first question.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.config.model import Address
from lbproxy.config.units import DNS_PORT
from lbproxy.errors import NameUnknown, Unresolved
from lbproxy.names.answer import NEVER, NameAnswer, sift
from lbproxy.names.hosts import addresses_in, has_ipv6
from lbproxy.names.resolv_conf import ResolvConf, parse

if TYPE_CHECKING:
    from dns.resolver import Answer as Records
    from dns.resolver import Resolver

HOSTS = Path("/etc/hosts")
RESOLV_CONF = Path("/etc/resolv.conf")
INTERFACES = Path("/proc/net/if_inet6")
LIFETIME = 5.0
"""Seconds for one question, all servers and repetitions included."""
AT_ONCE = 16
RECORDS = ("IN.A", "IN.AAAA", "ANY.CNAME", "ANY.DNAME", "ANY.NS", "ANY.OPT", "ANY.RRSIG", "ANY.SOA", "ANY.TXT")
"""What stands in answers and beside them."""


def preload() -> None:
    """Load what questions and answers need, while the process may still read its files: the account that children drop to may not
    be able to. dnspython loads the types of records when it meets them."""
    for module in ("dns.resolver", "dns.nameserver", *(f"dns.rdtypes.{kind}" for kind in RECORDS)):
        import_module(module)


def lookup(host: str, resolvers: Sequence[Address] = ()) -> NameAnswer:
    """`resolvers`: name servers instead of those of resolv.conf. Raises Unresolved."""
    interfaces = _read(INTERFACES)
    if known := _without_asking(host, interfaces):
        return sift(known, NEVER)
    try:
        return _ask(host, resolvers, ipv6=has_ipv6(interfaces))
    except (NameUnknown, _NoServer):
        if resolvers:
            raise
        found = _by_the_system(host, ipv6=has_ipv6(interfaces))
        if not found:
            raise
        return sift(found, NEVER)


def lookup_all(hosts: Iterable[str], resolvers: Sequence[Address] = ()) -> dict[str, NameAnswer | Unresolved]:
    """Several, side by side."""
    wanted = list(dict.fromkeys(hosts))
    if not wanted:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(wanted, threads.map(lambda host: attempt(host, resolvers), wanted), strict=True))


def attempt(host: str, resolvers: Sequence[Address] = ()) -> NameAnswer | Unresolved:
    """The same without raising, for pools of threads that have something to say about exceptions."""
    try:
        return lookup(host, resolvers)
    except Unresolved as error:
        return error


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("latin-1")  # any bytes: what counts is ASCII
    except OSError:
        return ""


def _without_asking(host: str, interfaces: str) -> list[str]:
    last = host.removesuffix(".").rpartition(".")[2]
    if last == "invalid":
        raise NameUnknown("no such name: .invalid is nobody")
    listed = addresses_in(_read(HOSTS), host) or (["127.0.0.1", "::1"] if last == "localhost" else [])
    speaks = {"::1": has_ipv6(interfaces, loopback=True)}
    far = has_ipv6(interfaces)
    return [address for address in listed if ":" not in address or speaks.get(address, far)]


def _by_the_system(host: str, *, ipv6: bool) -> list[str]:
    """No AI_ADDRCONFIG: a machine that has nothing but its loopback would find nobody, itself included."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    return [address for address in addresses if ipv6 or ":" not in address]


# ---------------------------------------------------------------- name servers


class _Next(Unresolved):
    """Every server has answered that it cannot say: the next name of the search list may be another's."""


class _NoServer(Unresolved):
    """There is nobody to be asked."""


class _Asking(NamedTuple):
    """One question, and what it goes by."""

    resolver: Resolver
    servers: Sequence[Address]
    conf: ResolvConf
    until: float
    """Monotonic seconds."""

    def records(self, name: str, kind: str) -> Records:
        """Raises what dnspython raises."""
        left = max(self.until - time.monotonic(), 0.05)
        return self.resolver.resolve(f"{name}.", kind, tcp=self.conf.tcp, raise_on_no_answer=False, lifetime=left, search=False)


def _ask(host: str, resolvers: Sequence[Address], *, ipv6: bool) -> NameAnswer:
    """By the search list, as getaddrinfo does: what is not known, has no address, or makes its servers fail is passed over, and
    silence is the end."""
    conf = parse(_read(RESOLV_CONF), socket.gethostname())
    servers = resolvers or [Address(server, DNS_PORT) for server in conf.servers]
    if not servers:
        raise _NoServer(f"no name server: {RESOLV_CONF} names none")
    asking = _Asking(_resolver(conf, servers), servers, conf, time.monotonic() + LIFETIME)
    why: Unresolved | None = None
    for name in conf.candidates(host):
        try:
            return _ask_for(name, asking, ipv6=ipv6 and conf.ipv6)
        except _Next as error:
            why = error  # weighs more than that others do not know it: next time they may be able to say
        except NameUnknown as error:
            why = why or error
    if isinstance(why, _Next):
        raise Unresolved(str(why)) from why
    raise why or NameUnknown("no such name")


def _ask_for(name: str, asking: _Asking, *, ipv6: bool) -> NameAnswer:
    from dns.exception import DNSException, Timeout
    from dns.resolver import NXDOMAIN, NoNameservers

    try:
        records = asking.records(name, "A")
    except NXDOMAIN as error:
        raise NameUnknown("no such name (NXDOMAIN)") from error
    except Timeout as error:
        servers = ", ".join(one.host if one.port == DNS_PORT else str(one) for one in asking.servers)
        raise Unresolved(f"no answer within {LIFETIME:g} s from {servers[:200]}") from error
    except NoNameservers as error:
        raise _Next(_in_short(error)) from error
    except (DNSException, OSError, ValueError) as error:  # ValueError: a label too long
        raise NameUnknown(f"{type(error).__name__}: {error}"[:200]) from error
    found, ttls = _taken(records)
    unasked = 0
    if ipv6:
        try:
            more, more_ttls = _taken(asking.records(name, "AAAA"))
            found, ttls = found + more, (ttls + more_ttls if more else ttls)
        except (DNSException, OSError) as error:
            if not found:
                failed = f"no IPv4 address, and asked for IPv6: {_in_short(error)}"
                raise (_Next if isinstance(error, NoNameservers) else Unresolved)(failed) from error
            unasked = 6
    if not found:
        raise NameUnknown("the name has no address")
    return sift(found, min(ttls), unasked)


def _resolver(conf: ResolvConf, servers: Sequence[Address]) -> Resolver:
    from dns.nameserver import Do53Nameserver
    from dns.resolver import Resolver

    resolver = Resolver(configure=False)
    resolver.nameservers = [Do53Nameserver(address.host, address.port) for address in servers]
    resolver.rotate = conf.rotate
    if conf.timeout:
        resolver.timeout = min(float(conf.timeout), resolver.timeout)  # longer, and the second server would not be heard in time
    if conf.edns0:
        resolver.use_edns(0)
    return resolver


def _taken(records: Records) -> tuple[list[str], list[float]]:
    """Addresses, and the least time to live of what led to them."""
    found = [str(record.address) for record in records.rrset or ()]
    return found, [float(records.chaining_result.minimum_ttl)] if found else []


def _in_short(error: Exception) -> str:
    """dnspython tells of every try; the last one is enough."""
    return str(error).rpartition(": ")[2].strip()[:200] if ": " in str(error) else str(error)[:200]
