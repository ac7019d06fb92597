# Types for the compiled form of upstream.py. See lbproxy/compiled.py.

from lbproxy.http.heads cimport KnownHead, ResponseHeads
from lbproxy.http.message cimport ResponseHead
from lbproxy.streams cimport Stream


cdef class Upstream:
    cdef public dict _bound
    cdef public bint _idle
    cdef public double _retires
    cdef public object _shelf
    cdef public object announced
    cdef public object backend
    cdef public bytes first
    cdef public long long mark
    cdef public bint over
    cdef public bint private
    cdef public long long served
    cdef public double since
    cdef public Stream stream
    cdef public bint surplus
    cdef public tuple trailers

    cpdef carry_on(self, Stream stream, backend)
    cpdef send(self, bytes head, bytes payload, bint chunked, bint last)
    cpdef more(self, bytes payload, bint last)
    cpdef conclude(self, tuple trailers)
    cpdef KnownHead answer(self, ResponseHeads heads, bytes method)
    cpdef bytes piece(self, Py_ssize_t limit, double silence)
    cpdef bint ready(self) except -1
    cpdef bint settle(self, ResponseHead answer, bint clean) except -1
