# Types for the compiled form of windows.py. See lbproxy/compiled.py.

cdef class Windows:
    cdef long _connection
    cdef long _first
    cdef long _others
    cdef dict _streams

    cpdef tuple waited(self, long stream, long long left, long long came)
    cpdef long ended(self, long stream) except -1
    cpdef long idle(self) except -1


cpdef bint may_write(long held, long held_by_all, long urgency=*) except -1
cpdef long share(long wanted, long spoken_for, long urgency) except -1
