"""The ledger: one shared memory that every process of this lbproxy sees, so that balancing is exact over all workers.

What it must cope with: workers of several generations pick backends at the same time, die at any moment (also by SIGKILL), and
a reload changes the list of backends while counts go on. The plan:

- A *row* for each child, in which each backend (or listener) has a *slot*, of 64-bit cells. Each cell has one writer (the child
  that owns the row), so counting needs no lock; readers add the rows up. The master zeroes the gauges of a dead child's row and
  folds its counters into the *retired* row, so totals never go backwards.
- The *state* of a slot, which belongs to no child (health, tie-break), has one writer each: `control` for health, the master for an
  operator's orders, the holder of the pick lock for the tie-break.
- Nothing that stands here is believed beyond what it can be: a worker that was taken over writes what it likes into its own row and
  what all workers share. Whoever reads leaves out what cannot be (MOST_AT_ONCE, MOST_COUNTED, rows_of). What a child only reads is
  mapped read-only for it (`writable`, master/system/ledger_map.py), and PickLock is given up while it does not come.
- Choosing *and* counting a backend must be one step, or two workers that look at the same moment choose the same backend and
  "least" is off by one. `PickLock` makes it one step; it costs 0.25 us against 2.4 us for fcntl locks (measured 2026-11-23).
  It survives a holder that is killed: see `PickLock.forgive`.

The buffer comes in as an argument (an anonymous shared mmap in production, a bytearray in tests): this file touches no system call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from operator import add
from typing import Protocol

from lbproxy.balance import path_tally, tally

ROWS = 192
"""Living children at any time: three generations of 62 workers, or one of 190. The last is the retired row."""
SLOTS = 1024
"""Backends and listeners that are counted at any time."""

PAGE_CELLS = 512
"""Header, states of slots, and rows begin on pages of their own (of 4 KiB): memory is protected by pages."""
HEADER_CELLS = PAGE_CELLS
SECRET_CELLS = 4
SCALAR_CELLS = 2 * PAGE_CELLS
MAGIC = 0x6C6270726F78790A  # "lbproxy" and the layout's version


MOST_AT_ONCE = 2**24
"""What no child has under way at any backend. Small enough for sums over all rows and slots times any weights in 64 bits."""
MOST_COUNTED = 2**56
"""What no child has counted."""
MOST_WEIGHT = 2**16
LAST = 2**63 - 1


class Header(IntEnum):
    MAGIC = 0
    CHILDREN_HIGH = 1  # rows at and above this never belonged to a worker; written by the master
    GENERATION = 2
    CACHE = 16  # to 23: how full the cache is (observe.cache_names.CACHE_GAUGES); written by the master
    INSPECTORS = 24  # to 26: those of the rule engine (observe.waf_totals.INSPECTOR_CELLS); written by the master
    SECRET = 8  # to 11: what words of sticky cookies are made with; drawn by the master when it makes the ledger


class SlotState(IntEnum):
    """What stands once for each slot, whichever child reads it. Most of it is a backend's."""

    HEALTH = 0  # a Health value; writer: control
    HEALTH_SINCE_MS = 1  # wall clock, milliseconds; writer: control
    ADMIN = 2  # what an operator ordered, see admin_cell; 0: nothing; writer: master
    TIE = 3  # smooth weighted round robin's current weight; writer: the holder of the pick lock
    CHECKS = 4  # probes run; writer: control
    CHECK_FAILURES = 5
    TICKET = 6  # of a pool's first backend: the last number drawn in its queue; writer: the holder of the pick lock
    REACHABLE = 7  # 1: the checks that it fails are answers; 0: it cannot be reached, or nobody knows; writer: control
    SHARE = 8  # percent of its weight while it is WARMING; writer: control
    EJECTED_UNTIL_MS = 9  # monotonic clock, milliseconds; writer: control
    EJECTIONS = 10  # in a row; writer: control
    ROTOR = 11  # of a pool's first backend: whose turn it is among equals; writer: the holder of the pick lock
    WHY = 12  # what its last check found (health/outcome.py), 0: nothing is wrong; writer: control
    NEXT_CHECK_MS = 13  # wall clock, milliseconds; 0: nobody knows; writer: control
    SPOKEN = 14  # a Spoken value, by its checks; writer: control
    POLICY = 15  # what the pool's policy keeps of it, see policy.Ground; writer: any worker


