# Types for the compiled form of pulse.py. See lbproxy/compiled.py.

cdef class Pulse:
    cdef double _asked
    cdef double _heard

    cpdef heard(self, double now)
    cpdef answered(self)
    cpdef bint asks(self, double now) except -1
    cpdef bint gone(self, double now) except -1
