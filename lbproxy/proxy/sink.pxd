# Types for the compiled form of sink.py. See lbproxy/compiled.py.

from lbproxy.http.heads cimport KnownHead
from lbproxy.http.message cimport ResponseHead


cdef class Sink:
    cpdef interim(self, KnownHead known)
    cpdef whole(self, ResponseHead answer, bytes out, bytes body, bytes lines)
    cpdef begin(self, ResponseHead answer, bytes out, bytes lines, list first)
    cpdef Py_ssize_t room(self) except -1
    cpdef piece(self, bytes data)
    cpdef end(self, bytes data, tuple trailers)