class HealthState(IntEnum):
    UNKNOWN = 0  # not checked yet: used beside those that are up, and where nobody is
    UP = 1
    DOWN = 2
    EJECTED = 3  # up, but requests fail there
    TRIAL = 4  # may be back: one request at a time
    WARMING = 5  # up again: gets a share of its weight that grows


_STATES = frozenset(map(int, HealthState))


class Spoken(IntEnum):
    """What is known of a backend's version of HTTP. Only 1.1 has chunks."""

    UNHEARD = 0
    OLD = 1  # 1.0
    CURRENT = 2  # 1.1


_SPOKEN = frozenset(map(int, Spoken))


def admin_cell(drained: bool, weight: int | None) -> int:
    """An operator's orders for a backend as one cell: bit 0 drained, above it 1 + the weight that replaces the configured one.

    As long as nothing was ordered it is 0, so that a pick sees with the same look that all backends are as configured.
    """
    return drained | (0 if weight is None else weight + 1) << 1


def is_drained(cell: int) -> bool:
    """Whether an operator took the backend out."""
    return bool(cell & 1)


def ordered_weight(cell: int) -> int | None:
    """The weight an operator ordered; None: the configured one counts."""
    return (cell >> 1) - 1 if 0 < cell >> 1 <= MOST_WEIGHT else None


class Scalar(IntEnum):
    """Per child. Gauges, nearly all of them first, are zeroed when the child dies; counters are folded into the retired row."""

    CONNECTIONS = 0
    LIVE_REQUESTS = 1
    WANTS_LOCK = 2
    ACCEPTING = 3  # 1 while the worker takes new connections
    INSPECTED_NOW = 4  # requests that the rule engine's inspectors have
    ACCEPTED = 5
    HANDSHAKES = 6
    HANDSHAKE_FAILURES = 7
    REQUESTS = 8
    STATUS_1XX = 9
    STATUS_2XX = 10
    STATUS_3XX = 11
    STATUS_4XX = 12
    STATUS_5XX = 13
    BYTES_IN = 14
    BYTES_OUT = 15
    RETRIES = 16
    ACCESS_DROPPED = 17  # access lines dropped because the log could not keep up
    CLIENT_ABORTS = 18
    UNREAD_CLIENTS = 19  # requests for which a trusted proxy wrote no address where the client's should stand
    BUFFER_FAILURES = 20  # bodies that were passed on as they came because the scratch file could not take them
    STATUS_OTHER = 21  # of 600 and above
    REFUSED_ADDRESS = 22  # requests that a route refused, by why
    REFUSED_RULE = 23
    REFUSED_METHOD = 24
    REFUSED_RATE = 25
    REFUSED_CONCURRENCY = 26
    DENIED_ADDRESS = 27  # connections that a listener refused, by why
    DENIED_RATE = 28
    DENIED_CONCURRENCY = 29
    RESUMED = 30  # handshakes that resumed a session
    LATENCY = 32  # 24 buckets: requests that took less than 2**i * 100 us; the last is unbounded
    HANDSHAKE_TIMEOUT = 56  # handshakes that failed, by why
    HANDSHAKE_NOT_TLS = 57
    HANDSHAKE_CERTIFICATE = 58
    HANDSHAKE_PROTOCOL = 59
    HANDSHAKE_REFUSED = 60  # by the client
    HANDSHAKE_LOST = 61
    SILENT = 62  # connections to a TLS listener that ended before a byte came
    H2_CONNECTIONS = 63  # that began to speak HTTP/2
    H2_REQUESTS = 64
    GRPC = 97  # 18 cells: calls that ended with that grpc-status, and those that ended without one
    PROXY_STRANGERS = 115  # connections that a listener with proxy_protocol refused: from others than those that are listed
    PROXY_HEADERS = 116  # no PROXY header, or none that could be read
    PROXY_TIMEOUTS = 117  # no whole one in time
    BACKEND_HANDSHAKES = 118  # with backends
    BACKEND_RESUMED = 119
    BACKEND_HANDSHAKE_FAILURES = 120
    PASSED = 121  # connections that were passed through to a backend; the next: that found none
    PASSED_FAILED = 122
    CACHE = 123  # 14 cells: what the cache's storage does (cache.layout.Counter)
    CACHE_STEP = 137  # 24 cells: what routes with a cache make of requests (observe.cache_names)
    CACHE_UNSTORED = 161  # 19 cells: why they did not store answers
    COMPRESSED = 180  # answers that were compressed; the next: those that were not because too many were, or the CPU had no time
    COMPRESS_BUSY = 181
    COMPRESS_IN = 182  # bytes before and after
    COMPRESS_OUT = 183
    UNANSWERED = 184  # requests of which no inspector said in time what they are
    HANDSHAKE_NO_CERTIFICATE = 185  # see HANDSHAKE_CERTIFICATE: the client showed none
    H2_OPEN = 186  # gauge: those of CONNECTIONS that speak HTTP/2
    H2_LIVE = 187  # gauge: requests on them that are being served
    INSPECTED = 192  # 64 cells: what steps made of requests (observe.metrics.INSPECTIONS)
    LAST_COUNTER = 255
    RULE_HITS = 256  # 193 cells: a tally of the rule engine's rules
    H2_ENDED = 449  # 24 kinds of floods and faults that ended a connection or a stream (observe.metrics.H2_ENDS): counters, too
    H2_BACKENDS_ENDED = 473  # the same of connections to backends (observe.metrics.H2_BACKEND_ENDS)
    COUNTS_CLIENTS = 511  # 1: something was written into this child's part of the client counts
    MIRRORED = 512  # 435 cells: a tally of paths for which mirrors answered otherwise


