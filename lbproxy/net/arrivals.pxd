# Types for arrivals.pyx. See lbproxy/compiled.py.


cdef class Arrivals:
    cdef object _all_told
    cdef object _loop
    cdef list _noted

    cpdef bint alone(self, stream) except -1
