"""nghttp2.py in C's terms: libnghttp2's own functions, in the library that the package ngh2 has loaded.

Theory of operation. There is nothing to link, and never a second libnghttp2: the functions are looked up in ngh2's file. The wheel does
not say which libnghttp2 it holds, so ngh2's version stands for it (VERSIONS), and a short dialogue is rehearsed before anybody relies
on how structures are laid out (`_fits`). Where anything is not as expected, connections get session.py's Session.

- What comes is noted by callbacks (`_note`) and told when the library has returned (`tell`): whoever is told may give any command, and
  may raise, without the library's being in the middle of anything. No callback runs code of others.
- A callback that fails returns what Cython returns for an exception, which is what the library knows as failure (FAILED): it comes back
  at once, and the exception, still set, goes on from where the library was called. After a failure the session is deleted.
- Fields that stand where they stood in the last list are the same objects again: a peer repeats itself, and comparing costs a tenth
  of making. Heads and trailers come in turns, and are compared each with their like. Of an idle peer nothing is kept (`forget`).
- What comes of a stream's body in one read is told as one piece, and copied once, when the library has returned (`_gather`): its frames
  take turns with those of others, and each piece would cost a wake-up's work and a place in a list, and be joined again.
- Fields that leave are not copied: a session holds them (`_leaving`) until nothing that was submitted waits in the library any more.
  Their names are in lower case, as all who lay fields out have them.
- Bodies wait as they were given, and are copied once, behind the frame's head into what `output` returns. What belongs to a stream
  (`Body`) is found by its number and nothing else, and goes when the library says that the stream is closed.
- What a session is made of has a place of its own (session_memory.pyx), which is empty while its connection is idle (`forget`). So
  whoever calls the library sees first that it is awake (`_enter`, `_gone`, `_awake`).
"""

import os

from lbproxy.http.h2.bounds import ANSWERS as _ANSWERS, LONGEST_SENT as _LONGEST_SENT, RESETS as _RESETS, UNLIMITED as _UNLIMITED, USUAL
from lbproxy.http.h2.offered import MISSING
from lbproxy.http.h2.session import first_settings
from lbproxy.http.h2.vocabulary import PREFACE, USUAL_PRECEDENCE as _USUAL, Failure, H2Code

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_Append, PyList_AsTuple
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_Check, PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_GetSlice
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from lbproxy.http.h2.session cimport Receiver, Session
from lbproxy.http.h2.session_memory cimport Allocator, Memory, begin, begun, fetch_back, give_back, put_away

VERSIONS = ("0.3.0",)
"""Of ngh2: libnghttp2 1.70, whose header this was written by."""
KEPT = 4096
"""Bytes of a list of fields that the next one is compared with."""

cdef Py_ssize_t MOST_KEPT = KEPT
cdef long MOST_GIVEN_UP = _RESETS
cdef long _USUAL_PRECEDENCE = _USUAL

cdef enum:
    FRAME = 9 + 16384 + 16  # the largest that we send
    SHARED = 64 * 1024  # what is put together in a buffer of the process and copied
    LARGE = 8 * 1024  # with more of bodies held, output is put together where it stays
    BESIDE = 16 * 1024  # room for what leaves beside bodies
    BUCKETS = 16
    FEW = 48  # fields that are laid out on the stack
    LOOKED_AT = 16  # events among which a stream's last piece of a body is looked for: as many streams may take turns

    FAILED = -902  # NGHTTP2_ERR_CALLBACK_FAILURE
    NO_MEMORY = -901
    BAD_MAGIC = -903
    FLOODED = -904
    CONTINUATIONS = -905
    WOULDBLOCK = -504
    DEFERRED = -508
    STREAM_CLOSED = -510
    STREAM_CLOSING = -511
    STREAM_SHUT = -512
    SESSION_CLOSING = -530
    TEMPORAL = -521  # this field, and with it the stream

    INTERNAL_ERROR = 2
    COMPRESSION_ERROR = 9
    FRAME_DATA = 0
    FRAME_HEADERS = 1
    FRAME_RST_STREAM = 3
    FRAME_SETTINGS = 4
    FRAME_PUSH_PROMISE = 5
    FRAME_PING = 6
    FRAME_GOAWAY = 7
    FRAME_WINDOW_UPDATE = 8
    FRAME_ALTSVC = 0x0A
    FRAME_ORIGIN = 0x0C
    FRAME_PRIORITY_UPDATE = 0x10
    END_STREAM = 1
    ACK = 1
    OF_REQUEST = 0  # NGHTTP2_HCAT_REQUEST
    BEHIND = 3  # NGHTTP2_HCAT_HEADERS: trailers, or the answer behind an interim one
    NEVER_INDEX = 1
    NO_COPY = 2 | 4  # neither of the name, which is in lower case already, nor of the value
    DATA_EOF = 1
    DATA_NO_END_STREAM = 2
    DATA_NO_COPY = 4

    REQUEST = 1  # events
    RESPONSE = 2
    INTERIM = 3
    TRAILERS = 4
    DATA = 5
    RESET = 6
    CLOSED = 7
    SETTINGS = 8
    PING = 9
    PONG = 10
    WINDOW = 11
    PRIORITY = 12
    GOAWAY = 13
    NEEDLESS = 14
    GIVEN_UP = 15

cdef struct Event:
    int kind
    int32_t stream
    long number
    PyObject *what  # fields or data; owned. NULL of data that is still to be gathered
    int first  # of its pieces then, from 1; 0: there is none
    int last
    Py_ssize_t size

cdef struct Piece:  # of what is being received
    const uint8_t *data
    size_t size
    int next

cdef struct Body:  # what we know of a stream that we answer, or of a request's body
    Body *next
    int32_t stream
    bint ended
    bint deferred
    PyObject *trailers  # owned
    Py_ssize_t queued
    Py_ssize_t offset
    PyObject **queue  # of bytes; owned
    int first
    int count
    int room
    PyObject *two[2]

# ---------------------------------------------------------------- as nghttp2.h has it

cdef struct Head:
    size_t length
    int32_t stream
    uint8_t type
    uint8_t flags
    uint8_t reserved

cdef struct Priority:
    int32_t stream
    int32_t weight
    uint8_t exclusive

cdef struct Nv:
    uint8_t *name
    uint8_t *value
    size_t namelen
    size_t valuelen
    uint8_t flags

cdef struct HeadersFrame:
    Head hd
    size_t padlen
    Priority priority
    Nv *nva
    size_t nvlen
    int category

cdef struct ResetFrame:
    Head hd
    uint32_t code

cdef struct PushFrame:
    Head hd
    size_t padlen
    Nv *nva
    size_t nvlen
    int32_t promised

cdef struct GoawayFrame:
    Head hd
    int32_t last
    uint32_t code

cdef struct WindowFrame:
    Head hd
    int32_t increment

cdef struct PriorityUpdate:
    int32_t stream

cdef struct ExtensionFrame:
    Head hd
    PriorityUpdate *payload

