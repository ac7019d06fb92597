# Types for the compiled form of reuse.py. See lbproxy/compiled.py.

cdef class Upstream:
    cdef public list _home
    cdef public list _shelf
    cdef public object backend
    cdef public object stream
    cdef public bint used


cdef class IdleUpstreams:
    cdef public object _clock
    cdef public set _gone
    cdef public dict _idle

    cpdef Upstream take(self, slot)
    cpdef put(self, Upstream upstream, double now)
