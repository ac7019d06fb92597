# Types for the compiled form of connection_limit.py. See lbproxy/compiled.py.


cdef class ConnectionLimit:
    cdef long _all
    cdef object _wakeups
    cdef object _cells
    cdef long _child
    cdef object _go_on
    cdef object _lock
    cdef long _mine
    cdef object _read_open
    cdef object _read_waits
    cdef long _rows
    cdef long _slot
    cdef long _waits
    cdef public long long most

    cpdef bint acquire(self) except -1
    cpdef acquire_anyway(self)
    cpdef release(self)
    cdef _follow_rows(self)
