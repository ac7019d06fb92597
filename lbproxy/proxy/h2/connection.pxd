# Types for the compiled form of connection.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.engine cimport H2Engine
from lbproxy.http.h2.floods cimport Floods
from lbproxy.http.h2.windows cimport Windows
from lbproxy.proxy.h2.h2_downstream cimport Bearer, H2Downstream, H2Peer
from lbproxy.proxy.h2.next_turn cimport NextTurn
from lbproxy.proxy.h2.stream cimport H2Stream, room_for
from lbproxy.proxy.h2.unwanted cimport Unwanted
from lbproxy.proxy.service cimport Counters
from lbproxy.streams cimport Strands, Stream


cdef class H2Connection(Bearer):
    cdef long _bodies
    cdef bint _draining
    cdef str _ending
    cdef long _given_up
    cdef double _idle_since
    cdef double _idle_until
    cdef long _last
    cdef double _now
    cdef object _on_flood
    cdef bint _planned
    cdef bytes _read
    cdef bint _refused_more
    cdef dict _requests
    cdef long _reset
    cdef NextTurn _turn
    cdef public Unwanted _unwanted
    cdef dict _waiting_for_room
    cdef Windows _windows
    cdef bint _writing
    cdef object count
    cdef public object strand

    cpdef drain(self, double now, double grace)
    @cython.locals(stream=Stream, data=bytes)
    cdef bint _read_on(self) except -1
    cdef _set_deadline(self)
    cdef bint _expired(self) except -1
    cdef _rest(self)
    cdef _judge(self)
    @cython.locals(request=H2Downstream, counters=Counters)
    cpdef on_request(self, long stream, tuple fields, bint ended)
    cpdef on_given_up(self, long stream, tuple fields)
    @cython.locals(request=H2Downstream)
    cpdef on_data(self, long stream, bytes data, bint ended)
    @cython.locals(request=H2Downstream)
    cpdef on_trailers(self, long stream, tuple fields)
    @cython.locals(known=bint)
    cpdef on_reset(self, long stream, long code)
    cpdef on_overlong(self, long stream)
    cpdef on_pong(self)
    @cython.locals(request=H2Downstream)
    cpdef on_closed(self, long stream, long code)
    cpdef refused(self, error)
    cpdef never_began(self, error, tuple fields, double came)
    @cython.locals(number=long, stream=H2Stream, narrower=long, now=double)
    cpdef served(self, H2Downstream request)
    cpdef bint may_write(self, long stream) except -1
    cpdef await_room(self, H2Stream stream)
    cpdef waits_for_input(self, long stream, long long left, long long came)
    cpdef stalled(self)
    cpdef flush(self)
    cpdef flush_soon(self)
    cpdef _write_soon(self)
    @cython.locals(engine=H2Engine, stream=Stream, data=bytes, held=long, unwanted=Unwanted)
    cpdef _write_out(self)
    cdef _wake_writers(self)
    cdef _end(self, str how)
