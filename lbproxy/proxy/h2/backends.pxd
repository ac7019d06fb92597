# Types for the compiled form of backends.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.lease cimport Lease
from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.h2.backend cimport H2Backend
from lbproxy.proxy.service cimport Service
from lbproxy.proxy.upstream cimport Upstream
from lbproxy.proxy.upstream_pool cimport Shared


cdef class H2Backends(Shared):
    cdef public dict _backends
    cdef object _bounds
    cdef object _on_ended
    cdef dict _pools
    cdef Service _service
    cdef set _single_minded

    cpdef bint speak_nothing_else(self, str pool) except -1
    @cython.locals(backend=H2Backend)
    cpdef Upstream take(self, Lease lease, RequestHead head)
    @cython.locals(found=H2Backend)
    cdef H2Backend _of(self, Lease lease)


cdef bint _is_large(RequestHead head) except -1
cdef bint _goes_alone(H2Backend backend, RequestHead head) except -1
