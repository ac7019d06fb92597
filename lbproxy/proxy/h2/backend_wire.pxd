# Types for the compiled form of backend_wire.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.engine cimport H2Engine
from lbproxy.http.h2.floods cimport Floods
from lbproxy.http.h2.windows cimport may_write
from lbproxy.proxy.h2.backend_stream cimport Lender
from lbproxy.proxy.h2.stream cimport H2Stream
from lbproxy.proxy.service cimport Service
from lbproxy.streams cimport Strands, Stream


cdef class BackendWire(Lender):
    cdef str _ending
    cdef bint _mute
    cdef bint _planned
    cdef object _reader
    cdef dict _waiting_for_room
    cdef bint _writing

    cpdef flush(self)
    cpdef flush_soon(self)
    cpdef bint may_write(self, long stream) except -1
    cpdef await_room(self, H2Stream stream)
    cdef _end(self, str how)
    cdef _hold_little(self)
    cdef _stop_reading(self)
    cdef bint _read_on(self) except -1
    @cython.locals(engine=H2Engine, stream=Stream, data=bytes, held=long)
    cpdef _write_out(self)
    cdef _look_over(self)
    cdef _wake_writers(self)
    cpdef stalled(self)