H2_ENDS = 24
ADDED_UP = (*range(Scalar.LAST_COUNTER + 1), *range(Scalar.H2_ENDED, Scalar.H2_BACKENDS_ENDED + H2_ENDS))
GAUGES = (*range(Scalar.ACCEPTED), Scalar.H2_OPEN, Scalar.H2_LIVE)
LATENCY_BUCKETS = 24
GRPC_CODES = 18


class PerSlot(IntEnum):
    """What each child counts for each slot, a backend's or a listener's: an array of SLOTS cells inside the child's row."""

    IN_FLIGHT = 0  # gauge: from pick to the last byte of the response
    QUEUED = 1  # gauge, of a pool's first backend: requests that wait in the pool's queue
    REQUESTS = 2  # counter: tries
    FAILURES = 3  # counter: tries that ended without a whole answer
    CONNECTS = 4  # counter: fresh connections
    LINE_HEAD = 5  # gauge, of a pool's first backend: the ticket of this child's request that waits longest, 0 for none
    GATEWAY_ERRORS = 6  # counter: answers 502, 503, 504
    SERVER_ERRORS = 7  # counter: other answers of 500 and above
    GIVEN_UP = 8  # counter: tries whose client left, or whose worker had to end, before an answer was passed on
    OPEN = 9  # gauge, of a listener's slot: connections that came through it; there QUEUED is 1 while the child waits for a place
    RETRYING = 10  # gauge, of a pool's first backend: requests on a further try
    REFUSED_ANSWERS = 11  # counter: answers that were refused for their form
    H2_OPEN = 12  # gauge: connections to it that speak HTTP/2
    H2_STREAMS = 13  # gauge: streams on them
    H2_CONNECTS = 14  # counter: those of CONNECTS that speak HTTP/2
    H2_REQUESTS = 15  # counter: requests that were sent on them


GAUGES_PER_SLOT = (
    PerSlot.IN_FLIGHT, PerSlot.QUEUED, PerSlot.LINE_HEAD, PerSlot.OPEN, PerSlot.RETRYING, PerSlot.H2_OPEN, PerSlot.H2_STREAMS
)  # fmt: skip

