# Types for the compiled form of backends.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.lease cimport Lease
from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.h2.backend cimport H2Backend
from lbproxy.proxy.service cimport Service
from lbproxy.proxy.upstream cimport Upstream


cdef class H2Backends:
    cdef public dict _backends
    cdef object _bounds
    cdef object _on_ended
    cdef dict _pools
    cdef Service _service

    @cython.locals(backend=H2Backend)
    cpdef Upstream take(self, Lease lease, RequestHead head)
    @cython.locals(found=H2Backend)
    cdef H2Backend _of(self, Lease lease)


cdef bint _goes_alone(H2Backend backend, RequestHead head) except -1
