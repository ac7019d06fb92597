# Types for the compiled form of upstream_pool.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.balance.lease cimport Lease
from lbproxy.http.message cimport RequestHead
from lbproxy.proxy.upstream cimport Upstream


cdef class Shared:
    cpdef bint speak_nothing_else(self, str pool) except -1
    cpdef Upstream take(self, Lease lease, RequestHead head)


cdef class IdleShelf:
    cdef public object clock
    cdef public bint hasty
    cdef public list idle
    cdef public bint keeps
    cdef public Py_ssize_t limit
    cdef public double longest
    cdef public double patience
    cdef public long long requests

    @cython.locals(upstream=Upstream, index=Py_ssize_t)
    cpdef Upstream take_settled(self, double now)


cdef class UpstreamPool:
    cdef public object _checked
    cdef public object _clock
    cdef public set _gone
    cdef public object _settings
    cdef public dict _shelves
    cdef public bytearray _spoken
    cdef public object outdated
    cdef public Shared shared

    @cython.locals(shelf=IdleShelf, upstream=Upstream)
    cpdef Upstream take(self, slot)
    @cython.locals(shelf=IdleShelf, upstream=Upstream)
    cpdef Upstream take_settled(self, slot, double now, sleep)
    cpdef heard(self, Py_ssize_t slot, int minor)
    cpdef int speaks(self, Py_ssize_t slot) except -1
    @cython.locals(shelf=IdleShelf, idle=list, tired=double)
    cpdef put(self, Upstream upstream, double now)
    cdef IdleShelf _shelf(self, backend)
