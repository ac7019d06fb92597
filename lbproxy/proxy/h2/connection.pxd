# Types for the compiled form of connection.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.engine cimport Engine
from lbproxy.http.h2.floods cimport Floods
from lbproxy.http.h2.request_fields cimport RequestFields
from lbproxy.http.h2.response_fields cimport ResponseFields
from lbproxy.http.h2.windows cimport Windows, may_write
from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.downstream cimport Downstream
from lbproxy.proxy.h2.beginnings cimport H2Beginnings
from lbproxy.proxy.h2.h2_downstream cimport H2Downstream
from lbproxy.proxy.h2.stream cimport H2Stream
from lbproxy.proxy.h2.unwanted cimport Unwanted
from lbproxy.streams cimport Stream


cdef class H2Connection(Downstream):
    cdef H2Beginnings _beginnings
    cdef bint _draining
    cdef str _ending
    cdef Floods _floods
    cdef double _idle_since
    cdef double _idle_until
    cdef public object _key
    cdef long _last
    cdef list _lost
    cdef double _now
    cdef object _on_flood
    cdef bint _planned
    cdef bytes _read
    cdef bint _refused_more
    cdef dict _requests
    cdef long _reset
    cdef bint _turning
    cdef public Unwanted _unwanted
    cdef dict _waiting_for_room
    cdef list _wakes
    cdef Windows _windows
    cdef bint _writing
    cdef object count
    cdef public Engine engine
    cdef public RequestFields request_fields
    cdef public ResponseFields response_fields

    cpdef drain(self, double now, double grace)
    cdef _turn_soon(self)
    @cython.locals(stream=Stream, data=bytes)
    cdef bint _read_on(self) except -1
    cdef _set_deadline(self)
    cdef bint _expired(self) except -1
    cdef _rest(self)
    cdef _judge(self)
    @cython.locals(request=H2Downstream)
    cpdef on_request(self, long stream, tuple fields, bint ended)
    @cython.locals(request=H2Downstream)
    cpdef on_data(self, long stream, bytes data, bint ended)
    @cython.locals(request=H2Downstream)
    cpdef on_closed(self, long stream, long code)
    cpdef bytes websocket_key(self)
    cpdef refused(self, error)
    @cython.locals(number=long, stream=H2Stream, narrower=long, now=double)
    cpdef served(self, H2Downstream request)
    cpdef bint may_write(self, long stream) except -1
    cpdef await_room(self, H2Stream stream)
    cpdef waits_for_input(self, long stream, long long left, long long came)
    cpdef stalled(self)
    cpdef flush(self)
    cpdef flush_soon(self)
    cpdef _write_soon(self)
    @cython.locals(engine=Engine, stream=Stream, data=bytes, unwanted=Unwanted)
    cpdef _write_out(self)
    cdef _wake_writers(self)
    cdef _end(self, str how)
