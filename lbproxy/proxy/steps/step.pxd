# Types for the compiled form of step.py. See lbproxy/compiled.py.

from lbproxy.http.message cimport ResponseHead
from lbproxy.proxy.sink cimport Sink


cdef class Course:
    cpdef Sink around(self, ResponseHead answer, Sink sink)
    cpdef instead(self, ResponseHead answer)
    cpdef rescued(self, long status)
    cpdef client_gone(self)
    cpdef end(self)


cdef class Step:
    cpdef begin(self, journey)