ROW_CELLS = SCALAR_CELLS + len(PerSlot) * SLOTS
STATES_AT = HEADER_CELLS
ROWS_AT = STATES_AT + len(SlotState) * SLOTS
TOTAL_CELLS = ROWS_AT + ROWS * ROW_CELLS
SIZE = TOTAL_CELLS * 8
"""Bytes of the ledger proper."""
RATE_CELLS = 16 * 2**16
"""For the rates of clients (filter/rates.py), half a million of them: one table that all children write, under the pick lock."""
COUNT_ROW_CELLS = 16 * 2**12
"""For what clients have under way (filter/counts.py): a row per child, which goes when the child goes."""
WHOLE_SIZE = SIZE + (RATE_CELLS + ROWS * COUNT_ROW_CELLS) * 8
"""Bytes with what clients are counted in; untouched pages of it cost nothing."""
RETIRED = ROWS - 1


def scalar_at(child: int, scalar: int) -> int:
    """The cell of one of a child's scalars."""
    return ROWS_AT + child * ROW_CELLS + scalar


def cell_at(child: int, what: int, slot: int) -> int:
    """The cell of a child's count for one slot (PerSlot)."""
    return ROWS_AT + child * ROW_CELLS + SCALAR_CELLS + what * SLOTS + slot


def state_at(state: int, slot: int) -> int:
    """The cell of what a slot has once (SlotState)."""
    return STATES_AT + state * SLOTS + slot


def rows_of(cells: Sequence[int]) -> int:
    """How many workers' rows are to be added up (living or empty). Control, whose row is far above, counts nothing there."""
    return min(max(cells[Header.CHILDREN_HIGH], 0), RETIRED)


def at_once(count: int) -> int:
    """A gauge, or 0 for what is none."""
    return count if 0 < count < MOST_AT_ONCE else 0


def counted(count: int) -> int:
    """A count, or 0 for what is none."""
    return count if 0 < count < MOST_COUNTED else 0


def sums_of(rows: Iterable[list[int]], slots: int) -> list[int]:
    """Children's counts of slots 0 to `slots` - 1, added up."""
    sums = [0] * slots
    for row in rows:
        sound = not slots or (min(row) >= 0 and max(row) < MOST_COUNTED)
        sums = list(map(add, sums, row if sound else map(counted, row)))
    return sums


WORKERS_STATES = (SlotState.TIE, SlotState.TICKET, SlotState.ROTOR, SlotState.POLICY)
"""Written by the holder of the pick lock; the last one also without it."""
CONTROLS_STATES = (
    SlotState.HEALTH, SlotState.HEALTH_SINCE_MS, SlotState.CHECKS, SlotState.CHECK_FAILURES, SlotState.REACHABLE, SlotState.SHARE,
    SlotState.EJECTED_UNTIL_MS, SlotState.EJECTIONS, SlotState.WHY, SlotState.NEXT_CHECK_MS, SlotState.SPOKEN,
)  # fmt: skip


def writable(child: int, *, worker: bool) -> list[range]:
    """The cells of the whole memory that a child writes, in order; all others are for it to read."""
    states = [state_at(state, 0) for state in (WORKERS_STATES if worker else CONTROLS_STATES)]
    found = [range(at, at + SLOTS) for at in states]
    if worker:
        row, counts = scalar_at(child, 0), TOTAL_CELLS + RATE_CELLS + child * COUNT_ROW_CELLS
        found += [range(row, row + ROW_CELLS), range(TOTAL_CELLS, TOTAL_CELLS + RATE_CELLS)]
        found.append(range(counts, counts + COUNT_ROW_CELLS))
    return found


