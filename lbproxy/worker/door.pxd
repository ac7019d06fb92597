# Types for the compiled form of door.py. See lbproxy/compiled.py.

cdef long _CHILDREN_HIGH


cdef class Door:
    cdef long _all
    cdef object _bells
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
    cdef public long long limit

    cpdef bint enter(self) except -1
    cpdef admit(self)
    cpdef leave(self)
    cdef _follow_rows(self)
