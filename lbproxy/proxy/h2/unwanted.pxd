# Types for the compiled form of unwanted.py. See lbproxy/compiled.py.

from lbproxy.http.h2.engine cimport H2Engine
from lbproxy.proxy.service cimport Service


cdef class Unwanted:
    cdef object _alarm
    cdef dict _due
    cdef H2Engine _engine
    cdef set _late
    cdef object _on_late
    cdef Service _service
    cdef public bint any

    cpdef add(self, long stream)
    cpdef came(self, long stream, double now)
    cpdef closed(self, long stream)
    cpdef hurry(self)
    cpdef bint reset_late(self) except -1
    cpdef forget(self)