class Ledger:
    """Names for the cells of the shared buffer. `cells` is public: the hot path indexes it with offsets computed once."""

    def __init__(self, buffer: object) -> None:
        """`buffer`: SIZE bytes at least, zeroed when new, else it keeps its contents; WHOLE_SIZE where clients are counted."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # any object with the buffer protocol
        self.cells: memoryview[int] = view[:SIZE].cast("q")
        self.rates: memoryview[int] = view[SIZE : SIZE + RATE_CELLS * 8].cast("q")
        self.counts: memoryview[int] = view[SIZE + RATE_CELLS * 8 : WHOLE_SIZE].cast("q")
        """Rows of COUNT_ROW_CELLS, by child."""
        if self.cells[Header.MAGIC] == 0:
            self.cells[Header.MAGIC] = MAGIC
        elif self.cells[Header.MAGIC] != MAGIC:
            raise ValueError(f"not a ledger of this version: magic {self.cells[Header.MAGIC]:#x}, wanted {MAGIC:#x}")

    # ---- written by the master

    def set_secret(self, secret: bytes) -> None:
        """32 random bytes, before the first child."""
        self.cells[Header.SECRET : Header.SECRET + SECRET_CELLS] = memoryview(secret).cast("q")

    def open_row(self, child: int) -> None:
        """A worker is about to start in this row."""
        if not 0 <= child < RETIRED:
            raise ValueError(f"row {child} is outside 0..{RETIRED - 1}")
        if self.cells[Header.CHILDREN_HIGH] <= child:
            self.cells[Header.CHILDREN_HIGH] = child + 1

    def retire_row(self, child: int) -> bool:
        """The child in this row is dead: drop its gauges, keep its counts. False: nonsense was among them, and is dropped, too."""
        cells = self.cells
        if cells[scalar_at(child, Scalar.COUNTS_CLIENTS)]:
            row = self.counts[child * COUNT_ROW_CELLS : (child + 1) * COUNT_ROW_CELLS]
            row[:] = memoryview(bytes(row.nbytes)).cast("q")
            cells[scalar_at(child, Scalar.COUNTS_CLIENTS)] = 0
        sound = True
        for scalar in ADDED_UP:
            sound &= self._retire(scalar_at(child, scalar), scalar_at(RETIRED, scalar), keep=scalar not in GAUGES)
        sound &= tally.move(cells, scalar_at(child, Scalar.RULE_HITS), scalar_at(RETIRED, Scalar.RULE_HITS))
        sound &= path_tally.move(cells, scalar_at(child, Scalar.MIRRORED), scalar_at(RETIRED, Scalar.MIRRORED))
        for what in PerSlot:
            keep = what not in GAUGES_PER_SLOT
            for slot in range(SLOTS):
                at = cell_at(child, what, slot)
                if cells[at]:
                    sound &= self._retire(at, cell_at(RETIRED, what, slot), keep=keep)
        return sound

    def _retire(self, at: int, retired: int, *, keep: bool) -> bool:
        cells = self.cells
        count = cells[at]
        cells[at] = 0
        if not 0 <= count < MOST_COUNTED:
            return False
        if keep:
            cells[retired] = min(cells[retired] + count, LAST)
        return True

    def set_children(self, high: int) -> None:
        """No living worker has row `high` or above; their rows were retired. Readers have less to add up."""
        self.cells[Header.CHILDREN_HIGH] = high

    def forget_slot(self, slot: int) -> None:
        """A slot gets a new owner: nothing of the old one may shine through."""
        for state in SlotState:
            self.cells[state_at(state, slot)] = 0
        for child in (*range(self.children), RETIRED):
            for what in PerSlot:
                self.cells[cell_at(child, what, slot)] = 0

    # ---- written by children

    def counting(self, child: int) -> list[int]:
        """The children that count what clients have under way; `child` says that it does from now on."""
        cells = self.cells
        cells[scalar_at(child, Scalar.COUNTS_CLIENTS)] = 1
        return [row for row in range(self.children) if cells[scalar_at(row, Scalar.COUNTS_CLIENTS)]]

    # ---- read by everyone

    @property
    def children(self) -> int:
        """See rows_of."""
        return rows_of(self.cells)

    def total(self, scalar: int) -> int:
        """One scalar over all children, dead ones included (whose gauges are zero)."""
        return sum(counted(self.cells[at]) for at in self.cells_of(scalar))

    def cells_of(self, scalar: int) -> Iterator[int]:
        """Where one scalar stands, or begins: in the row of each child, and of the dead ones."""
        return (scalar_at(child, scalar) for child in (*range(self.children), RETIRED))

    def slot_total(self, what: int, slot: int) -> int:
        """One count of a slot over all children, dead ones included."""
        return sum(counted(self.cells[cell_at(child, what, slot)]) for child in (*range(self.children), RETIRED))

    def slot_totals(self, what: int, slots: int) -> list[int]:
        """One count for slots 0 to `slots` - 1. Row by row, because 1000 backends times 190 children cell by cell would
        hold up whoever asks for a fifth of a second."""
        starts = (cell_at(child, what, 0) for child in (*range(self.children), RETIRED))
        return sums_of((self.cells[at : at + slots].tolist() for at in starts), slots)

    def secret(self) -> bytes:
        """32 bytes, the same in every process of this lbproxy and unknown to everybody else."""
        return self.cells[Header.SECRET : Header.SECRET + SECRET_CELLS].tobytes()

    def health(self, slot: int) -> HealthState:
        """The health of the slot's backend as `control` last saw it; UNKNOWN for what nobody who is sound would write."""
        state = self.cells[state_at(SlotState.HEALTH, slot)]
        return HealthState(state) if state in _STATES else HealthState.UNKNOWN

    def spoken(self, slot: int) -> int:
        """The Spoken of the checks of the slot's backend; UNHEARD for what is none."""
        spoken = self.cells[state_at(SlotState.SPOKEN, slot)]
        return spoken if spoken in _SPOKEN else Spoken.UNHEARD

    def verify(self) -> list[str]:
        """What contradicts the invariants, in words; empty when all is well.

        A worker counts a request in two cells, one after the other: while requests begin and end, one of them may be ahead.
        """
        faults = []
        for child in range(self.children):
            live = self.cells[scalar_at(child, Scalar.LIVE_REQUESTS)]
            base = cell_at(child, PerSlot.IN_FLIGHT, 0)
            row = self.cells[base : base + SLOTS].tolist()
            if min(row) < 0 or live < 0:
                faults.append(f"child {child}: a negative gauge (in flight {min(row)}, live {live})")
            if sum(row) != live:
                faults.append(f"child {child}: {sum(row)} requests in flight on backends, {live} live")
            connections = self.cells[scalar_at(child, Scalar.CONNECTIONS)]
            base = cell_at(child, PerSlot.OPEN, 0)
            through = sum(self.cells[base : base + SLOTS].tolist())
            if connections < 0 or through != connections:
                faults.append(f"child {child}: {through} connections came through listeners, {connections} are open")
        return faults