cdef union Frame:
    Head hd
    HeadersFrame headers
    ResetFrame reset
    PushFrame push
    GoawayFrame goaway
    WindowFrame window
    ExtensionFrame extension

cdef struct Setting:
    int32_t key
    uint32_t value

cdef struct Extensible:
    uint32_t urgency
    int incremental

cdef struct Provider:
    void *source
    void *read

ctypedef int (*new_t)(void **) noexcept
ctypedef void (*del_t)(void *) noexcept
ctypedef void (*set_pointer_t)(void *, void *) noexcept
ctypedef void (*set_int_t)(void *, int) noexcept
ctypedef void (*set_u8_t)(void *, uint8_t) noexcept
ctypedef void (*set_u32_t)(void *, uint32_t) noexcept
ctypedef void (*set_size_t)(void *, size_t) noexcept
ctypedef void (*set_rate_t)(void *, uint64_t, uint64_t) noexcept
ctypedef int (*session_new_t)(void **, void *, void *, void *, Allocator *) noexcept
ctypedef Py_ssize_t (*mem_recv_t)(void *, const uint8_t *, size_t) noexcept
ctypedef Py_ssize_t (*mem_send_t)(void *, const uint8_t **) noexcept
ctypedef int (*of_session_t)(void *) noexcept
ctypedef size_t (*size_of_session_t)(void *) noexcept
ctypedef int (*of_stream_t)(void *, int32_t) noexcept
ctypedef uint32_t (*setting_t)(void *, int) noexcept
ctypedef int (*submit_settings_t)(void *, uint8_t, Setting *, size_t) noexcept
ctypedef int32_t (*submit_request_t)(void *, void *, Nv *, size_t, Provider *, void *) noexcept
ctypedef int (*submit_response_t)(void *, int32_t, Nv *, size_t, Provider *) noexcept
ctypedef int32_t (*submit_headers_t)(void *, uint8_t, int32_t, void *, Nv *, size_t, void *) noexcept
ctypedef int (*submit_trailer_t)(void *, int32_t, Nv *, size_t) noexcept
ctypedef int (*submit_reset_t)(void *, uint8_t, int32_t, uint32_t) noexcept
ctypedef int (*submit_ping_t)(void *, uint8_t, const uint8_t *) noexcept
ctypedef int (*submit_goaway_t)(void *, uint8_t, int32_t, uint32_t, const uint8_t *, size_t) noexcept
ctypedef int (*consume_t)(void *, int32_t, size_t) noexcept
ctypedef int (*consume_all_t)(void *, size_t) noexcept
ctypedef int (*priority_t)(void *, Extensible *, int32_t) noexcept
ctypedef int (*set_window_t)(void *, uint8_t, int32_t, int32_t) noexcept

cdef new_t option_new
cdef del_t option_del
cdef set_int_t option_set_no_auto_window_update
cdef set_u32_t option_set_peer_max_concurrent_streams
cdef set_size_t option_set_max_outbound_ack, option_set_max_continuations, option_set_max_send_header_block_length
cdef set_rate_t option_set_stream_reset_rate_limit, option_set_glitch_rate_limit
cdef set_u8_t option_set_builtin_recv_extension_type
cdef session_new_t session_server_new3, session_client_new3
cdef del_t session_del
cdef mem_recv_t session_mem_recv2
cdef mem_send_t session_mem_send2
cdef of_session_t session_want_read, session_want_write, session_check_request_allowed, session_get_last_proc_stream_id
cdef of_session_t session_get_remote_window_size, submit_shutdown_notice
cdef size_of_session_t session_get_outbound_queue_size
cdef of_stream_t session_resume_data, session_get_stream_local_close, session_get_stream_remote_window_size
cdef of_stream_t session_get_stream_local_window_size
cdef setting_t session_get_remote_settings
cdef submit_settings_t submit_settings
cdef submit_request_t submit_request2
cdef submit_response_t submit_response2
cdef submit_headers_t submit_headers
cdef submit_trailer_t submit_trailer
cdef submit_reset_t submit_rst_stream
cdef submit_ping_t submit_ping
cdef submit_goaway_t submit_goaway
cdef consume_t session_consume
cdef consume_all_t session_consume_connection
cdef set_window_t session_set_local_window_size
cdef priority_t session_get_extpri_stream_priority
cdef void *_callbacks = NULL

cdef char[SHARED + FRAME] _shared  # put together in one call, nothing of which gives up control
cdef uint8_t[8] _ping_data
cdef Piece *_pieces = NULL  # of the read that is being told of: nothing gives up control meanwhile
cdef int _piece_count = 0, _piece_room = 0

cdef extern from "dlfcn.h" nogil:
    void *dlopen(const char *, int)
    void *dlsym(void *, const char *)
    int RTLD_NOW, RTLD_NOLOAD

cdef extern from "sys/random.h" nogil:
    ssize_t getrandom(void *, size_t, unsigned int)

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    int _PyBytes_Resize(PyObject **, Py_ssize_t) except -1
    char *bytes_at "PyBytes_AS_STRING"(PyObject *)
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject *)
    void Py_INCREF "Py_INCREF"(PyObject *)
    void Py_DECREF "Py_DECREF"(PyObject *)
    void Py_XDECREF "Py_XDECREF"(PyObject *)

cdef extern from *:
    """static int lbproxy_pending(void) { return PyErr_Occurred() ? -1 : 0; }"""
    int raise_pending "lbproxy_pending"() except -1


cdef object _never_indexed = None
"""ngh2's type of such fields, which engine.never_indexed makes."""
cdef object CALM_SIZE = Failure(H2Code.ENHANCE_YOUR_CALM, "h2_header_size")
cdef object CALM_COUNT = Failure(H2Code.ENHANCE_YOUR_CALM, "h2_header_count")
cdef object CALM_RESETS = Failure(H2Code.ENHANCE_YOUR_CALM, "h2_resets")
cdef object PUSHED = Failure(H2Code.PROTOCOL_ERROR, "h2_protocol")
cdef object UNKNOWN = Failure(H2Code.INTERNAL_ERROR, "h2_engine")
cdef dict _FAILURES = {
    BAD_MAGIC: Failure(H2Code.PROTOCOL_ERROR, "h2_preface"),
    FLOODED: Failure(H2Code.ENHANCE_YOUR_CALM, "h2_answers"),
    CONTINUATIONS: Failure(H2Code.ENHANCE_YOUR_CALM, "h2_continuations"),
}


# ---------------------------------------------------------------- a session


