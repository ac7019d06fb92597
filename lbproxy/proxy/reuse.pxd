# Types for the compiled form of reuse.py. See lbproxy/compiled.py.

cimport cython

from lbproxy.http.heads cimport KnownHead
from lbproxy.streams cimport Stream


cdef class Shelf:
    cdef public list idle
    cdef public Py_ssize_t limit
    cdef public double longest
    cdef public double patience
    cdef public long long requests


cdef class Upstream:
    cdef public bint _idle
    cdef public double _retires
    cdef public Shelf _shelf
    cdef public object backend
    cdef public KnownHead last_head
    cdef public long long served
    cdef public Stream stream


cdef class IdleUpstreams:
    cdef public object _clock
    cdef public set _gone
    cdef public object _settings
    cdef public dict _shelves

    @cython.locals(shelf=Shelf, upstream=Upstream)
    cpdef Upstream take(self, slot)
    @cython.locals(shelf=Shelf, idle=list, tired=double)
    cpdef put(self, Upstream upstream, double now)
    cdef Shelf _shelf(self, backend)