class RawLock(Protocol):
    """The part of multiprocessing.Lock that is needed."""

    def acquire(self, block: bool = ..., timeout: float | None = ..., /) -> bool: ...
    def release(self) -> None: ...


class PickLock:
    """Mutual exclusion of picks over all processes, which a killed or stopped holder cannot turn into a standstill.

    A child notes in its row that it wants the lock before it asks for it and clears the note after it gave it back. Holders need
    microseconds; so whoever waits PATIENCE without getting it goes on without (a pick that may be off by one is better than a
    request that waits), and the master, having reaped a child whose note was still set, gives the lock back in its name. One that
    did not come once is only tried, without waiting, until it does: somebody who holds it for ever makes each worker wait once.
    """

    PATIENCE = 0.05
    """Seconds. A holder that was scheduled out on a busy machine comes back within a few milliseconds."""

    __slots__ = ("_acquire", "_cells", "_given_up", "_held", "_note", "_release")

    def __init__(self, lock: RawLock, ledger: Ledger, child: int) -> None:
        self._acquire = lock.acquire
        self._release = lock.release
        self._cells = ledger.cells
        self._note = scalar_at(child, Scalar.WANTS_LOCK)
        self._held = False
        self._given_up = False

    def __enter__(self) -> None:
        self._cells[self._note] = 1
        self._held = self._acquire(False) if self._given_up else self._acquire(True, self.PATIENCE)
        self._given_up = not self._held

    def __exit__(self, *_: object) -> None:
        if self._held:
            try:
                self._release()
            except (ValueError, OSError):
                pass  # we were stopped while holding it, and the master gave it back in our name; or somebody wrote into it
        self._cells[self._note] = 0

    @staticmethod
    def forgive(lock: RawLock, ledger: Ledger, child: int) -> None:
        """Master: the child of this row is dead. If it died between asking for the lock and giving it back, mend the lock."""
        note = scalar_at(child, Scalar.WANTS_LOCK)
        if not ledger.cells[note]:
            return
        lock.acquire(True, 0.1)  # free, or busy with living holders: comes at once. Held by the dead one: never.
        try:
            lock.release()
        except (ValueError, OSError):
            pass  # a stopped holder woke up in between
        ledger.cells[note] = 0