cdef class _Native(Session):
    """See Session."""

    cdef void *_session
    cdef Memory _memory
    cdef bint _server
    cdef bint _inside
    cdef bint _closing
    cdef Body *_bodies[BUCKETS]
    cdef Py_ssize_t _held
    cdef long long _untaken
    cdef Event *_events
    cdef Py_ssize_t _event_count
    cdef Py_ssize_t _event_room
    cdef Py_ssize_t _list_size
    cdef Py_ssize_t _list_count
    cdef long _given_up
    cdef list _fields
    cdef list _leaving
    cdef tuple _before
    cdef tuple _head_before
    cdef tuple _trailers_before
    cdef Py_ssize_t _size
    cdef Py_ssize_t _count
    cdef bint _same
    cdef int32_t _brought
    cdef int32_t _request  # whose fields are coming
    cdef bytes _rest
    cdef char *_into
    cdef Py_ssize_t _used
    cdef Py_ssize_t _room
    cdef object _refused

    def __init__(self, bint server, bounds, bint tunnels):
        cdef void *option = NULL
        cdef Setting[8] settings
        cdef Allocator allocator
        cdef int result, count = 0
        if self._session != NULL:
            raise RuntimeError("a session begins once")
        self.whole = True
        self._server = server
        self._rest = b""
        self._leaving = []
        self._head_before = self._trailers_before = ()
        self._list_size, self._list_count = bounds.list_size, bounds.list_count
        for key, value in first_settings(bounds, server, tunnels).items():
            settings[count].key, settings[count].value = key, value
            count += 1
        _check(option_new(&option))
        try:
            option_set_no_auto_window_update(option, 1)
            option_set_peer_max_concurrent_streams(option, bounds.streams)
            option_set_max_outbound_ack(option, _ANSWERS)
            option_set_max_continuations(option, bounds.continuations)
            option_set_max_send_header_block_length(option, _LONGEST_SENT)
            option_set_stream_reset_rate_limit(option, _UNLIMITED, _UNLIMITED)  # floods.py counts them
            option_set_glitch_rate_limit(option, bounds.glitches[0], bounds.glitches[1])
            for each in (FRAME_ALTSVC, FRAME_ORIGIN, FRAME_PRIORITY_UPDATE):
                option_set_builtin_recv_extension_type(option, each)
            make = session_server_new3 if server else session_client_new3
            allocator = begin(&self._memory)
            _check(make(&self._session, _callbacks, <void *>self, option, &allocator))
        finally:
            begun(&self._memory)
            option_del(option)
        if not server:
            self._take_preface()
        _check(submit_settings(self._session, 0, settings, count))

    cdef _take_preface(self):
        """A client's first words are put together when its session is made: they would wait where other sessions, too, put frames
        together (session_memory.pyx), and be what those have left there."""
        cdef const uint8_t *data = NULL
        cdef Py_ssize_t size = session_mem_send2(self._session, &data)
        self._rest = PyBytes_FromStringAndSize(<const char *>data, max(size, 0))
        if self._rest != PREFACE:
            raise RuntimeError(f"the first words of a session are {self._rest!r}")

    def __dealloc__(self):
        self._drop()
        self._forget_events()

    # ------------------------------------------------------------ in

    cpdef receive(self, bytes data):
        """See Session."""
        global _piece_count
        cdef Py_ssize_t result
        cdef size_t waiting
        self._enter()
        if self._session == NULL or self.closed:
            self.broken = UNKNOWN
            return
        self._given_up = 0
        _piece_count = 0
        waiting = session_get_outbound_queue_size(self._session)
        self._inside = True
        result = session_mem_recv2(self._session, <const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        self._inside = False
        if result != PyBytes_GET_SIZE(data):
            self._break(result)
        else:
            if session_get_outbound_queue_size(self._session) > waiting:
                self.unsaid = True
            self._settle()
        if _piece_count:
            self._gather()

    cpdef tell(self, Receiver receiver):
        """See Session."""
        cdef Event *events = self._events
        cdef Py_ssize_t count = self._event_count, at = 0
        if not count:
            return
        self._events, self._event_count, self._event_room = NULL, 0, 0
        try:
            while at < count:
                at += 1
                self._tell(receiver, &events[at - 1])
        finally:
            while at < count:
                Py_XDECREF(events[at].what)
                at += 1
            free(events)

    cdef _tell(self, Receiver receiver, Event *event):
        cdef int kind = event.kind
        cdef object what = None
        if event.what != NULL:
            what = <object>event.what
            Py_DECREF(event.what)
        if kind == REQUEST:
            if event.stream > self.last:
                self.last = event.stream
            receiver.on_request(event.stream, what, event.number != 0)
        elif kind == CLOSED:
            receiver.on_closed(event.stream, event.number)
        elif kind == DATA:
            receiver.on_data(event.stream, what, event.number != 0)
        elif kind == WINDOW:
            receiver.on_window(event.stream, event.number)
        elif kind == RESPONSE:
            receiver.on_response(event.stream, what, event.number != 0)
        elif kind == TRAILERS:
            receiver.on_trailers(event.stream, what)
        elif kind == INTERIM:
            receiver.on_interim(event.stream, what)
        elif kind == RESET:
            receiver.on_reset(event.stream, event.number)
        elif kind == SETTINGS:
            receiver.on_settings()
        elif kind == PING:
            receiver.on_ping()
        elif kind == PONG:
            receiver.on_pong()
        elif kind == PRIORITY:
            receiver.on_priority(event.stream)
        elif kind == NEEDLESS:
            receiver.on_needless()
        elif kind == GIVEN_UP:
            if event.stream > self.last:
                self.last = event.stream
            receiver.on_given_up(event.stream, () if what is None else what)
        else:
            receiver.on_goaway(event.stream, event.number)

    cpdef forget(self):
        """See Session."""
        self._head_before = self._trailers_before = ()
        if self._session != NULL and not self._inside:
            put_away(&self._memory)

    cdef int _note(self, int kind, int32_t stream, long number, PyObject *what) except? FAILED:
        """An event; owns `what` if there is room."""
        cdef Py_ssize_t room
        cdef Event *events
        if self._event_count == self._event_room:
            room = 2 * self._event_room if self._event_room else 16
            events = <Event *>realloc(self._events, room * sizeof(Event))
            if events == NULL:
                Py_XDECREF(what)
                raise MemoryError
            self._events, self._event_room = events, room
        events = &self._events[self._event_count]
        events.kind, events.stream, events.number, events.what, events.first = kind, stream, number, what, 0
        self._event_count += 1
        return 0

    cdef bint _gave_up(self, int32_t stream) noexcept:
        """A reset came: whether right behind its request, which then need not be told. What that would cost is what such floods are
        for."""
        cdef Event *last
        if not self._event_count:
            return False
        last = &self._events[self._event_count - 1]
        if last.kind != REQUEST or last.stream != stream:
            return False
        last.kind = GIVEN_UP
        if self._given_up:  # of the first of a read it is told what it was
            Py_XDECREF(last.what)
            last.what = NULL
        return True

    cdef void _forget_events(self) noexcept:
        cdef Py_ssize_t at
        for at in range(self._event_count):
            Py_XDECREF(self._events[at].what)
        free(self._events)
        self._events, self._event_count, self._event_room = NULL, 0, 0

    cdef int _begin_fields(self, const Frame *frame) except? FAILED:
        self._fields = None
        self._before = self._trailers_before if frame.headers.category == BEHIND else self._head_before
        self._size = self._count = 0
        self._same = True
        self._request = frame.hd.stream if frame.headers.category == OF_REQUEST else 0
        return 0

    cdef int _add_field(self, const uint8_t *name, size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags) except? FAILED:
        """A field, if it is within bounds: the very one that stood here in the last list, if it is the same."""
        cdef bint found = False
        self._size += name_size + value_size + 32
        if self._size > self._list_size:
            self._refused = CALM_SIZE
            return FAILED
        if self._count >= self._list_count:
            self._refused = CALM_COUNT
            return FAILED
        if self._count < PyTuple_GET_SIZE(self._before):
            field = <object>PyTuple_GET_ITEM(self._before, self._count)
            found = _equal(<tuple>field, name, name_size, value, value_size, flags)
        if not found:
            field = (
                PyBytes_FromStringAndSize(<const char *>name, name_size), PyBytes_FromStringAndSize(<const char *>value, value_size)
            )
            if flags & NEVER_INDEX:
                field = _never_indexed(*field)
        if self._same:
            if found:
                self._count += 1
                return 0
            self._same = False
            self._fields = list(PyTuple_GetSlice(self._before, 0, self._count))
        PyList_Append(self._fields, field)
        self._count += 1
        return 0

    cdef int _end_fields(self, const Frame *frame) except? FAILED:
        """The list is whole."""
        cdef tuple fields
        cdef int kind = REQUEST
        self._request = 0
        if self._same and self._count == PyTuple_GET_SIZE(self._before):
            fields = self._before
        else:
            fields = PyTuple_GetSlice(self._before, 0, self._count) if self._same else PyList_AsTuple(self._fields)
            if self._size <= MOST_KEPT:
                if frame.headers.category == BEHIND:
                    self._trailers_before = fields
                else:
                    self._head_before = fields
        self._fields = self._before = None
        if frame.headers.category != OF_REQUEST:
            status = fields[0][1] if fields and fields[0][0] == b":status" else b""  # nothing else is in front of it
            kind = TRAILERS if not status else INTERIM if status[:1] == b"1" else RESPONSE
        Py_INCREF(<PyObject *>fields)
        return self._note(kind, frame.hd.stream, (frame.hd.flags & END_STREAM) != 0, <PyObject *>fields)

    cdef int _add_data(self, int32_t stream, const uint8_t *data, size_t size) except? FAILED:
        """A piece of a DATA frame: where it stands is noted, to be gathered before that is gone."""
        global _pieces, _piece_count, _piece_room
        cdef Piece *larger
        cdef Event *event = self._find_data(stream)
        if _piece_count == _piece_room:
            larger = <Piece *>realloc(_pieces, (2 * _piece_room + 16) * sizeof(Piece))
            if larger == NULL:
                raise MemoryError
            _pieces, _piece_room = larger, 2 * _piece_room + 16
        if event == NULL:
            self._note(DATA, stream, 0, NULL)
            event = &self._events[self._event_count - 1]
            event.size = 0
        _pieces[_piece_count].data, _pieces[_piece_count].size, _pieces[_piece_count].next = data, size, 0
        _piece_count += 1
        if event.first:
            _pieces[event.last - 1].next = _piece_count
        else:
            event.first = _piece_count
        event.last = _piece_count
        event.size += size
        self._brought = stream
        return 0

    cdef Event *_find_data(self, int32_t stream) noexcept:
        """What is being gathered of a stream; NULL: nothing is, or so much has come since that nobody looks for it."""
        cdef Py_ssize_t at = self._event_count, least = max(0, at - LOOKED_AT)
        while at > least:
            at -= 1
            if self._events[at].stream == stream:
                if self._events[at].kind == REQUEST:
                    return NULL
                if self._events[at].kind == DATA and self._events[at].first:
                    return &self._events[at]
        return NULL

    cdef int _end_data(self, const Frame *frame) except? FAILED:
        cdef bint ended = (frame.hd.flags & END_STREAM) != 0
        cdef bint empty = self._brought != frame.hd.stream
        cdef Event *event = NULL
        self._brought = 0
        if not ended and not empty:
            return 0
        if not empty:
            event = self._find_data(frame.hd.stream)
        if event == NULL:  # it brought nothing, or not in this read
            return self._note(DATA, frame.hd.stream, ended, new_bytes(NULL, 0))
        event.number = 1
        return 0

    cdef int _gather(self) except -1:
        """What came of bodies in this read is told of by bytes of our own."""
        cdef Py_ssize_t at
        cdef Event *event
        cdef Piece *piece
        cdef char *into
        try:
            for at in range(self._event_count):
                event = &self._events[at]
                if not event.first:
                    continue
                piece = &_pieces[event.first - 1]
                if not piece.next:
                    event.what = new_bytes(<const char *>piece.data, piece.size)
                else:
                    event.what = new_bytes(NULL, event.size)
                    into = bytes_at(event.what)
                    memcpy(into, piece.data, piece.size)
                    while piece.next:
                        into += piece.size
                        piece = &_pieces[piece.next - 1]
                        memcpy(into, piece.data, piece.size)
                event.first = 0
                self._untaken += event.size
        except MemoryError:
            self._forget_events()  # what is missing among them would be taken for nothing
            raise
        return 0

    # ------------------------------------------------------------ out

    cpdef bytes output(self, long most):
        """See Session."""
        cdef PyObject *large = NULL
        cdef Py_ssize_t result
        cdef bytes said
        self._enter()
        if self._session == NULL or most <= 0:
            return b""
        try:
            if self._held > LARGE:
                self._room = min(<Py_ssize_t>most, self._held + BESIDE)
                large = new_bytes(NULL, self._room + FRAME)
                self._into = bytes_at(large)
            else:
                self._room = min(<Py_ssize_t>most, <Py_ssize_t>SHARED)
                self._into = _shared
            self._used = 0
            self._inside = True
            result = self._collect()
            self._inside = False
            if result < 0:
                self._break(result)
                return b""
            if self._used > most:
                self._rest = PyBytes_FromStringAndSize(self._into + most, self._used - most) + self._rest
                self._used = most
            self.whole = not self._rest
            if large == NULL or not self._used:
                said = PyBytes_FromStringAndSize(self._into, self._used)
            else:
                _PyBytes_Resize(&large, self._used)
                said = <bytes>large
        finally:
            self._inside = False
            self._into = NULL
            if large != NULL:
                Py_DECREF(large)
        if (self.unsaid or self._leaving) and not session_get_outbound_queue_size(self._session):
            self.unsaid = False
            self._leaving.clear()
        self._settle()
        return said

    cdef Py_ssize_t _collect(self) noexcept:
        """Frames, until there is no more room or no more frames; negative: the library's error."""
        cdef const uint8_t *data = NULL
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self._rest)
        if size:
            if size > self._room:
                size = self._room
            memcpy(self._into, PyBytes_AS_STRING(self._rest), size)
            self._used = size
            self._rest = PyBytes_FromStringAndSize(PyBytes_AS_STRING(self._rest) + size, PyBytes_GET_SIZE(self._rest) - size)
        while self._used < self._room:
            size = session_mem_send2(self._session, &data)
            if size <= 0:
                return size
            if size > FRAME:
                return NO_MEMORY  # nothing of ours is so large
            if self._request and size >= 17 and data[3] == FRAME_GOAWAY and data[16] == COMPRESSION_ERROR and self._unanswered():
                self.overlong = self._request
                self._used += _put_too_large(self._into + self._used, self._request)
                self._request = 0
            memcpy(self._into + self._used, data, size)
            self._used += size
        return 0

    cdef bint _unanswered(self) noexcept:
        """Whether the request whose fields are coming is still to be answered, and can be."""
        return self._find(self._request) == NULL and session_get_stream_local_close(self._session, self._request) == 0

    cdef int _put_frame(self, Frame *frame, size_t size) except? FAILED:
        """A DATA frame: its head, which nobody pads, and behind it what is queued."""
        cdef Body *body = self._find(frame.hd.stream)
        cdef PyObject *piece
        cdef char *into
        cdef Py_ssize_t left = size, take
        if self._used >= self._room:
            return WOULDBLOCK
        if body == NULL or body.queued < left or left > 16384:
            return FAILED
        into = self._into + self._used
        into[0], into[1], into[2] = <char>(size >> 16), <char>(size >> 8), <char>size  # `head` is nobody's own: see session_memory.pyx
        into[3], into[4] = <char>frame.hd.type, <char>frame.hd.flags
        into[5], into[6] = <char>(frame.hd.stream >> 24), <char>(frame.hd.stream >> 16)
        into[7], into[8] = <char>(frame.hd.stream >> 8), <char>frame.hd.stream
        into += 9
        self._used += 9 + left
        self._held -= left
        body.queued -= left
        while left:
            piece = body.queue[body.first]
            take = min(left, bytes_size(piece) - body.offset)
            memcpy(into, bytes_at(piece) + body.offset, take)
            into += take
            left -= take
            body.offset += take
            if body.offset == bytes_size(piece):
                body.offset = 0
                body.first += 1
                body.count -= 1
                Py_DECREF(piece)
        return 0

    cdef Py_ssize_t _next_frame(self, int32_t stream, size_t most, uint32_t *flags) except? FAILED:
        """How much the next DATA frame of a stream has; DEFERRED: none yet."""
        cdef Body *body = self._find(stream)
        cdef Py_ssize_t size
        cdef int result
        if body == NULL:
            return FAILED
        size = min(body.queued, <Py_ssize_t>min(most, <size_t>16384))
        if size:
            flags[0] |= DATA_NO_COPY
        if body.ended and size == body.queued:
            flags[0] |= DATA_EOF
            if body.trailers != NULL:
                flags[0] |= DATA_NO_END_STREAM
                trailers = <object>body.trailers
                Py_DECREF(body.trailers)
                body.trailers = NULL
                result = self._submit(TRAILERS, stream, trailers, True)
                if result < 0:
                    return FAILED
        elif not size:
            body.deferred = True
            return DEFERRED
        return size

    # ------------------------------------------------------------ commands

    cpdef bint respond(self, long stream, fields, bint ended) except -1:
        """See Session."""
        cdef Body *body
        if self._gone() or not self._server or not self._has(stream) or self._find(stream) != NULL:
            return False
        if self._submit(RESPONSE, stream, fields, ended) < 0:
            return False
        body = self._new_body(stream)
        body.ended = ended
        return True

    cpdef bint interim(self, long stream, fields) except -1:
        """See Session."""
        if self._gone() or not self._server or not self._has(stream) or self._find(stream) != NULL:
            return False
        return self._submit(INTERIM, stream, fields, True) >= 0

    cpdef bint send(self, long stream, bytes data, bint ended) except -1:
        """See Session."""
        cdef Body *body = self._find(stream)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        if self._gone() or body == NULL or body.ended:
            return False
        if size:
            _queue(body, <PyObject *>data)
            self._held += size
        body.ended = ended
        return self._resume(body) if body.deferred and (size or ended) else True

    cpdef bint trailers(self, long stream, fields) except -1:
        """See Session."""
        cdef Body *body = self._find(stream)
        cdef tuple kept = tuple(fields)
        if self._gone() or body == NULL or body.ended:
            return False
        Py_INCREF(<PyObject *>kept)
        body.trailers = <PyObject *>kept
        body.ended = True
        return self._resume(body) if body.deferred else True

    cpdef long request(self, fields, bint ended) except -1:
        """See Session."""
        cdef int stream
        if self._gone() or self._server or not session_check_request_allowed(self._session):
            return 0
        stream = self._submit(REQUEST, 0, fields, ended)
        if stream <= 0:
            return 0
        if not ended:
            self._new_body(stream)
        return stream

    cpdef bint reset(self, long stream, long code) except -1:
        """See Session."""
        return not self._gone() and self._done(submit_rst_stream(self._session, 0, stream, code))

    cpdef bint taken(self, long stream, long size, long long rest) except -1:
        """See Session."""
        if self._gone():
            return False
        if size < 0 or size > self._untaken:
            raise ValueError("more was taken than came")
        if not size:
            return True
        self._untaken -= size
        if 0 <= rest <= session_get_stream_local_window_size(self._session, stream):  # -1: the stream is gone
            return self._done(session_consume_connection(self._session, size))
        return self._done(session_consume(self._session, stream, size))

    cpdef bint widen(self, long stream, long window) except -1:
        """See Session."""
        if self._gone() or (stream and not self._has(stream)):
            return False
        return self._done(session_set_local_window_size(self._session, 0, stream, window))

    cpdef bint ping(self) except -1:
        """See Session."""
        return not self._gone() and self._done(submit_ping(self._session, 0, _ping_data))

    cpdef bint announce_end(self) except -1:
        """See Session."""
        return not self._gone() and self._server and self._done(submit_shutdown_notice(self._session))

    cpdef bint refuse_more(self) except -1:
        """See Session."""
        if self._gone():
            return False
        return self._done(submit_goaway(self._session, 0, session_get_last_proc_stream_id(self._session), 0, NULL, 0))

    # ------------------------------------------------------------ state

    cpdef long held(self, long stream) except -1:
        """See Session."""
        cdef Body *body
        if not stream:
            return self._held
        body = self._find(stream)
        return 0 if body == NULL else body.queued

    cpdef long window(self, long stream) except -1:
        """See Session."""
        if self._gone() or not self._has(stream):
            return 0
        return max(0, session_get_stream_remote_window_size(self._session, stream))

    cpdef long precedence(self, long stream) except -1:
        """See Session."""
        cdef Extensible priority
        if self._gone() or session_get_extpri_stream_priority(self._session, &priority, stream) != 0:
            return _USUAL_PRECEDENCE
        return 2 * <long>priority.urgency + (priority.incremental != 0)

    cpdef bint will_leave(self, long stream) except -1:
        """See Session."""
        cdef Body *body = self._find(stream)
        if self._gone() or not self._has(stream):
            return True
        if body == NULL or not body.queued:
            return self._held <= session_get_remote_window_size(self._session)
        return (
            body.queued <= session_get_stream_remote_window_size(self._session, stream)
            and self._held <= session_get_remote_window_size(self._session)
        )

    cpdef long long allows(self, int setting) except -1:
        """See Session."""
        self._awake()
        return 0 if self._session == NULL else session_get_remote_settings(self._session, setting)

    cpdef bint wants_write(self) except -1:
        """See Session."""
        self._awake()
        return len(self._rest) > 0 or (self._session != NULL and session_want_write(self._session) != 0)

    # ------------------------------------------------------------ what a stream holds

    cdef inline Body *_find(self, long stream) noexcept:
        cdef Body *body = self._bodies[(stream >> 1) & (BUCKETS - 1)]
        while body != NULL and body.stream != stream:
            body = body.next
        return body

    cdef Body *_new_body(self, int32_t stream) except NULL:
        cdef Body **bucket = &self._bodies[(stream >> 1) & (BUCKETS - 1)]
        cdef Body *body = <Body *>calloc(1, sizeof(Body))
        if body == NULL:
            raise MemoryError
        body.stream, body.next = stream, bucket[0]
        body.queue, body.room = body.two, 2
        bucket[0] = body
        return body

    cdef void _drop_body(self, int32_t stream) noexcept:
        cdef Body **link = &self._bodies[(stream >> 1) & (BUCKETS - 1)]
        cdef Body *body
        while link[0] != NULL and link[0].stream != stream:
            link = &link[0].next
        body = link[0]
        if body != NULL:
            link[0] = body.next
            self._held -= body.queued
            _free(body)

    # ------------------------------------------------------------ the library

    cdef int _enter(self) except -1:
        if self._inside:
            raise RuntimeError("libnghttp2 is called from within itself")
        self._awake()
        return 0

    cdef inline void _awake(self) noexcept:
        """Its memory is where it was."""
        if self._memory.packed != NULL:
            fetch_back(&self._memory)

    cdef inline bint _gone(self) noexcept:
        self._awake()
        return self._session == NULL or self.closed

    cdef inline bint _has(self, long stream) noexcept:
        return session_get_stream_local_close(self._session, stream) >= 0

    cdef bint _done(self, int result) except -1:
        if result == NO_MEMORY:
            self._drop()
            raise MemoryError
        return result >= 0

    cdef bint _resume(self, Body *body) except -1:
        body.deferred = False
        return self._done(session_resume_data(self._session, body.stream))

    cdef int _submit(self, int what, int32_t stream, fields, bint ended) except? -1:
        """Fields leave: of a request (its stream comes back), a response, an interim one, behind a body. Negative: they do not."""
        cdef Nv[FEW] few
        cdef Nv *nv = few
        cdef Provider provider
        cdef Provider *body = NULL if ended else &provider
        cdef tuple all_fields = fields if PyTuple_CheckExact(fields) else tuple(fields)
        cdef Py_ssize_t count = PyTuple_GET_SIZE(all_fields)
        cdef int result
        provider.source, provider.read = NULL, <void *>_read
        if count > FEW:
            nv = <Nv *>malloc(count * sizeof(Nv))
            if nv == NULL:
                raise MemoryError
        try:
            _lay(all_fields, nv)
            if what == RESPONSE:
                result = submit_response2(self._session, stream, nv, count, body)
            elif what == REQUEST:
                result = submit_request2(self._session, NULL, nv, count, body, NULL)
            elif what == INTERIM:
                result = submit_headers(self._session, 0, stream, NULL, nv, count, NULL)
            else:
                result = submit_trailer(self._session, stream, nv, count)
        finally:
            if nv != few:
                free(nv)
        self._done(result)
        if result >= 0:
            self._leaving.append(all_fields)
        return result

    cdef int _settle(self) except -1:
        """Behind the library: whether that was the end."""
        if self._closing and not self.closed and not self._rest and not session_want_read(self._session):
            if not session_want_write(self._session):
                self.closed = True
                self._drop_bodies()
        return 0

    cdef int _break(self, Py_ssize_t result) except -1:
        """The library has given up, or a callback has: nothing more can be done with the session. Raises what that one raised."""
        cdef object refused = self._refused
        if self._request and (refused is CALM_SIZE or refused is CALM_COUNT or result == CONTINUATIONS) and self._unanswered():
            self.overlong = self._request
        try:
            raise_pending()
        finally:
            self._drop()
        if result == NO_MEMORY:
            raise MemoryError
        if refused is CALM_RESETS:
            self._forget_events()  # most of them requests that nobody waits for: it would be they that the flood costs
        self.broken = refused if refused is not None else _FAILURES.get(result, UNKNOWN)
        return 0

    cdef void _drop(self) noexcept:
        """Free everything but what is still to be told."""
        self._awake()
        if self._session != NULL:
            session_del(self._session)
            self._session = NULL
        if self._leaving is not None:
            self._leaving.clear()
        give_back(&self._memory)
        self._drop_bodies()

    cdef void _drop_bodies(self) noexcept:
        cdef int at
        cdef Body *body
        for at in range(BUCKETS):
            while self._bodies[at] != NULL:
                body = self._bodies[at]
                self._bodies[at] = body.next
                _free(body)
        self._held = 0


