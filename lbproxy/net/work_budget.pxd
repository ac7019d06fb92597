# Types for the compiled form of work_budget.py. See lbproxy/compiled.py.


cdef class WorkBudget:
    cdef long _alert
    cdef object _clock
    cdef double _costly
    cdef double _long_at
    cdef object _loop
    cdef object _on_long_turn
    cdef object _queue
    cdef object _timer
    cdef long _turn
    cdef double _until
    cdef public long sample

    cpdef bint admits(self) except -1
    cpdef put_off(self, stream)
    cpdef bint took(self, double seconds, double now) except -1
