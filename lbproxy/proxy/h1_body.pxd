# Types for the compiled form of h1_body.py. See lbproxy/compiled.py.

from lbproxy.http.h1.chunks cimport ChunkDecoder
from lbproxy.proxy.request_body cimport BodySource


cdef class H1Body(BodySource):
    cdef ChunkDecoder _decoder

    cpdef bytes take(self, bytes raw)