cdef inline bint _equal(tuple field, const uint8_t *name, size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags):
    cdef PyObject *old_name = <PyObject *>PyTuple_GET_ITEM(field, 0)
    cdef PyObject *old_value = <PyObject *>PyTuple_GET_ITEM(field, 1)
    return (
        bytes_size(old_value) == <Py_ssize_t>value_size
        and bytes_size(old_name) == <Py_ssize_t>name_size
        and memcmp(bytes_at(old_value), value, value_size) == 0
        and memcmp(bytes_at(old_name), name, name_size) == 0
        and PyTuple_CheckExact(field) == (not flags & NEVER_INDEX)
    )


cdef int _lay(tuple fields, Nv *nv) except -1:
    """As the library reads them, until they have left; who calls keeps the fields."""
    cdef Py_ssize_t at
    cdef bytes name, value
    for at in range(PyTuple_GET_SIZE(fields)):
        field = <object>PyTuple_GET_ITEM(fields, at)
        if not PyTuple_Check(field) or PyTuple_GET_SIZE(field) != 2:
            raise TypeError("a field is two bytes objects")
        name, value = <bytes?><object>PyTuple_GET_ITEM(field, 0), <bytes?><object>PyTuple_GET_ITEM(field, 1)
        if name is None or value is None:
            raise TypeError("a field is two bytes objects")
        nv[at].name, nv[at].namelen = <uint8_t *>PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name)
        nv[at].value, nv[at].valuelen = <uint8_t *>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
        nv[at].flags = NO_COPY if PyTuple_CheckExact(field) else NO_COPY | NEVER_INDEX
    return 0


