# Types for the compiled form of pool.py. See lbproxy/compiled.py.

cdef class Lease:
    cdef long long[::1] _cells
    cdef public object backend
    cdef public long failures
    cdef long _in_flight
    cdef long _live
    cdef public str name
    cdef public object slot

    cpdef release(self)
