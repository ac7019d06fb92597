# Types for the compiled form of shared_connection.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.windows cimport Windows
from lbproxy.proxy.h2.backend_stream cimport BackendStream
from lbproxy.proxy.h2.backend_wire cimport BackendWire
from lbproxy.proxy.h2.h2_upstream cimport H2Upstream, lent
from lbproxy.proxy.h2.pulse cimport Pulse


cdef class SharedConnection(BackendWire):
    cdef object _alarm
    cdef long _cell
    cdef long long[::1] _cells
    cdef bint _condemned
    cdef tuple _goaway
    cdef bint _goodbye
    cdef dict _lingering
    cdef object _lot
    cdef long long _most
    cdef bint _news
    cdef Pulse _pulse
    cdef long _requests_cell
    cdef set _resets
    cdef double _retires
    cdef bytes _scheme
    cdef double _since
    cdef dict _streams
    cdef bint _turning
    cdef long long _unasked
    cdef double _until
    cdef list _wakes
    cdef Windows _windows
    cdef public long long allowed
    cdef public object backend
    cdef public bint apart
    cdef public bint leaving
    cdef public long long load
    cdef public bint newly_ready
    cdef public bint ready
    cdef public long long requests
    cdef public double rest
    cdef public long long served

    cpdef bint takes_more(self, double now) except -1
    cpdef H2Upstream lend(self)
    cpdef leave(self)
    @cython.locals(stream=BackendStream, wakes=list)
    cpdef _carry_out(self)
    cdef _why(self)
    cdef _turn_soon(self)
    cdef _watch(self)
    @cython.locals(data=bytes, now=double)
    cdef bint _read_on(self) except -1
    cdef _set_deadline(self)
    cdef bint _expired(self) except -1
    cdef _condemn(self, failure)
    cdef _look_over(self)
    cpdef on_settings(self)
    cpdef on_interim(self, long stream, tuple fields)
    cpdef on_response(self, long stream, tuple fields, bint ended)
    @cython.locals(stream=BackendStream)
    cdef _bring(self, long number, tuple fields, bint ended, bint final)
    @cython.locals(found=BackendStream)
    cpdef on_data(self, long stream, bytes data, bint ended)
    @cython.locals(found=BackendStream)
    cpdef on_trailers(self, long stream, tuple fields)
    @cython.locals(found=BackendStream)
    cpdef on_reset(self, long stream, long code)
    cpdef on_closed(self, long stream, long code)
    cpdef on_goaway(self, long last, long code)
    cdef _less(self, long count)
    cdef _rest(self)
    cdef _tell_news(self)
    cdef _to_wake(self, BackendStream stream)
    cpdef begin(self, BackendStream stream, long number, bint ended)
    cpdef left(self, BackendStream stream)
    cpdef linger(self, BackendStream stream)
    @cython.locals(wider=long)
    cpdef waits_for_input(self, long stream, long long left, long long came)