cdef Py_ssize_t _put_too_large(char *into, int32_t stream) noexcept:
    """See engine.too_large_frame."""
    cdef const char *fields = b"\x08\x03431\x0f\x0d\x010"
    into[0], into[1], into[2], into[3], into[4] = 0, 0, 9, FRAME_HEADERS, 5
    into[5], into[6], into[7], into[8] = <char>(stream >> 24), <char>(stream >> 16), <char>(stream >> 8), <char>stream
    memcpy(into + 9, fields, 9)
    return 18


cdef int _queue(Body *body, PyObject *data) except -1:
    """Behind what waits already."""
    cdef PyObject **larger
    if body.first + body.count == body.room:
        if body.first:
            memmove(body.queue, body.queue + body.first, body.count * sizeof(PyObject *))
        else:
            larger = <PyObject **>malloc(2 * body.room * sizeof(PyObject *))
            if larger == NULL:
                raise MemoryError
            memcpy(larger, body.queue, body.count * sizeof(PyObject *))
            if body.queue != body.two:
                free(body.queue)
            body.queue, body.room = larger, 2 * body.room
        body.first = 0
    Py_INCREF(data)
    body.queue[body.first + body.count] = data
    body.count += 1
    body.queued += bytes_size(data)
    return 0


cdef void _free(Body *body) noexcept:
    cdef int at
    for at in range(body.first, body.first + body.count):
        Py_DECREF(body.queue[at])
    Py_XDECREF(body.trailers)
    if body.queue != body.two:
        free(body.queue)
    free(body)


