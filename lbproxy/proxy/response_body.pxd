# Types for the compiled form of response_body.py. See lbproxy/compiled.py.

from lbproxy.http.h1.chunks cimport ChunkDecoder
from lbproxy.streams cimport Stream


cdef class ResponseBody:
    cdef object _clock
    cdef ChunkDecoder _decoder
    cdef long long _left
    cdef object _max_fields
    cdef bytes _moves
    cdef Stream _source
    cdef public bint over
    cdef public bint surplus
    cdef public tuple trailers

    cpdef bytes begin(self, bytes data)
    cpdef bytes piece(self, Py_ssize_t limit, double silence)
    cdef bytes _taken(self, bytes data)
    cdef _read_trailers(self, bytes section)
