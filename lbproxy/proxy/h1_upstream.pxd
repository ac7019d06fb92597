# Types for the compiled form of h1_upstream.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.heads cimport KnownHead, ResponseHeads
from lbproxy.http.message cimport ResponseHead
from lbproxy.proxy.response_body cimport ResponseBody
from lbproxy.proxy.response_head cimport next_head, read_piece
from lbproxy.proxy.upstream cimport Upstream
from lbproxy.proxy.upstream_pool cimport UpstreamPool
from lbproxy.streams cimport Stream


cdef class H1Upstream(Upstream):
    cdef bytes _behind
    cdef ResponseBody _body
    cdef bint _chunked
    cdef object _clock
    cdef KnownHead _last_head
    cdef UpstreamPool _pool

    cpdef send(self, bytes head, bytes payload, bint chunked, bint last)
    cpdef more(self, bytes payload, bint last)
    cpdef conclude(self, tuple trailers)
    cdef bytes _coded(self, bytes payload, bint last)
    @cython.locals(stream=Stream, last=KnownHead, known=KnownHead, data=bytes, answer=ResponseHead)
    cpdef KnownHead answer(self, ResponseHeads heads, bytes method)
    cdef _begin(self, ResponseHead answer, bytes data, ResponseHeads heads)
    @cython.locals(body=ResponseBody, data=bytes)
    cpdef bytes piece(self, Py_ssize_t limit, double silence)
    cpdef bint settle(self, ResponseHead answer, bint clean) except -1