cdef int _check(int result) except -1:
    if result < 0:
        raise MemoryError if result == NO_MEMORY else RuntimeError(f"libnghttp2: {result}")
    return 0


# ---------------------------------------------------------------- callbacks


cdef int _on_begin_headers(void *session, const Frame *frame, void *user) except? FAILED:
    return (<_Native>user)._begin_fields(frame)


cdef int _on_header(
    void *session, const Frame *frame, const uint8_t *name, size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
    void *user,
) except? FAILED:
    return (<_Native>user)._add_field(name, name_size, value, value_size, flags)


cdef int _on_invalid_header(
    void *session, const Frame *frame, const uint8_t *name, size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
    void *user,
) noexcept:
    """A field that the library would leave out: the message is malformed."""
    (<_Native>user)._request = 0
    return TEMPORAL


cdef int _on_data_chunk(void *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t size, void *user) except? FAILED:
    return (<_Native>user)._add_data(stream, data, size)


cdef int _on_frame(void *session, const Frame *frame, void *user) except? FAILED:
    """A frame is here as a whole."""
    cdef _Native self = <_Native>user
    cdef int kind = frame.hd.type
    if kind == FRAME_HEADERS:
        return self._end_fields(frame)
    if kind == FRAME_DATA:
        return self._end_data(frame)
    if kind == FRAME_WINDOW_UPDATE:
        return self._note(WINDOW, frame.hd.stream, frame.window.increment, NULL)
    if kind == FRAME_RST_STREAM:
        if not self._gave_up(frame.hd.stream):
            return self._note(RESET, frame.hd.stream, frame.reset.code, NULL)
        self._given_up += 1
        if self._given_up > MOST_GIVEN_UP:
            self._refused = CALM_RESETS
            return FAILED
        return 0
    if kind == FRAME_SETTINGS:
        return 0 if frame.hd.flags & ACK else self._note(SETTINGS, 0, 0, NULL)
    if kind == FRAME_PING:
        return self._note(PONG if frame.hd.flags & ACK else PING, 0, 0, NULL)
    if kind == FRAME_GOAWAY:
        self._closing = True
        self.code = frame.goaway.code
        return self._note(GOAWAY, frame.goaway.last, frame.goaway.code, NULL)
    if kind == FRAME_PRIORITY_UPDATE:
        return self._note(PRIORITY, frame.extension.payload.stream, 0, NULL)
    if kind == FRAME_ALTSVC or kind == FRAME_ORIGIN:
        return self._note(NEEDLESS, 0, 0, NULL)
    if kind == FRAME_PUSH_PROMISE:
        self.broken = PUSHED
    return 0


