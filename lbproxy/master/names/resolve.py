"""The first addresses of the configuration's names. From then on `control` asks (control/name_watch.py), and updates.py
acts on what it learns.

A name that nobody knows keeps lbproxy from starting, and a reload from being carried out: that is how spelling mistakes are found.
Where `on_unknown_name = "start"` it is a backend that is down until somebody knows it. A name that is in use already keeps its
addresses over a reload, whatever its name servers say, or whether they say anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lbproxy.balance.endpoints import NOWHERE, is_name, names_in
from lbproxy.config.model import Address, Config
from lbproxy.errors import Complaint, NameUnknown, NotYet, StartError, Unresolved, by_place
from lbproxy.names.answer import NameAnswer
from lbproxy.names.lookup import lookup_all, preload

Answers = Mapping[str, NameAnswer | Unresolved]
Lookup = Callable[[Iterable[str], Sequence[Address]], Answers]
"""Names and the servers to ask instead of the system's, to what came of it."""

UNRESOLVED = (NOWHERE,)
HINT = "check the spelling and the name server, or write the address as a number"
LATER = "its backend is down until then"


class Resolution(NamedTuple):
    """What every name stands for, and what is odd about it."""

    addresses: dict[str, tuple[str, ...]]
    """NOWHERE alone for a name that is not known yet."""
    notes: list[Complaint]


def resolve(config: Config, known: Mapping[str, Sequence[str]], lookup: Lookup = lookup_all) -> Resolution:
    """The addresses of every name of the configuration; `known`: of those in use already.

    Raises StartError with a line for each backend whose name cannot be resolved; NotYet when all of them may be in a moment.
    """
    names = names_in(config)
    if names:
        preload()  # children inherit it, and could not load it themselves
    asked = unknown(config, known)
    in_use = {name: tuple(known[name]) for name in names if name not in asked}
    answers = lookup(asked, config.proxy.resolvers)
    faults, notes = judge(config, answers)
    if faults:
        lasting = any(isinstance(answer, NameUnknown) for answer in answers.values())
        raise (StartError if lasting else NotYet)("\n".join(map(str, faults)))
    fresh = {name: answer.addresses for name, answer in answers.items() if isinstance(answer, NameAnswer)}
    return Resolution({name: in_use.get(name) or fresh.get(name) or UNRESOLVED for name in names}, notes)


def unknown(config: Config, known: Mapping[str, Sequence[str]]) -> list[str]:
    """The names of the configuration that have to be looked up."""
    return [name for name in names_in(config) if tuple(known.get(name, UNRESOLVED)) == UNRESOLVED]


def among(answers: Answers) -> Lookup:
    """A look-up that has happened; what was not asked then is asked now."""

    def lookup(names: Iterable[str], resolvers: Sequence[Address]) -> Answers:
        wanted = list(names)
        missing = [name for name in wanted if name not in answers]
        return {name: answers[name] for name in wanted if name in answers} | dict(lookup_all(missing, resolvers))

    return lookup


def judge(config: Config, answers: Answers) -> tuple[list[Complaint], list[Complaint]]:
    """(what keeps lbproxy from starting, what does not), one for each backend whose name has no address, or an odd answer."""
    unresolved = [_complaint(config, *use, HINT) for use in _uses(config, answers) if isinstance(use[-1], Unresolved)]
    odd = [_complaint(config, *use, "") for use in _uses(config, answers) if isinstance(use[-1], NameAnswer) and use[-1].note]
    if config.proxy.on_unknown_name == "refuse":
        return unresolved, odd
    later = [complaint._replace(hint=LATER) for complaint in unresolved]
    return [], by_place([*later, *odd])


_Use = tuple[int, str, str, NameAnswer | Unresolved]
"""(line, pool, name, what came of it)"""


def _uses(config: Config, answers: Answers) -> Iterator[_Use]:
    for pool in config.pools:
        for backend in pool.backends:
            host = backend.address.host
            if is_name(host) and host in answers:
                yield backend.line or pool.line, pool.name, host, answers[host]


def _complaint(config: Config, line: int, pool: str, name: str, answer: NameAnswer | Unresolved, hint: str) -> Complaint:
    message = f'"{name}": {answer.note}' if isinstance(answer, NameAnswer) else f'cannot resolve "{name}": {answer}'
    return Complaint(config.source, line, f"pool.{pool}.backends", message, hint)
