# Types for the compiled form of h2_upstream.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.h2.backend_answer cimport LastAnswer
from lbproxy.http.h2.backend_request cimport BackendRequests, Laid
from lbproxy.http.heads cimport KnownHead, ResponseHeads
from lbproxy.http.message cimport ResponseHead
from lbproxy.proxy.h2.backend_stream cimport BackendStream, Lender
from lbproxy.proxy.response_head cimport limit_size
from lbproxy.proxy.upstream cimport Upstream


cdef BackendRequests REQUESTS


cdef class H2Upstream(Upstream):
    cdef bytes _accept
    cdef BackendStream _h2
    cdef Lender _lender
    cdef bytes _scheme

    @cython.locals(h2=BackendStream)
    cpdef borrow(self, Lender lender, backend, bytes scheme, long long served)
    @cython.locals(h2=BackendStream, lender=Lender, laid=Laid, ended=bint, number=long)
    cpdef send(self, bytes head, bytes payload, bint chunked, bint last)
    @cython.locals(h2=BackendStream)
    cpdef more(self, bytes payload, bint last)
    cpdef conclude(self, tuple trailers)
    @cython.locals(h2=BackendStream, fields=tuple, ended=bint, raw=bytes, known=KnownHead, answer=ResponseHead, bodiless=bint)
    cpdef KnownHead answer(self, ResponseHeads heads, bytes method)
    @cython.locals(h2=BackendStream)
    cpdef bytes piece(self, Py_ssize_t limit, double silence)
    cpdef bint settle(self, ResponseHead answer, bint clean) except -1


@cython.locals(upstream=H2Upstream)
cpdef H2Upstream lent(Lender lender, backend, bytes scheme, long long served)