cdef int _on_close(void *session, int32_t stream, uint32_t code, void *user) except? FAILED:
    """A stream is no more."""
    cdef _Native self = <_Native>user
    self._drop_body(stream)
    if self._event_count and self._events[self._event_count - 1].kind == GIVEN_UP:
        if self._events[self._event_count - 1].stream == stream:
            return 0
    return self._note(CLOSED, stream, code, NULL)


cdef int _on_sent(void *session, const Frame *frame, void *user) noexcept:
    """GOAWAY, ours or the library's own, begins the end."""
    if frame.hd.type == FRAME_GOAWAY:
        (<_Native>user)._closing = True
        (<_Native>user).code = frame.goaway.code
    return 0


cdef int _on_not_sent(void *session, const Frame *frame, int error, void *user) noexcept:
    """Fields that cannot leave (they are too large): the stream is given up. Of a request the library closes it by itself."""
    if frame.hd.type != FRAME_HEADERS or frame.headers.category == OF_REQUEST:
        return 0
    if error in (STREAM_CLOSED, STREAM_CLOSING, STREAM_SHUT, SESSION_CLOSING):
        return 0
    return FAILED if submit_rst_stream(session, 0, frame.hd.stream, INTERNAL_ERROR) == NO_MEMORY else 0


cdef Py_ssize_t _read(
    void *session, int32_t stream, uint8_t *buffer, size_t size, uint32_t *flags, void *source, void *user
) except? FAILED:
    return (<_Native>user)._next_frame(stream, size, flags)


cdef int _on_send_data(void *session, Frame *frame, const uint8_t *head, size_t size, void *source, void *user) except? FAILED:
    return (<_Native>user)._put_frame(frame, size)


cdef void _random(uint8_t *into, size_t size) noexcept:
    """For the order of its table of streams, which a peer is not to know."""
    memset(into, 0, size)
    getrandom(into, size, 0)


# ---------------------------------------------------------------- is everything where it should be


cdef void *_find_function(void *library, str name) except NULL:
    cdef void *found = dlsym(library, ("nghttp2_" + name).encode())
    if found == NULL:
        raise LookupError(name)
    return found


