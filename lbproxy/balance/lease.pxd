# Types for the compiled form of lease.py. See lbproxy/compiled.py.


cdef long _TO_REQUESTS


cdef class Lease:
    cdef long long[::1] _cells
    cdef public object backend
    cdef public long failures
    cdef long _in_flight
    cdef long _live
    cdef long _requests
    cdef public str name
    cdef public object slot
    cdef public object told

    cpdef take(self)
    cpdef release(self)
