# Types for the compiled form of stream.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.engine cimport H2Engine
from lbproxy.http.h2.floods cimport Floods
from lbproxy.http.h2.session cimport Receiver
from lbproxy.http.h2.windows cimport may_write, share
from lbproxy.proxy.service cimport Service
from lbproxy.streams cimport Stream, Strands


cdef list _EMPTY


cdef class H2Stream


cdef class Carrier(Receiver):
    cdef public H2Engine engine
    cdef public Floods floods
    cdef public Service service
    cdef public Stream stream

    cpdef on_settings(self)
    cpdef on_ping(self)
    cpdef on_pong(self)
    cpdef on_window(self, long stream, long increment)
    cpdef on_priority(self, long stream)
    cpdef on_needless(self)
    cpdef on_goaway(self, long last, long code)
    cpdef flush(self)
    cpdef flush_soon(self)
    cpdef bint may_write(self, long stream) except -1
    cpdef await_room(self, H2Stream stream)
    cpdef waits_for_input(self, long stream, long long left, long long came)
    cpdef stalled(self)


cdef class H2Stream(Stream):
    cdef object _alarm
    cdef long long _came
    cdef Carrier _carrier
    cdef bint _dropped
    cdef H2Engine _engine
    cdef public list _inbox
    cdef double _look_at
    cdef object _reader
    cdef object _writer
    cdef public bint complete
    cdef public bint ended
    cdef public long long left
    cdef public object loss
    cdef public long number
    cdef public tuple trailers

    cpdef open(self, Carrier carrier, long number, bint ended)
    cpdef bint feed(self, bytes data, bint ended) except -1
    cpdef wake_reader(self)
    cpdef wake_writer(self)
    cpdef lose(self, error)
    cpdef drop(self)
    cpdef bint exhausted(self) except -1
    cdef _take_reader(self)
    cdef _take_writer(self)
    cpdef bytes early(self)
    cpdef bytes read(self, Py_ssize_t limit)
    @cython.locals(inbox=list, data=bytes, count=Py_ssize_t, taken=Py_ssize_t, size=Py_ssize_t, engine=H2Engine)
    cdef bytes _take(self, Py_ssize_t limit)
    cdef _wait_for_input(self)
    @cython.locals(service=Service, now=double, wait=double)
    cdef _look_later(self)
    cpdef stop_looking(self)
    cpdef bint read_early(self) except -1
    cpdef give_way(self)
    cpdef check(self, bint done)
    cpdef send(self, bytes data, bint ended)
    cpdef hold(self, bytes data)
    @cython.locals(engine=H2Engine)
    cpdef conclude(self, bytes data, tuple trailers)
    cpdef write(self, data)
    cpdef await_room(self)
    cpdef await_end(self)
    @cython.locals(carrier=Carrier, strands=Strands, held=long, written=long)
    cdef _wait_for_room(self, enough)
    cdef bint _goes_on(self, long held, long long written) except -1
    cpdef answered(self)
    cpdef end_output(self)
    cpdef close(self)
    cpdef finish(self, bint busy=*)
    cpdef abort(self)
    cpdef give_up(self, long code)
    cpdef bint unseen(self, long long since) except -1


@cython.locals(held_by_all=long)
cpdef bint room_for(long stream, H2Engine engine) except -1
@cython.locals(spoken_for=long)
cpdef long share_of(long stream, H2Engine engine, long wanted, long promised) except -1
cdef long _urgency(long stream, H2Engine engine, long spoken_for) except -1