cdef int _load(str path) except -1:
    """Find everything. Raises LookupError."""
    global option_new, option_del, option_set_no_auto_window_update, option_set_peer_max_concurrent_streams, option_set_max_outbound_ack
    global option_set_max_continuations, option_set_max_send_header_block_length, option_set_stream_reset_rate_limit
    global option_set_glitch_rate_limit, option_set_builtin_recv_extension_type, session_server_new3, session_client_new3, session_del
    global session_mem_recv2, session_mem_send2, session_want_read, session_want_write, session_check_request_allowed
    global session_get_last_proc_stream_id, session_get_remote_window_size, submit_shutdown_notice, session_resume_data
    global session_get_stream_local_close, session_get_stream_remote_window_size, session_get_remote_settings, submit_settings
    global submit_request2, submit_response2, submit_headers, submit_trailer, submit_rst_stream, submit_ping, submit_goaway
    global session_consume, session_consume_connection, session_set_local_window_size, session_get_extpri_stream_priority, _callbacks
    global session_get_stream_local_window_size, session_get_outbound_queue_size
    cdef void *library = dlopen(os.fsencode(path), RTLD_NOW | RTLD_NOLOAD)
    if library == NULL:
        raise LookupError(path)
    option_new = <new_t>_find_function(library, "option_new")
    option_del = <del_t>_find_function(library, "option_del")
    option_set_no_auto_window_update = <set_int_t>_find_function(library, "option_set_no_auto_window_update")
    option_set_peer_max_concurrent_streams = <set_u32_t>_find_function(library, "option_set_peer_max_concurrent_streams")
    option_set_max_outbound_ack = <set_size_t>_find_function(library, "option_set_max_outbound_ack")
    option_set_max_continuations = <set_size_t>_find_function(library, "option_set_max_continuations")
    option_set_max_send_header_block_length = <set_size_t>_find_function(library, "option_set_max_send_header_block_length")
    option_set_stream_reset_rate_limit = <set_rate_t>_find_function(library, "option_set_stream_reset_rate_limit")
    option_set_glitch_rate_limit = <set_rate_t>_find_function(library, "option_set_glitch_rate_limit")
    option_set_builtin_recv_extension_type = <set_u8_t>_find_function(library, "option_set_builtin_recv_extension_type")
    session_server_new3 = <session_new_t>_find_function(library, "session_server_new3")
    session_client_new3 = <session_new_t>_find_function(library, "session_client_new3")
    session_del = <del_t>_find_function(library, "session_del")
    session_mem_recv2 = <mem_recv_t>_find_function(library, "session_mem_recv2")
    session_mem_send2 = <mem_send_t>_find_function(library, "session_mem_send2")
    session_get_outbound_queue_size = <size_of_session_t>_find_function(library, "session_get_outbound_queue_size")
    session_want_read = <of_session_t>_find_function(library, "session_want_read")
    session_want_write = <of_session_t>_find_function(library, "session_want_write")
    session_check_request_allowed = <of_session_t>_find_function(library, "session_check_request_allowed")
    session_get_last_proc_stream_id = <of_session_t>_find_function(library, "session_get_last_proc_stream_id")
    session_get_remote_window_size = <of_session_t>_find_function(library, "session_get_remote_window_size")
    submit_shutdown_notice = <of_session_t>_find_function(library, "submit_shutdown_notice")
    session_resume_data = <of_stream_t>_find_function(library, "session_resume_data")
    session_get_stream_local_close = <of_stream_t>_find_function(library, "session_get_stream_local_close")
    session_get_stream_remote_window_size = <of_stream_t>_find_function(library, "session_get_stream_remote_window_size")
    session_get_stream_local_window_size = <of_stream_t>_find_function(library, "session_get_stream_local_window_size")
    session_get_remote_settings = <setting_t>_find_function(library, "session_get_remote_settings")
    submit_settings = <submit_settings_t>_find_function(library, "submit_settings")
    submit_request2 = <submit_request_t>_find_function(library, "submit_request2")
    submit_response2 = <submit_response_t>_find_function(library, "submit_response2")
    submit_headers = <submit_headers_t>_find_function(library, "submit_headers")
    submit_trailer = <submit_trailer_t>_find_function(library, "submit_trailer")
    submit_rst_stream = <submit_reset_t>_find_function(library, "submit_rst_stream")
    submit_ping = <submit_ping_t>_find_function(library, "submit_ping")
    submit_goaway = <submit_goaway_t>_find_function(library, "submit_goaway")
    session_consume = <consume_t>_find_function(library, "session_consume")
    session_consume_connection = <consume_all_t>_find_function(library, "session_consume_connection")
    session_set_local_window_size = <set_window_t>_find_function(library, "session_set_local_window_size")
    session_get_extpri_stream_priority = <priority_t>_find_function(library, "session_get_extpri_stream_priority")
    _check((<new_t>_find_function(library, "session_callbacks_new"))(&_callbacks))
    for name, callback in (
        ("on_begin_headers", <size_t><void *>_on_begin_headers),
        ("on_header", <size_t><void *>_on_header),
        ("on_invalid_header", <size_t><void *>_on_invalid_header),
        ("on_data_chunk_recv", <size_t><void *>_on_data_chunk),
        ("on_frame_recv", <size_t><void *>_on_frame),
        ("on_stream_close", <size_t><void *>_on_close),
        ("on_frame_send", <size_t><void *>_on_sent),
        ("on_frame_not_send", <size_t><void *>_on_not_sent),
        ("send_data", <size_t><void *>_on_send_data),
        ("rand", <size_t><void *>_random),
    ):
        (<set_pointer_t>_find_function(library, f"session_callbacks_set_{name}_callback"))(_callbacks, <void *><size_t>callback)
    return 0


class _Rehearsed(Receiver):
    """A receiver that notes what it is told."""

    def __init__(self):
        self.told = []


def _noted(name):
    return lambda self, *what: self.told.append((name, *what))


for _name in [each for each in dir(Receiver) if each.startswith("on_")]:
    setattr(_Rehearsed, _name, _noted(_name))


REHEARSAL = PREFACE + b"".join((
    b"\0\0\0\4\0\0\0\0\0",  # SETTINGS
    b"\0\0\7\1\4\0\0\0\1\x82\x87\x84\x41\x02ab",  # HEADERS
    b"\0\0\3\0\1\0\0\0\1xyz",  # DATA, the last
    b"\0\0\4\x08\0\0\0\0\1\0\0\0\7",  # WINDOW_UPDATE
    b"\0\0\7\x10\0\0\0\0\0\0\0\0\1u=1",  # PRIORITY_UPDATE
    b"\0\0\4\3\0\0\0\0\1\0\0\0\x08",  # RST_STREAM
    b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\2",  # GOAWAY
))
REHEARSED = [
    ("on_settings",),
    ("on_request", 1, ((b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/"), (b":authority", b"ab")), False),
    ("on_data", 1, b"xyz", True),
    ("on_window", 1, 7),
    ("on_priority", 1),
    ("on_reset", 1, 8),
    ("on_closed", 1, 8),
    ("on_goaway", 0, 2),
]


cdef bint _fits():
    """Whether everything is where it should be; tried with a session nobody needs."""
    global _never_indexed
    if MISSING:
        return False
    import ngh2

    try:
        if ngh2.__version__ not in VERSIONS:
            return False
        _load(ngh2._core.__file__)
        _never_indexed = ngh2.NeverIndexedHeader
        heard = _Rehearsed()
        tried = _Native(True, USUAL, True)
        tried.receive(REHEARSAL)
        tried.tell(heard)
        return heard.told == REHEARSED and tried.output(100)[3:5] == b"\4\0"
    except (LookupError, AttributeError, RuntimeError):
        return False


NATIVE = _fits()
cdef bint _native = NATIVE


cpdef Session make_session(bint server, bounds, bint tunnels):
    """See nghttp2.py."""
    return _Native(server, bounds, tunnels) if _native else Session(server, bounds, tunnels)
