# Types for the compiled form of place.py. See lbproxy/compiled.py.

from lbproxy.proxy.rewriter cimport Rewriter


cdef class Place:
    cdef public object filters
    cdef public long long max_body
    cdef public object pool
    cdef public Rewriter rewriter
