"""The messages between master and children: a fixed schema, checked on arrival.

Children are unprivileged and talk to hostile bytes all day; the master may be root. So a frame is small, its fields are typed and
bounded, unknown kinds and fields are refused, and nothing in it is ever executed or unpickled. The wire form is in codec.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Ready(NamedTuple):
    """Child -> master: listening (worker) or probing (control); `pid` as the child sees itself."""

    pid: int
    form: str = ""  # of the hot modules as this process loaded them: compiled.loaded()
    walls: str = ""  # those that stand around it, with spaces between them


class Heartbeat(NamedTuple):
    """Child -> master, every HEARTBEAT_INTERVAL seconds."""

    lag_ms: int  # how late the loop ran its timer
    rss_kib: int
    connections: int
    live_requests: int
    requests: int = 0  # ended since the process began


class HealthChanged(NamedTuple):
    """Control -> master: a backend's verdict turned."""

    pool: str
    backend: str
    state: str  # "up" | "down" | "ejected" | "trial": the last two by what became of requests there
    why: str  # e.g. "connection refused", "status 503", "2 checks in a row passed"


class Resolved(NamedTuple):
    """Control -> master: a name has other addresses than its backends stand at. Said again until they do."""

    name: str
    addresses: str  # "10.0.0.1,10.0.0.2", see names/answer.py


class Drained(NamedTuple):
    """Worker -> master: nothing left to do after Drain; the process exits next."""

    cut: int  # connections that had to be cut at the limit


class Failed(NamedTuple):
    """Child -> master: cannot go on, and why; the process exits next."""

    reason: str


class Serve(NamedTuple):
    """Master -> worker: begin to accept. A worker of a reload hears it when its whole generation is Ready, and so not at all when
    the reload fails: no client ever meets a configuration that was taken back."""


class Drain(NamedTuple):
    """Master -> worker: take no new work, finish what you have, then exit. A later one can only shorten the limits.

    All times count from its arrival. Idle connections always have at least the configured `proxy.idle_grace` since the first Drain.
    """

    timeout_ms: int  # requests that take longer are cut
    idle_ms: int = 0  # idle connections are closed after so long
    tunnel_ms: int = 0  # upgraded connections are cut after so long, though not before timeout_ms
    closing: str = ""  # listeners nobody accepts from any more, by index ("0,2"); their queues are taken along


class Placed(NamedTuple):
    """Master -> child: the backend written with a name stands at these places from now on, and nowhere else."""

    pool: str
    backend: str  # as written: "app.internal:8080"
    endpoints: str  # addresses and their slots: "10.0.0.1=5,10.0.0.2=6", see balance/endpoints.py


class Renewed(NamedTuple):
    """Master -> worker: a listener shows other certificates from now on; where in the store of keys they stand (tls/edition.py)."""

    listener: int  # its number in the configuration
    at: int
    size: int


class NewPoolFiles(NamedTuple):
    """Master -> worker, control: what a pool shows its backends, or trusts them by, is other from now on; a descriptor of a store
    with its files comes with this frame (SCM_RIGHTS)."""

    pool: str
    pieces: str  # where they stand in it (tls/pool_files.py)


class NewTicketKeys(NamedTuple):
    """Master -> worker: session tickets are made with other keys from now on; where in the store their secrets stand."""

    at: int
    size: int


class NewDocument(NamedTuple):
    """Master -> worker: a file that steps of routes go by has changed; where in the store it stands."""

    number: int  # of the configuration's documents
    at: int
    size: int


class KeysFetched(NamedTuple):
    """Control -> master: a set of keys that is fetched is this one now."""

    name: str  # model.KeySet.name
    keys: str  # JSON (RFC 7517): those that are public, and what of them is needed


class KeySetState(NamedTuple):
    """Control -> master: how it stands with a set of keys. Said after each try."""

    name: str
    keys: int  # that may be used; 0: there was none yet
    fetched: int  # when that was, seconds since 1970; 0: never
    failures: int  # in a row
    why: str  # the last one


class KeysWanted(NamedTuple):
    """Worker -> master -> control: a token names a key that is not in the set."""

    name: str


class NewKeyAuthorities(NamedTuple):
    """Master -> control: the server of a set of keys that is fetched is judged by others from now on; a descriptor of a store with
    their certificates comes with this frame (SCM_RIGHTS)."""

    name: str
    size: int  # of them in it, in DER one behind the other


class CertificateDates(NamedTuple):
    """Master -> control: until when certificates are good, those that end first; JSON, for its pages and metrics."""

    told: str  # [[listener, file, name, end in seconds since 1970], ...]


class AcmeName(NamedTuple):
    """ACME -> master -> control: how it stands with a name. Said when it changes."""

    name: str
    state: str  # "waiting": a self-signed certificate serves | "ordering" | "good": it has an authority's
    next: int  # when it is seen to, seconds since 1970
    failures: int  # in a row
    why: str  # the last one
    authority: str  # whose certificate it is, by the address of its directory


class ChallengeShown(NamedTuple):
    """ACME -> master -> worker: show this to an authority that asks."""

    challenge: str  # "http-01" | "tls-alpn-01"
    name: str
    token: str
    answer: str  # the key authorization, or a certificate and its throw-away key as PEM


class ChallengeOver(NamedTuple):
    """ACME -> master -> worker: show it no more."""

    challenge: str
    name: str
    token: str


class KeysSilent(NamedTuple):
    """Worker -> master: the process that holds its keys does not answer."""


class NewKeySocket(NamedTuple):
    """Master -> worker: another process holds its keys from now on; a socket to it comes with this frame (SCM_RIGHTS)."""


class KeyWork(NamedTuple):
    """Master -> control: what the processes that hold keys were asked for, for its metrics."""

    signatures: int
    refused: int  # questions that no worker of ours asks
    restarts: int


class TapWork(NamedTuple):
    """Master -> control: what one output of a tap did, in conversations, for its metrics."""

    tap: str
    sink: str  # fifo | listen | interface
    passed: int
    dropped: int  # it was too slow
    lost: int  # the interface is down, or gone
    unread: int  # nobody read
    readers: int  # now
    refused: int  # readers: too many, or from elsewhere


class Quit(NamedTuple):
    """Master -> child: exit now."""


class ReopenLogs(NamedTuple):
    """Master -> child: the access log was rotated; a fresh descriptor comes with this frame (SCM_RIGHTS)."""


class SetLogLevel(NamedTuple):
    """Master -> child: an operator wants to see more or less."""

    level: str  # debug | info | warning | error


Message = (
    Ready
    | Heartbeat
    | HealthChanged
    | Resolved
    | Drained
    | Failed
    | Serve
    | Drain
    | Placed
    | Renewed
    | NewPoolFiles
    | NewTicketKeys
    | NewDocument
    | KeysFetched
    | KeySetState
    | KeysWanted
    | NewKeyAuthorities
    | CertificateDates
    | AcmeName
    | ChallengeShown
    | ChallengeOver
    | KeysSilent
    | NewKeySocket
    | KeyWork
    | TapWork
    | Quit
    | ReopenLogs
    | SetLogLevel
)

HEARTBEAT_INTERVAL = 0.5
SILENCE_LIMIT = 5.0
"""Seconds without a heartbeat after which the master replaces a child."""
