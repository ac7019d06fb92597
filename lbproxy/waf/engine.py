"""The rule engine: libmodsecurity, by its C functions.

Everything here runs in processes of their own (master/inspection): a call may take seconds, and may end the process.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from glob import glob
from pathlib import Path
from typing import Any

from lbproxy.config.model import WafConfig
from lbproxy.waf.faults import BadRules, RuleFault, RuleIds, bad, from_engine, refused
from lbproxy.waf.messages import WafQuestion, WafVerdict, found
from lbproxy.waf.operators import KNOWN, data_files, open_chain, operators, patterns
from lbproxy.waf.overridden import included
from lbproxy.waf.phases import closes_clean
from lbproxy.waf.rules_text import after, before

_P, _S, _I, _Z = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
_FUNCTIONS: tuple[tuple[str, Any, Sequence[Any]], ...] = (
    ("msc_init", _P, ()), ("msc_create_rules_set", _P, ()), ("msc_rules_add", _I, (_P, _S, ctypes.POINTER(_S))),
    ("msc_rules_add_file", _I, (_P, _S, ctypes.POINTER(_S))), ("msc_new_transaction", _P, (_P, _P, _P)),
    ("msc_transaction_cleanup", None, (_P,)), ("msc_process_connection", _I, (_P, _S, _I, _S, _I)),
    ("msc_process_uri", _I, (_P, _S, _S, _S)), ("msc_process_request_headers", _I, (_P,)), ("msc_process_request_body", _I, (_P,)),
    ("msc_add_n_request_header", _I, (_P, _S, ctypes.c_size_t, _S, ctypes.c_size_t)), ("msc_process_logging", _I, (_P,)),
    ("msc_append_request_body", _I, (_P, _S, ctypes.c_size_t)), ("msc_intervention", _I, (_P, _P)),
    ("msc_add_n_response_header", _I, (_P, _S, ctypes.c_size_t, _S, ctypes.c_size_t)),
    ("msc_process_response_headers", _I, (_P, _I, _S)), ("msc_append_response_body", _I, (_P, _S, ctypes.c_size_t)),
    ("msc_process_response_body", _I, (_P,)),
)  # fmt: skip
_LOG = ctypes.CFUNCTYPE(None, _P, _P)
MOST_LINES = 200
MOST_DEPTH = 5
"""Of files that name others."""


class _Intervention(ctypes.Structure):
    _fields_ = (("status", _I), ("pause", _I), ("url", _S), ("log", _S), ("disruptive", _I))


class WafEngine:
    """The library, and sets of rules by number."""

    def __init__(self, library: str) -> None:
        """Raises BadRules when it cannot be loaded."""
        try:
            self._library = ctypes.CDLL(library)
            for name, returns, takes in _FUNCTIONS:
                function = getattr(self._library, name)
                function.restype, function.argtypes = returns, takes
            self._library.msc_set_log_cb.restype, self._library.msc_set_log_cb.argtypes = None, (_P, _LOG)
        except (OSError, AttributeError) as error:
            raise bad(f"{library}: {error} (apt install libmodsecurity3)") from error
        self._lines: list[str] = []
        self._log = _LOG(self._hear)  # without one it prints what requests hold
        self._engine = self._library.msc_init()
        self._library.msc_set_log_cb(self._engine, self._log)
        self._sets: list[Any] = []
        self._closing: set[int] = set()
        """Sets with rules for the end of requests in which nothing was found."""

    def load(self, settings: WafConfig) -> dict[str, str]:
        """One more set. What its files hold, as digests by their paths. Raises BadRules, with all that is wrong."""
        rules = self._library.msc_create_rules_set()
        self._add(rules, before(settings), "what lbproxy says in front of the rules")
        faults: list[RuleFault] = []
        held: dict[str, str] = {}
        known, said = RuleIds(), ""
        for path in files(settings.rules):
            for inner, text in _texts(path):
                known.note(inner, text)
                faults += [*refused(inner, text, settings), *self._silent(inner, text)]
                named = [Path(inner), *(Path(inner).parent / name for name in data_files(text))]
                held |= {str(each): _digest(each) for each in named}
                if closes_clean(text):
                    self._closing.add(len(self._sets))
            error = _S()
            if self._library.msc_rules_add_file(rules, path.encode(), ctypes.byref(error)) < 0:
                before_it, said = said, (error.value or b"").decode("utf-8", "replace")  # of all files until now
                faults.append(from_engine(path, said.removeprefix(before_it), known))
        if faults:
            raise BadRules(dict.fromkeys(faults))
        self._add(rules, after(settings), "exclude_rules, exclude_tags or exclude_arguments")
        self._sets.append(rules)
        return held

    def _add(self, rules: Any, text: str, what: str) -> None:
        error = _S()
        if text and self._library.msc_rules_add(rules, text.encode("ascii"), ctypes.byref(error)) < 0:
            raise bad(f"{what}: {(error.value or b'refused').decode('utf-8', 'replace').strip()[:300]}")

    def _silent(self, path: str, text: str) -> Iterator[RuleFault]:
        """Conditions that can never be met, and that the engine takes without a word."""
        for line, pattern in patterns(text):
            if why := self._no_pattern(pattern):
                yield RuleFault(path, line, f"{pattern[:80]!r} is no pattern, and would never be met: {why}")
        for line, name in operators(text):
            if name not in KNOWN and not self._knows(name):
                yield RuleFault(path, line, f"@{name} is no operator of this engine, which would take it for a pattern")
        if (line := open_chain(text) or 0) > 0:
            yield RuleFault(path, line, "the rule is chained to the next one, and there is none: it would never do anything")

    def _no_pattern(self, pattern: str) -> str:
        """What the engine's own library of patterns says; "": nothing, or it is another library."""
        try:
            library = self._library
            compiles, frees, says = library.pcre2_compile_8, library.pcre2_code_free_8, library.pcre2_get_error_message_8
        except AttributeError:
            return ""
        compiles.restype, compiles.argtypes = _P, (_S, _Z, ctypes.c_uint32, ctypes.POINTER(_I), ctypes.POINTER(_Z), _P)
        frees.restype, frees.argtypes = None, (_P,)
        text, number, at, why = pattern.encode("utf-8", "surrogateescape"), _I(), _Z(), ctypes.create_string_buffer(256)
        made = compiles(text, len(text), 0, ctypes.byref(number), ctypes.byref(at), None)
        if made is not None:
            frees(made)
            return ""
        says(number, why, _Z(len(why)))
        return f"{why.value.decode('ascii', 'replace')} at {at.value}"

    def _knows(self, name: str) -> bool:
        """An operator. One that it does not know is met by its own text."""
        rules, error = self._library.msc_create_rules_set(), _S()
        text = f'SecRuleEngine DetectionOnly\nSecRule ARGS "@{name} q+" "id:1,phase:1,pass,log"\n'
        if self._library.msc_rules_add(rules, text.encode("ascii"), ctypes.byref(error)) < 0:
            return True  # with another argument, that is
        self._sets.append(rules)
        try:
            asked = WafQuestion(0, len(self._sets) - 1, 1.0, b"192.0.2.1", b"GET", f"/?a=@{name}%20qq".encode("ascii"), b"", b"")
            return not self.look(asked).rules
        finally:
            self._sets.pop()

    def look(self, question: WafQuestion) -> WafVerdict:
        """As long as it takes. Raises ValueError for a set that there is not."""
        if question.rules >= len(self._sets):
            raise ValueError("no such rules")
        library, self._lines = self._library, []
        transaction = library.msc_new_transaction(self._engine, self._sets[question.rules], None)
        try:
            library.msc_process_connection(transaction, question.client, 0, b"", 0)
            library.msc_process_uri(transaction, question.target, question.method, b"1.1")
            for name, value in _fields(question.block):
                library.msc_add_n_request_header(transaction, name, len(name), value, len(value))
            library.msc_process_request_headers(transaction)
            said = self._intervention(transaction)
            if question.status:
                said = self._look_at_answer(transaction, question)
            else:
                if not said.disruptive:
                    if question.body:
                        library.msc_append_request_body(transaction, question.body, len(question.body))
                    library.msc_process_request_body(transaction)
                    said = self._intervention(transaction)
                if self._lines or question.rules in self._closing:
                    library.msc_process_logging(transaction)
        finally:
            library.msc_transaction_cleanup(transaction)
        return found(question.number, bool(said.disruptive), said.status, self._lines)

    def _look_at_answer(self, transaction: Any, question: WafQuestion) -> _Intervention:
        """What was found in the request's head was told before. Its body is not looked at again: that costs most."""
        library, self._lines = self._library, []
        for name, value in _fields(question.answered):
            library.msc_add_n_response_header(transaction, name, len(name), value, len(value))
        library.msc_process_response_headers(transaction, question.status, b"HTTP/1.1")
        said = self._intervention(transaction)
        if not said.disruptive:
            if question.text:
                library.msc_append_response_body(transaction, question.text, len(question.text))
            library.msc_process_response_body(transaction)
            said = self._intervention(transaction)
        return said

    def _intervention(self, transaction: Any) -> _Intervention:
        said = _Intervention(200, 0, None, None, 0)
        if self._library.msc_intervention(transaction, ctypes.byref(said)) and said.log:
            self._lines.append(said.log.decode("utf-8", "replace"))
        return said

    def _hear(self, _data: Any, message: Any) -> None:
        if len(self._lines) < MOST_LINES and message:
            self._lines.append(ctypes.string_at(message).decode("utf-8", "replace"))


def _fields(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in block.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        yield name, value.strip(b" \t")


def files(patterns: Iterable[str]) -> list[str]:
    """Those that they stand for, in order. Raises BadRules where there is none."""
    listed, missing = list[str](), list[RuleFault]()
    for pattern in patterns:
        there = sorted(glob(pattern))
        listed += there
        if not there:
            told = f"{pattern}: there is no such file (apt install modsecurity-crs for the Core Rule Set)"
            missing.append(RuleFault("", 0, told))
    if missing:
        raise BadRules(missing)
    return listed


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except OSError:  # the engine has found it elsewhere, or was content without
        return ""


def _texts(path: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Of a file, and of those that it names, with their paths. Raises BadRules."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise bad(f"{path}: {error.strerror}") from error
    yield path, text
    for pattern in included(text) if depth < MOST_DEPTH else ():
        for inner in sorted(glob(str(Path(path).parent / pattern))):
            yield from _texts(inner, depth + 1)
