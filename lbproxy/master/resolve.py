"""The first addresses of the configuration's names. From then on `control` asks (control/names.py), and names.py here acts on it.

A name that nobody knows keeps lbproxy from starting, and a reload from being carried out: that is how spelling mistakes are found.
A name that is in use already keeps its addresses over a reload, whatever its name servers say, or whether they say anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from lbproxy.balance.places import is_name, names_in
from lbproxy.config.model import Address, Config
from lbproxy.errors import Complaint, StartError, Unresolved
from lbproxy.names.answer import Answer
from lbproxy.names.lookup import lookup_all, preload

Answers = Mapping[str, Answer | Unresolved]
Lookup = Callable[[Iterable[str], Sequence[Address]], Answers]
"""Names and the servers to ask instead of the system's, to what came of it."""


def resolve(config: Config, known: Mapping[str, Sequence[str]], lookup: Lookup = lookup_all) -> dict[str, tuple[str, ...]]:
    """The addresses of every name of the configuration; `known`: of those in use already.

    Raises StartError with a line for each backend whose name cannot be resolved.
    """
    names = names_in(config)
    if names:
        preload()  # children inherit it, and could not load it themselves
    answers = lookup([name for name in names if name not in known], config.proxy.resolvers)
    if faults := complaints(config, answers):
        raise StartError("\n".join(map(str, faults)))
    fresh = {name: answer.addresses for name, answer in answers.items() if isinstance(answer, Answer)}
    return {name: fresh.get(name) or tuple(known[name]) for name in names}


def complaints(config: Config, answers: Answers) -> list[Complaint]:
    """One for each backend whose name has no address."""
    hint = "check the spelling and the name server, or write the address as a number"
    found = []
    for pool in config.pools:
        for backend in pool.backends:
            host = backend.address.host
            answer = answers.get(host)
            if is_name(host) and isinstance(answer, Unresolved):
                message = f'cannot resolve "{host}": {answer}'
                found.append(Complaint(config.source, backend.line or pool.line, f"pool.{pool.name}.backends", message, hint))
    return found
