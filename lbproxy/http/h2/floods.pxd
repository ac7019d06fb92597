# Types for the compiled form of floods.py. See lbproxy/compiled.py.

cdef class Floods:
    cdef dict _left
    cdef object _limits
    cdef long _requests
    cdef long _resets
    cdef dict _seen

    cpdef see(self, str kind)
    cpdef bint watches(self) except -1
    cpdef judge(self, double now)
    cpdef earn(self, long count)
    cpdef answered(self)
    cpdef forget(self, double now)
